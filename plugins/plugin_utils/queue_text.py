# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A host's queue as people read it, and as JSON: each reason with what it means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .reasons import explain_reason

# In which order messages pass the queues; postqueue(1) knows no others.
QUEUES = ("maildrop", "incoming", "active", "deferred", "hold", "corrupt")
# qmgr(8) looks at the deferred queue that often (queue_run_delay).
SCAN = 300
_KILO = 1000


def explained(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message of the host's answer with an explanation beside each reason, and where it is bound for."""
    recipients = [{**one, "explanation": explain_reason(one["reason"])} for one in message["recipients"]]
    destinations = list(dict.fromkeys(one["address"].rpartition("@")[2].lower() for one in recipients))
    return {**message, "recipients": recipients, "destinations": destinations}


def document(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return a host's answer as it is written to a file: all times are seconds since 1970."""
    destinations = [{**one, "explanation": explain_reason(one["reason"])} for one in answer["destinations"]]
    return {**answer, "messages": [explained(one) for one in answer["messages"]], "destinations": destinations}


def plain(text: str) -> str:
    """Return ``text`` without control characters: what others wrote must not move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def lines(answer: Mapping[str, Any]) -> list[str]:
    """Return the text of a :func:`document`: how much there is, where it is bound for, and each message."""
    now, shown = answer["now"], answer["messages"]
    told = [overview(answer)]
    if answer.get("closed"):
        told.append(f"this host takes no submissions since {span(now - answer['closed'])}: see playbooks/drain.yml")
    for place in answer["destinations"] if len(shown) > 1 else ():
        why = f": {place['explanation'] or place['reason']}" if place["reason"] else ""
        told.append(f"to {place['domain']}: {_count(place['messages'])}, oldest {span(now - place['oldest'])}{why}")
    told += [line for message in shown for line in message_lines(message, now)]
    rest = answer["fitting"] - len(shown)
    if rest > 0:
        told.append(f"and {rest} younger: playbooks/queue.yml -e limit={answer['fitting']}")
    if answer["unreadable"]:
        told.append(f"{answer['unreadable']} lines of postqueue -j could not be read")
    return [plain(line) for line in told]


def overview(answer: Mapping[str, Any]) -> str:
    """Return one line: how many messages are in which queue."""
    queues = answer["queues"]
    known = [name for name in QUEUES if queues.get(name)] + sorted(set(queues) - set(QUEUES))
    total = sum(queues.values())
    if not total:
        return "the queue is empty"
    parts = ", ".join(f"{queues[name]} {name}" for name in known)
    fitting = f"; {answer['fitting']} of them fit" if answer["fitting"] != total else ""
    return f"{_count(total)}: {parts}{fitting}"


def message_lines(message: Mapping[str, Any], now: float) -> list[str]:
    """Return a message as text: a line of its own, and one for each recipient that still waits."""
    size = message["size"]
    large = f"{size} bytes" if size < _KILO else f"{size / _KILO:.0f} kB"
    about = f"{span(now - message['arrived'])} old, {large}, from {message['sender'] or '<>'}"
    told = [f"{message['id']} {message['queue']}, {about}{_next(message, now)}"]
    for one in message["recipients"]:
        why = f": {one['reason']}" if one["reason"] else ""
        meaning = f" ({one['explanation']})" if one["explanation"] else ""
        told.append(f"  to {one['address']}{why}{meaning}")
    return told


def _next(message: Mapping[str, Any], now: float) -> str:
    if message["queue"] == "hold":
        return "; held until it is released"
    if message["expired"]:
        return "; goes back to its sender at the next attempt"
    if message["next"] is None:
        return ""
    wait = message["next"] - now
    return f"; next try in {span(wait)} to {span(wait + SCAN)}" if wait > 0 else f"; next try within {span(SCAN)}"


def span(seconds: float) -> str:
    """Return a time span in its largest sensible unit."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{int(seconds // unit)} {name}"
    return f"{max(0, int(seconds))} s"


def _count(number: int) -> str:
    return "1 message" if number == 1 else f"{number} messages"


def ids(said: Any) -> list[str]:
    """Return queue IDs as a list, from one or from text with commas or blanks; ``all`` is none in particular."""
    words: Iterable[Any] = said if isinstance(said, (list, tuple)) else str(said or "").replace(",", " ").split()
    listed = [str(word) for word in words]
    return [] if [word.lower() for word in listed] == ["all"] else listed
