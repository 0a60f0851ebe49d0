# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Learn what a host is in one round trip. Documentation: plugins/modules/facts.py."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.remote import RemoteAction


class ActionModule(RemoteAction):
    """Return release, Python version and the installed ones of the packages asked about."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask the host; nothing is changed."""
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec({"packages": {"type": "list", "elements": "str", "default": []}})
        found = self.call("facts.gather", {"packages": arguments["packages"]}, task_vars or {})
        return {"changed": False, "ansible_facts": {"postseal_host": found}, **found}
