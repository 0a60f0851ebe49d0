# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Tell what could not be delivered from a host, and why. Documentation: plugins/modules/failures.py."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.model import values
from ..module_utils.model.problems import Invalid
from ..plugin_utils.failures_text import document, lines
from ..plugin_utils.remote import RemoteAction

SPEC = {"since": {"type": "str", "default": "1d"}, "limit": {"type": "int", "default": 100}}


class ActionModule(RemoteAction):
    """One remote call; nothing is changed."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask the host's journal and queue, and explain each reason."""
        super().run(tmp, task_vars)
        _, said = self.validate_argument_spec(SPEC)
        try:
            seconds = values.duration(said["since"])
        except Invalid as problem:
            raise AnsibleActionFail(f"since {said['since']}: {problem}") from None
        answer = self.call("failures.read", {"seconds": seconds, "limit": said["limit"]}, task_vars or {})
        found = document(answer)
        return {"changed": False, "failures": found, "msg": lines(found, said["since"])}
