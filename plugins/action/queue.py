# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Show a host's queue, and move messages in it. Documentation: plugins/modules/queue.py."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.model.types import Model
from ..plugin_utils.inventory import load_model
from ..plugin_utils.queue_text import document, ids, lines
from ..plugin_utils.remote import RemoteAction

# What is done with messages, and how that is told.
MOVES = {
    "hold": "held until they are released",
    "release": "released, and tried now",
    "requeue": "queued anew",
    "bounce": "returned to their senders",
    "delete": "deleted",
}
# These cannot be taken back.
FINAL = ("bounce", "delete")
SPEC = {
    **{name: {"type": "raw"} for name in ("ids", *MOVES)},
    "sender": {"type": "str", "default": ""},
    "recipient": {"type": "str", "default": ""},
    "via": {"type": "list", "elements": "str", "default": []},
    "confirm": {"type": "str", "default": ""},
    "limit": {"type": "int", "default": 100},
}


class ActionModule(RemoteAction):
    """One remote call, whatever is asked."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Show the messages that are meant, or move them and tell which they were."""
        super().run(tmp, task_vars)
        _, said = self.validate_argument_spec(SPEC, mutually_exclusive=[("ids", *MOVES)])
        variables, check = task_vars or {}, bool(self._task.check_mode)
        move = next((name for name in MOVES if said[name] is not None), "")
        named = ids(said[move or "ids"])
        wanted = {"ids": named, "sender": said["sender"], "recipient": said["recipient"]}
        asked: dict[str, Any] = {"wanted": wanted, "limit": said["limit"]}
        if said["via"] and move != "requeue":
            raise AnsibleActionFail("via is for messages that are requeued: -e requeue=ID -e via=NAME")
        if not move:
            shown = document(self.call("mailqueue.show", asked, variables))
            return {"changed": False, "queue": shown, **_found(named, shown), "msg": lines(shown)}
        if move in FINAL:
            _confirm(move, named, said["confirm"], check=check)
        if said["via"]:
            asked["via"] = _way(load_model(variables, self._templar), said["via"], variables)
        answer = document(self.call("mailqueue.move", {**asked, "move": move, "check": check}, variables))
        told = _told(answer, MOVES[move], check=check)
        return {"changed": answer["changed"], "queue": answer, **_found(named, answer), "msg": told}


def _found(named: list[str], answer: dict[str, Any]) -> dict[str, list[str]]:
    return {"asked": named, "found": [one for one in named if one not in answer["missing"]]}


def _confirm(move: str, named: list[str], confirmed: str, *, check: bool) -> None:
    if not named:
        raise AnsibleActionFail(f"to {move} messages, name each by its queue ID")
    if not check and confirmed != ",".join(named):
        raise AnsibleActionFail(
            f"{move} cannot be taken back; look with --check, then say the IDs again: -e confirm={','.join(named)}"
        )


def _way(model: Model, names: list[str], variables: dict[str, Any]) -> dict[str, str]:
    """Return what the host needs to send messages by relays of the inventory, or ``direct``."""
    transport = model.transports.named([name.strip() for name in names])
    if transport is not None and not (transport.relays or model.delivers_directly):
        raise AnsibleActionFail(
            "via: direct: no route of postseal_routes ends directly, so nothing on the hosts verifies the recipients' "
            "servers (DANE, MTA-STS); name a relay, or add direct to a route"
        )
    if transport is None:
        known = sorted({", ".join(one.way) for one in model.transports.all} | {"direct"})
        raise AnsibleActionFail(
            f"via: no way begins with {', '.join(names)}; there are, by postseal_routes: {'; '.join(known)}"
        )
    return {"target": transport.target, "host": str(variables["inventory_hostname"]).lower()}


def _told(answer: dict[str, Any], done: str, *, check: bool) -> list[str]:
    number = answer["fitting"]
    if not number:
        return ["no message is meant"]
    many = "1 message" if number == 1 else f"{number} messages"
    if check:
        first = f"{many} would be {done}"
    else:
        gone = number - answer["moved"]
        first = f"{answer['moved']} of {many} {done}" if gone else f"{many} {done}"
        if gone:
            first += f"; {gone} left the queue meanwhile"
    told = [f"{first}:"]
    for line in lines(answer)[1:]:
        word, _, rest = line.partition(" ")
        told.append(f"{word} (now {answer['names'][word]}) {rest}" if word in answer["names"] else line)
    return told
