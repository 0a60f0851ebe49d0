# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Make keys where they stay, and hand DKIM keys between signing hosts. Documentation: plugins/modules/keys.py."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.model.keyplan import KeyPlan, KeyPlanError, complete, from_dict, plan, relevant, to_dict
from ..module_utils.model.types import MailHost, Model
from ..plugin_utils.inventory import load_model
from ..plugin_utils.remote import RUN, RemoteAction

STATES = ("read", "present", "exported", "received")
SPEC = {
    "state": {"type": "str", "choices": list(STATES), "default": "read"},
    "held": {"type": "list", "elements": "dict", "default": []},
    "offered": {"type": "list", "elements": "dict", "default": [], "no_log": True},
}


class ActionModule(RemoteAction):
    """One of four small steps; a host with nothing to do in a step is not even asked."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Plan from what every host holds, then do this host's share of the step."""
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(SPEC)
        variables = task_vars or {}
        # This run has asked already, and every later step has left what it made.
        if arguments["state"] == "read" and self._earlier(variables).get("run") == RUN:
            return {"changed": False}
        model = load_model(variables, self._templar)
        host = model.host(str(variables["inventory_hostname"]).lower())
        if arguments["state"] == "read":
            return self._read(model, host, variables)
        held = [from_dict(raw) for raw in arguments["held"]]
        try:
            todo = plan(model, held, host, datetime.now(tz=UTC).date())
        except KeyPlanError as error:
            raise AnsibleActionFail(str(error)) from None
        step = {"present": self._present, "exported": self._exported, "received": self._received}[arguments["state"]]
        return step(model, host, todo, variables, arguments)

    def _read(self, model: Model, host: MailHost, variables: dict[str, Any]) -> dict[str, Any]:
        known = self.learn(variables)
        fact = self._fact(model, host, known["keys"] or self.call("keys.read", {}, variables))
        fact["ansible_facts"]["postseal_host"] = known
        return {"changed": False, **fact}

    def _present(
        self, model: Model, host: MailHost, todo: KeyPlan, variables: dict[str, Any], arguments: dict[str, Any]
    ) -> dict[str, Any]:
        names = [host.name] if todo.tls else []
        made = [f"DKIM key {key.selector} of {key.domain}" for key in todo.create] + [f"TLS key of {n}" for n in names]
        misplaced = self._earlier(variables).get("misplaced", [])
        if not made and not misplaced:
            return {"changed": False}
        result: dict[str, Any] = {"changed": True, "made": made, "repaired": misplaced}
        if self._task.diff:
            lines = [*(f"made: {one}" for one in made), *(f"owner and mode repaired: {one}" for one in misplaced)]
            result["diff"] = {"prepared": "".join(f"+ {line}\n" for line in lines)}
        if self._task.check_mode:
            return result
        answer = self.call("keys.create", {"dkim": [asdict(key) for key in todo.create], "tls": names}, variables)
        return {**result, **self._fact(model, host, answer)}

    def _exported(
        self, model: Model, host: MailHost, todo: KeyPlan, variables: dict[str, Any], arguments: dict[str, Any]
    ) -> dict[str, Any]:
        if not todo.export or self._task.check_mode:
            return {"changed": False, "private": []}
        wanted = {"dkim": [asdict(key) for key in todo.export]}
        return {"changed": False, **self.call("keys.export", wanted, variables)}

    def _received(
        self, model: Model, host: MailHost, todo: KeyPlan, variables: dict[str, Any], arguments: dict[str, Any]
    ) -> dict[str, Any]:
        if not todo.receive:
            return {"changed": False}
        if self._task.check_mode:
            return {"changed": True}
        wanted = {(key.domain, key.selector) for key in todo.receive}
        mine = [key for key in arguments["offered"] if (key["domain"], key["selector"]) in wanted]
        if {(key["domain"], key["selector"]) for key in mine} != wanted:
            raise AnsibleActionFail(
                f"{host.name} needs DKIM keys that no host handed out; run without --limit and with every mail "
                "host reachable"
            )
        return {"changed": True, **self._fact(model, host, self.call("keys.receive", {"private": mine}, variables))}

    @staticmethod
    def _fact(model: Model, host: MailHost, answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
        held = relevant(model, from_dict({"host": host.name, "dkim": answer["dkim"], "tls": answer["tls"]}))
        misplaced = answer["misplaced"]
        whole = complete(model, held) and not misplaced
        return {
            "ansible_facts": {"postseal_keys": {**to_dict(held), "misplaced": misplaced, "complete": whole, "run": RUN}}
        }

    @staticmethod
    def _earlier(variables: dict[str, Any]) -> dict[str, Any]:
        found = variables.get("postseal_keys", {})
        return dict(found) if isinstance(found, dict) else {}
