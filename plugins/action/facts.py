# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Learn what a host is in one round trip. Documentation: plugins/modules/facts.py."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.remote import RemoteAction


class ActionModule(RemoteAction):
    """Ask the host and leave the answer as a fact, for the tasks that follow."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask the host; nothing is changed."""
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec({"packages": {"type": "list", "elements": "str", "default": []}})
        found = self.learn(task_vars or {}, arguments["packages"], anew=True)
        told = {name: found[name] for name in ("release", "python", "packages")}
        return {"changed": False, "ansible_facts": {"postseal_host": found}, **told}
