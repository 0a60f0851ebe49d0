# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Explain the way of a message from the inventory; no host is asked. Documentation: plugins/modules/route.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils.model.explain import explain
from ..module_utils.model.problems import Invalid
from ..plugin_utils.inventory import load_model

SPEC = {
    "sender": {"type": "str", "required": True},
    "recipient": {"type": "str", "required": True},
    "credential": {"type": "str"},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """Return the explanation as lines."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Load the model and explain."""
        super().run(tmp, task_vars)
        _, said = self.validate_argument_spec(SPEC)
        model = load_model(task_vars or {}, self._templar)
        try:
            lines = explain(model, said["sender"], said["recipient"], said["credential"], datetime.now(tz=UTC).date())
        except Invalid as problem:
            raise AnsibleActionFail(f"from {said['sender']} to {said['recipient']}: {problem}") from None
        return {"changed": False, "msg": lines}
