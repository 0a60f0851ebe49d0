# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Check the inventory on the controller; no host is touched. Documentation: plugins/modules/preflight.py."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils.mailauth.asked import unpublishable
from ..module_utils.model.problems import Collector
from ..module_utils.model.summary import summary
from ..plugin_utils.inventory import describe, load_model


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """Return a summary of the model, or fail with every problem of the inventory."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Load the model, and check the files it names and the records it asks for."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        model = load_model(variables, self._templar)
        collector = Collector()
        if model.tls.ca and not Path(model.tls.ca).is_file():
            collector.add("postseal_tls.ca", "is not a file on the controller; give the CA bundle's path", model.tls.ca)
        for index, relay in enumerate(model.relays):
            if relay.ca and not Path(relay.ca).is_file():
                fix = "is not a file on the controller; give the path of the authority's certificate"
                collector.add(f"postseal_relays[{index}].ca", fix, relay.ca)
        if model.probe and not Path(model.probe.mailbox).is_dir():
            fix = "is not a directory on the controller; give the one where received messages appear"
            collector.add("postseal_probe.mailbox", fix, model.probe.mailbox)
        # No rule of the model: whoever is shut out must be out on the mail hosts at once, proof or not.
        if model.probe and not model.credential(model.probe.credential).active:
            fix = "is shut out (suspended or revoked); name another for the proof"
            collector.add("postseal_probe.credential", fix, model.probe.credential)
        for found in unpublishable(model, date.today()):
            collector.add(found.place, found.reason)
        if collector.problems:
            raise AnsibleActionFail(describe(collector.problems, variables))
        return {"changed": False, "msg": summary(model, datetime.now(tz=UTC).date()), "environment": model.environment}
