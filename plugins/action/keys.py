# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Make keys where they stay, and hand DKIM keys between signing hosts. Documentation: plugins/modules/keys.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.dkim.lifecycle import LifecycleError
from ..module_utils.dkim.signing import superseded
from ..module_utils.dkim.states import Lifecycle, StateError, from_document, to_document, united
from ..module_utils.model.keyplan import KeyPlan, complete, from_dict, plan, relevant, to_dict
from ..module_utils.model.types import MailHost, Model
from ..plugin_utils.inventory import load_model
from ..plugin_utils.remote import RUN, RemoteAction
from ..plugin_utils.wishes import WISHES, sights, switches, wishes

# Hosts are told one by one, and all the same: the moment is that of the run, as of what it saw.
STARTED = datetime.now(tz=UTC).replace(microsecond=0)
STATES = ("read", "present", "exported", "received", "seen", "retired")
SPEC = {
    "state": {"type": "str", "choices": list(STATES), "default": "read"},
    "held": {"type": "list", "elements": "dict", "default": []},
    "offered": {"type": "list", "elements": "dict", "default": [], "no_log": True},
    "seen": {"type": "list", "elements": "dict", "default": []},
    "signing": {"type": "list", "elements": "dict", "default": []},
    "wishes": {"type": "dict", "default": {}, "options": WISHES},
}


class ActionModule(RemoteAction):
    """One of six small steps; a host with nothing to do in a step is not even asked."""

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
        if arguments["state"] in ("seen", "retired"):
            return self._move_on(model, host, united(keys.lifecycle for keys in held), arguments, variables)
        try:
            asked = wishes(arguments["wishes"], model, STARTED)
            todo = plan(model, held, host, STARTED, asked)
        except (LifecycleError, ValueError) as error:
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
        gone = [f"DKIM key {key.selector} of {key.domain}" for key in todo.remove]
        misplaced = self._earlier(variables).get("misplaced", [])
        known = self._known(model, host, variables)
        moved = _moved(known, todo.known)
        if not made and not misplaced and not gone and todo.known is None:
            return {"changed": False, "notes": list(todo.notes)}
        result: dict[str, Any] = {"changed": True, "made": made, "repaired": misplaced, "notes": list(todo.notes)}
        if self._task.diff:
            lines = [*(f"made: {one}" for one in made), *(f"owner and mode repaired: {one}" for one in misplaced)]
            lines += [*(f"deleted: {one}" for one in gone), *moved]
            result["diff"] = {"prepared": "".join(f"+ {line}\n" for line in lines)}
        if self._task.check_mode:
            return result
        wanted = {
            "dkim": [asdict(key) for key in todo.create],
            "tls": names,
            "removed": [_named(key) for key in todo.remove],
            "state": None if todo.known is None else to_document(todo.known, model.environment),
        }
        return {**result, **self._fact(model, host, self.call("keys.create", wanted, variables))}

    def _move_on(
        self, model: Model, host: MailHost, known: Lifecycle, arguments: dict[str, Any], variables: dict[str, Any]
    ) -> dict[str, Any]:
        """Write down what keys come to by what was seen of them, or by what hosts sign with."""
        if arguments["state"] == "seen":
            turn = sights(model, known, arguments["seen"])
        else:
            turn = switches(model, known, arguments["signing"], RUN, STARTED)
        before = self._known(model, host, variables)
        result: dict[str, Any] = {"changed": turn.known != before, "notes": list(turn.notes)}
        if not result["changed"]:
            return result
        if self._task.diff:
            result["diff"] = {"prepared": "".join(f"+ {line}\n" for line in _moved(before, turn.known))}
        if self._task.check_mode:
            return result
        state = to_document(turn.known, model.environment)
        return {**result, **self._fact(model, host, self.call("keys.record", {"state": state}, variables))}

    def _known(self, model: Model, host: MailHost, variables: dict[str, Any]) -> Lifecycle:
        earlier = self._earlier(variables)
        return from_document(earlier.get("state"), model.environment) if earlier else Lifecycle()

    def _exported(
        self, model: Model, host: MailHost, todo: KeyPlan, variables: dict[str, Any], arguments: dict[str, Any]
    ) -> dict[str, Any]:
        if not todo.export or self._task.check_mode:
            return {"changed": False, "private": []}
        wanted = {"dkim": [_named(key) for key in todo.export]}
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
        try:
            from_document(answer["state"], model.environment)
        except StateError as error:
            raise AnsibleActionFail(
                f"/var/lib/postseal/dkim/{model.environment}.json on {host.name} is not used: {error}. Restore it from "
                "another mail host or a backup; nothing was changed"
            ) from None
        parts = {part: answer[part] for part in ("dkim", "tls", "state")}
        held = relevant(model, from_dict({"host": host.name, **parts}))
        misplaced = answer["misplaced"]
        whole = complete(model, held, datetime.now(tz=UTC)) and not misplaced
        fact = to_dict(held, model.environment)
        return {
            "ansible_facts": {
                "postseal_keys": {
                    **fact,
                    "misplaced": misplaced,
                    "complete": whole,
                    "superseded": superseded(held.lifecycle),
                    "run": RUN,
                }
            }
        }

    @staticmethod
    def _earlier(variables: dict[str, Any]) -> dict[str, Any]:
        found = variables.get("postseal_keys", {})
        return dict(found) if isinstance(found, dict) else {}


def _named(key: Any) -> dict[str, str]:
    return {part: getattr(key, part) for part in ("domain", "selector", "algorithm")}


def _moved(before: Lifecycle, after: Lifecycle | None) -> list[str]:
    """Return a line for each key that comes to another state."""
    states: Mapping[tuple[str, str], str] = {key.name: key.state for key in before.keys}
    return [
        f"{key.domain}: {key.selector} {states.get(key.name, 'new')} -> {key.state}"
        for key in (after.keys if after else ())
        if states.get(key.name) != key.state
    ]
