# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Send a test message through the service and say what came back. Documentation: plugins/modules/send_test.py."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils.model.problems import Invalid
from ..module_utils.model.values import mail_address
from ..plugin_utils.inventory import load_model

SPEC = {
    "to": {"type": "str", "required": True},
    "host": {"type": "str"},
    "port": {"type": "int"},
    "delivery_timeout": {"type": "int", "default": 30},
}
ROOT = Path(__file__).resolve().parents[2]
PROOF = "ansible_collections.postseal.mail.tests.verify.proof"
display = Display()


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """Talk to a mail host as an application does, with the proof's own client."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was said; raises :class:`AnsibleActionFail` if the message was not taken."""
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(SPEC)
        try:
            recipient = mail_address(arguments["to"])
        except Invalid as error:
            raise AnsibleActionFail(f"to: {arguments['to']!r} {error}") from None
        if self._task.check_mode:
            display.display("Nothing is sent in check mode.")
            return {"changed": False, "msg": "not run in check mode", "queue_id": ""}
        if not (ROOT / "tests" / "verify" / "conftest.py").is_file():
            raise AnsibleActionFail(f"{ROOT} has no tests/verify; send from a checkout of Postseal")
        # Only now: a collection that was installed without its tests has no such code.
        sending = import_module(f"{PROOF}.sending")
        model = load_model(task_vars or {}, self._templar)
        began = time.time()
        try:
            endpoint = sending.choose(model, arguments["host"], arguments["port"])
        except sending.UnavailableError as error:
            raise AnsibleActionFail(str(error)) from None
        done = sending.attempt(model, model.probe, endpoint, recipient)
        for line in done.lines:
            display.display(f"    {line}")
        result = {"changed": False, "host": endpoint.host, "queue_id": done.queue_id, "lines": done.lines}
        if not done.accepted:
            raise AnsibleActionFail(f"{endpoint.host} did not take the message: {done.lines[-1]}", result=result)
        told = sending.arrival(done, model.probe, recipient, began - 1, arguments["delivery_timeout"])
        for line in told:
            display.display(f"    {line}")
        return {**result, "lines": [*done.lines, *told]}
