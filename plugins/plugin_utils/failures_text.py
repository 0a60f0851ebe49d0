# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What could not be delivered from a host, as people read it, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from . import queue_text
from .reasons import explain_reason

ENDS = {
    "bounced": "refused for good",
    "expired": "given up, its time in the queue was over",
    "force-expired": "given up by hand",
}


def document(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return a host's answer with an explanation beside each reason: all times are seconds since 1970."""
    back = [{**one, "explanation": explain_reason(one["reason"], one["code"])} for one in answer["returned"]]
    return {**answer, "returned": back, "queue": queue_text.document(answer["queue"])}


def lines(found: Mapping[str, Any], since: str) -> list[str]:
    """Return the text of a :func:`document`: what came back, newest first, then what still waits, oldest first."""
    told = [f"returned to their senders in the last {since}: {found['total'] or 'none'}"]
    for one in found["returned"]:
        when = datetime.fromtimestamp(one["when"], UTC).strftime("%Y-%m-%d %H:%M:%S")
        login = f" (login {one['login']})" if one["login"] not in ("", one["sender"]) else ""
        who = f"from {one['sender'] or '<>'}{login} to {one['recipient'] or 'all its recipients'}"
        told.append(f"{when} {one['id']} {who}: {ENDS[one['status']]}")
        meaning = f" ({one['explanation']})" if one["explanation"] else ""
        told.append(f"  {one['code']} {one['reason']}{meaning}")
    rest = found["total"] - len(found["returned"])
    told += [f"and {rest} older"] if rest else []
    queue = found["queue"]
    told.append(f"waiting for another try: {queue['fitting'] or 'none'}")
    told += [line for message in queue["messages"] for line in queue_text.message_lines(message, queue["now"])]
    return [queue_text.plain(line) for line in told]
