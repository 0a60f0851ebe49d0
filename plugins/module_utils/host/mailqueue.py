# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Look at Postfix's queue, and move messages in it: postqueue(1), postsuper(1). Standard library, Python 3.9."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterable
from typing import Any, Optional

from .durable import write_durably
from .errors import HostError
from .journal import locked
from .queue_list import QUEUE_ID, Entry, Listing, Wanted
from .request import Paths

SPOOL = "/var/spool/postfix"
# Which requeued messages take another way, read by the cleanup(8) that they pass (master.cf).
WAYS = "/etc/postfix/routes/requeued"
# The rules by which a host refuses submissions.
CLOSED = "/etc/postseal/drain.nft"
CLOSED_TABLE = "postseal_drain"
# What is done: postsuper's option, how it tells what it has done, and the queues that messages are taken from.
_ANY = ("hold", "incoming", "active", "deferred")
MOVES = {
    "hold": ("-h", "Placed on hold", ("incoming", "active", "deferred")),
    "release": ("-H", "Released from hold", ("hold",)),
    # Not from "active": what is being delivered at this moment could arrive twice.
    "requeue": ("-r", "Requeued", ("hold", "deferred")),
    "bounce": ("-f", "Force-expired", _ANY),
    "delete": ("-d", "Deleted", _ANY),
}
# Seconds in which pickup(8) takes requeued messages over.
TAKEN_OVER = 30.0
_A_LINE = 40
_LISTED = 600


def show(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the queue: ``now``, ``queues`` (messages by queue), ``fitting`` (how many are meant), ``messages``,
    ``destinations``, ``unreadable``, ``missing`` (of the ``ids`` that are meant, those that are not there); ``closed``,
    since when this host takes no submissions, or ``None``.

    ``arguments``: ``wanted`` (:class:`Wanted`), and ``limit``, of how many messages, the oldest first, is told.
    """
    return {**told(_list(arguments)), "closed": closed_since()}


def closed_since() -> Optional[float]:  # noqa: UP045  # Python 3.9
    """Return since when this host takes no submissions (:mod:`.drain`); ``None`` if it does."""
    try:
        since = os.stat(CLOSED).st_mtime
    except FileNotFoundError:
        return None
    return since if refuses() else None


def refuses() -> bool:
    """Whether the kernel has the table that refuses submissions: somebody may have flushed it."""
    return f"table inet {CLOSED_TABLE}" in run("nft", "list", "tables").stdout.splitlines()


def told(listing: Listing) -> dict[str, Any]:
    """Return a listing as the controller gets it."""
    nexts = _next_attempts(entry.id for entry in listing.oldest if entry.queue == "deferred")
    return {
        "now": time.time(),
        "queues": dict(listing.queues),
        "fitting": listing.fitting,
        "unreadable": listing.unreadable,
        "missing": sorted(set(listing.wanted.ids) - set(listing.ids)),
        "destinations": listing.destinations,
        "messages": [_plain(entry, nexts.get(entry.id)) for entry in listing.oldest],
    }


def move(arguments: dict[str, Any]) -> dict[str, Any]:
    """Do with the messages that are meant what ``move`` says; with ``check`` only tell which they are.

    ``via`` names where requeued messages go: ``target`` as transport(5) has it, and ``host``, this host's own name.
    Returns what :func:`show` does, as it was before, with ``changed``, ``moved`` (how many) and ``names`` (the new name
    of what was requeued).
    """
    _, _, queues = MOVES[arguments["move"]]
    if arguments["move"] in ("bounce", "delete") and not arguments["wanted"].get("ids"):
        raise HostError(f"to {arguments['move']} messages, name each by its queue ID")
    listing = _list({**arguments, "wanted": {**arguments["wanted"], "queues": queues}})
    there = told(listing)
    if arguments.get("check") or not listing.ids:
        return {**there, "changed": bool(listing.ids), "moved": 0, "names": {}}
    began = time.time()
    if arguments["move"] == "requeue":
        moved = _requeue(listing.ids, arguments.get("via"))
    else:
        moved = _postsuper(arguments["move"], listing.ids)
    if arguments["move"] in ("release", "bounce"):
        attempt(listing.ids)
    names = _renamed(listing.ids, began) if arguments["move"] == "requeue" else {}
    return {**there, "changed": moved > 0, "moved": moved, "names": names}


def attempt(ids: Iterable[str]) -> None:
    """Have deferred messages tried now."""
    listed = list(ids)
    if len(listed) > _A_LINE:
        run("postqueue", "-f")
    else:
        for one in listed:
            run("postqueue", "-i", one)


def run(*command: str, text: str = "", good: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
    """Run a program of Postfix or the system; raises :class:`HostError` with what it says when it fails."""
    environment = {**os.environ, "LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    try:
        answer = subprocess.run(
            command, input=text, capture_output=True, text=True, errors="replace", check=False, env=environment
        )
    except OSError as error:
        raise HostError(
            f"{command[0]} cannot be run: {error.strerror}; site.yml installs what a mail host needs"
        ) from None
    if answer.returncode not in good:
        said = " ".join((answer.stderr or answer.stdout).split())[-300:]
        raise HostError(f"{' '.join(command[:2])} failed: {said or f'exit code {answer.returncode}'}")
    return answer


def _wanted(arguments: dict[str, Any]) -> Wanted:
    said = arguments.get("wanted") or {}
    ids = tuple(str(one) for one in said.get("ids") or ())
    for one in ids:
        if not QUEUE_ID.fullmatch(one):
            raise HostError(f"{one!r} is no queue ID; the queue's listing names them")
    return Wanted(ids, said.get("sender") or "", said.get("recipient") or "", tuple(said.get("queues") or ()))


def _list(arguments: dict[str, Any]) -> Listing:
    listing = Listing(_wanted(arguments), int(arguments.get("limit", _LISTED)))
    with subprocess.Popen(
        ("/usr/sbin/postqueue", "-j"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as postqueue:
        listing.take(postqueue.stdout or ())
    if postqueue.returncode:
        raise HostError(f"the queue cannot be read: {listing.complaint}")
    return listing


def _plain(entry: Entry, due: Optional[float]) -> dict[str, Any]:  # noqa: UP045  # Python 3.9
    said = entry._asdict()
    recipients = [{"address": address, "reason": reason} for address, reason in entry.recipients]
    return {**said, "recipients": recipients, "next": due}


def _next_attempts(ids: Iterable[str]) -> dict[str, float]:
    """Return when deferred messages are tried again: qmgr(8) sets the time stamp of a queue file to that moment."""
    wanted, found = set(ids), {}
    for folder, _, names in os.walk(f"{SPOOL}/deferred") if wanted else ():
        for name in wanted.intersection(names):
            try:
                found[name] = os.stat(f"{folder}/{name}").st_mtime
            except OSError:
                continue  # it has been delivered
    return found


def _postsuper(move: str, ids: Iterable[str]) -> int:
    """Have postsuper(1) move messages; return how many it says it has moved."""
    option, done, queues = MOVES[move]
    answer = run("postsuper", option, "-", *queues, text="".join(f"{one}\n" for one in ids))
    count = re.search(rf"^postsuper: {done}: (\d+) messages?$", answer.stderr, re.M)
    return int(count[1]) if count else 0


def _requeue(ids: list[str], via: Optional[dict[str, str]]) -> int:  # noqa: UP045  # Python 3.9
    """Requeue messages; those that shall go another way are named in a table for as long as that takes."""
    if not via:
        moved = _postsuper("requeue", ids)
        _wait(ids)
        return moved
    with locked("postfix", Paths()):
        try:
            with open(WAYS, encoding="utf-8") as handle:
                kept = "".join(line for line in handle if line.startswith("#"))
        except FileNotFoundError:
            raise HostError(f"{WAYS} is not there: run site.yml, which prepares this host for it") from None
        _table(kept + ways(ids, **via))
        try:
            moved = _postsuper("requeue", ids)
            _wait(ids)
        finally:
            _table(kept)
    return moved


def ways(ids: list[str], target: str, host: str) -> str:
    """Return lines of a regexp_table(5) that send messages to ``target``.

    A requeued message is recognised by the Received header that this host wrote when it came in.
    """
    by = host.replace(".", "[.]")
    groups = ("|".join(ids[start : start + _A_LINE]) for start in range(0, len(ids), _A_LINE))
    # The flag "i" makes it look at case, as long queue IDs need.
    return "".join(
        f"/^Received: .*by {by} \\(Postfix.*[[:space:]]id ({group})[;[:space:]]/i FILTER {target}\n" for group in groups
    )


def _table(content: str) -> None:
    write_durably(WAYS, content.encode())
    os.chmod(WAYS, 0o644)
    # A cleanup process that runs already goes on with the table as it was.
    run("postfix", "reload")


def _wait(ids: Iterable[str]) -> None:
    """Wait until pickup(8) has taken all over; what it has not by then is tried again by itself, and is not lost."""
    # It looks by itself once a minute (master.cf).
    run("postkick", "public", "pickup", "W")
    deadline = time.monotonic() + TAKEN_OVER
    waiting = set(ids)
    while waiting and time.monotonic() < deadline:
        waiting.intersection_update(os.listdir(f"{SPOOL}/maildrop"))
        time.sleep(0.1 if waiting else 0)


def _renamed(ids: Iterable[str], since: float) -> dict[str, str]:
    """Return the new queue ID of each requeued message, as pickup(8) logs it, without those that are not found."""
    wanted = set(ids)
    command = ("journalctl", "-q", "--namespace=+postseal", "--no-pager", "-o", "cat", f"--since=@{int(since)}")
    found: dict[str, str] = {}
    for _ in range(10):
        answer = run(*command, "--grep=: uid=.* orig_id=", good=(0, 1))
        pairs = re.findall(r"^(\w+): uid=.* orig_id=(\w+)$", answer.stdout, re.M)
        found = {old: new for new, old in pairs if old in wanted}
        if len(found) == len(wanted):
            break
        time.sleep(0.2)
    return found
