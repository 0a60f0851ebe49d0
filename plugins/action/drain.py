# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Empty a mail host, or have it take submissions again. Documentation: plugins/modules/drain.py."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ..module_utils.model import values
from ..module_utils.model.problems import Invalid
from ..module_utils.model.types import Model
from ..plugin_utils.inventory import load_model, playbook_command
from ..plugin_utils.queue_text import document, lines, overview, span
from ..plugin_utils.remote import RemoteAction

SPEC = {
    "state": {"type": "str", "choices": ["drained", "open"], "default": "drained"},
    "timeout": {"type": "str", "default": "10m"},
    "others": {"type": "list", "elements": "str", "default": []},
    "alone": {"type": "bool", "default": False},
}
# Seconds: between two looks, at first and at most; between two flushes.
SOON, LATE, AGAIN = 1.0, 15.0, 120.0
# Until sessions that are still open are cut, and until what they have handed over by then is in the queue.
GRACE, SETTLED = 30.0, 2.0


class ActionModule(RemoteAction):
    """Close the door, wait until the queue is empty, and say what is left."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail if something is left when the time is over; the host stays closed then, too."""
        super().run(tmp, task_vars)
        _, said = self.validate_argument_spec(SPEC)
        variables, check = task_vars or {}, bool(self._task.check_mode)
        host = str(variables["inventory_hostname"]).lower()
        if said["state"] == "open":
            answer = self.call("drain.reopen", {"check": check}, variables)
            verb = "would take" if check else "takes"
            return {
                **answer,
                "msg": [f"{host} {verb} submissions again" if answer["changed"] else f"{host} is not drained"],
            }
        try:
            seconds = values.duration(said["timeout"])
        except Invalid as problem:
            raise AnsibleActionFail(f"how long to wait, {said['timeout']}: {problem}") from None
        if not said["others"] and not said["alone"]:
            raise AnsibleActionFail(
                f"no other mail host that answers takes submissions; without {host} applications could not send. "
                "If that is what you want: -e alone=true"
            )
        model = load_model(variables, self._templar)
        asked = {"ports": list(model.submission.ports.all), "check": check}
        answer = self.call("drain.close", asked, variables)
        notes = _notes(model, host)
        if check:
            told = [f"{host} would take no new submissions; others do: {', '.join(said['others']) or 'none'}"]
            now = document(answer)
            return {"changed": answer["changed"], "queue": now, "msg": [*told, *lines(now), *notes]}
        left = document(self._wait(asked, answer, seconds, variables))
        result = {"changed": answer["changed"], "queue": left}
        if not sum(left["queues"].values()) and not left["sessions"]:
            return {**result, "msg": [f"{host} takes no submissions, and nothing is left on it", *notes]}
        told = [*_left(host, left, playbook_command(variables)), *notes]
        raise AnsibleActionFail("\n  ".join(told), result=result)

    def _wait(
        self, asked: dict[str, Any], answer: dict[str, Any], seconds: float, variables: dict[str, Any]
    ) -> dict[str, Any]:
        """Look again and again until nothing is left or ``seconds`` are over; tell whenever it has changed."""
        began, grace = time.monotonic(), min(GRACE, seconds / 2)
        pause, before, flushed, cut = SOON, "", 0.0, 0.0
        while True:
            spent = time.monotonic() - began
            if cut and spent - cut >= SETTLED:
                answer = {**answer, "sessions": 0}
            now = f"{overview(answer)}; open sessions: {answer['sessions']}"
            if now != before:
                Display().display(f"    {variables['inventory_hostname']}, {span(spent)}: {now}")
            pause, before = (SOON if now != before else min(LATE, pause * 1.5)), now
            # Held mail does not move by itself, so nothing is gained by waiting for it.
            moving = sum(answer["queues"].values()) - answer["queues"].get("hold", 0)
            if (not moving and not answer["sessions"]) or spent >= seconds:
                return answer
            soon = seconds - spent
            if answer["sessions"]:
                soon = min(soon, SETTLED if cut else grace - spent)
            time.sleep(min(pause, max(0.1, soon)))
            spent = time.monotonic() - began
            flush, ends = spent - flushed >= AGAIN, not cut and bool(answer["sessions"]) and spent >= grace
            flushed, cut = (spent if flush else flushed), (spent if ends else cut)
            answer = self.call("drain.step", {**asked, "flush": flush, "cut": ends}, variables)


def _notes(model: Model, host: str) -> list[str]:
    """What else the other hosts have of this one."""
    store = model.limits.store
    if store and store.host == host and len(model.hosts) > 1:
        return [f"the other hosts count on {host} (postseal_limits.store.host) and defer all mail while it is away"]
    return []


def _left(host: str, left: dict[str, Any], command: str) -> list[str]:
    named = [message["id"] for message in left["messages"]]
    ids = ",".join(named[:3]) + (",..." if len(named) > 3 else "")  # noqa: PLR2004
    queue = f"{command} playbooks/queue.yml -e mail_host={host}"
    told = [f"{host} takes no submissions, and this is left:", *lines(left)]
    if left["sessions"]:
        told.append(f"open sessions: {left['sessions']}")
    if named:
        told += [
            f"by another way, NAME a relay or direct: {queue} -e requeue={ids} -e via=NAME",
            f"back to the senders: {queue} -e bounce={ids} -e confirm={ids}",
            "or run the same again, which waits for as long again; -e wait=1h for longer",
        ]
    return [*told, f"to take submissions again: {command} playbooks/drain.yml -e mail_host={host} -e undo=true"]
