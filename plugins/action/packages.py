# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Install what a mail host lacks. Documentation: plugins/modules/packages.py."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.remote import RemoteAction

SPEC = {
    "names": {"type": "list", "elements": "str", "required": True},
    "lists_age": {"type": "int", "default": 3600},
}


class ActionModule(RemoteAction):
    """Have the host install what it is not known to have."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was installed, and the fact ``postseal_host``; raises :class:`AnsibleActionFail` with cause."""
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(SPEC)
        variables = task_vars or {}
        self.check_role(variables)
        found = self.learn(variables, arguments["names"])
        result: dict[str, Any] = {"changed": False}
        if not set(arguments["names"]) <= set(found["packages"]):
            result = self.call("packages.ensure", {**arguments, "check": bool(self._task.check_mode)}, variables)
            # What is known of the host is older than its packages.
            found = self.learn(variables, arguments["names"], anew=True)
        return {**result, "ansible_facts": {"postseal_host": found}}
