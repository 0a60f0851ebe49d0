# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What ``postqueue -j`` prints, read and counted; pure, and with little memory however long the queue is.

Standard library, Python 3.9.
"""

from __future__ import annotations

import heapq
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Optional

# What postconf(5) says of queue IDs: hexadecimal, or base 52 with enable_long_queue_ids. Never "ALL" or "-", which
# postsuper(1) takes for every message and for standard input.
QUEUE_ID = re.compile(r"(?!ALL$)[0-9A-Za-z]{6,30}")
# How showq(8) shows the empty sender of bounces; every other one has a domain.
_NOBODY = "MAILER-DAEMON"
DESTINATIONS = 50
# Commonest reasons are found among so many different ones of a destination; a text may name each message.
_REASONS = 100


class Entry(NamedTuple):
    """A message in the queue; each recipient has the reason of its delay, empty if there is none."""

    id: str
    queue: str
    arrived: int
    size: int
    sender: str
    expired: bool
    recipients: tuple[tuple[str, str], ...]

    @property
    def domains(self) -> tuple[str, ...]:
        """The recipients' domains, each once."""
        return tuple(dict.fromkeys(address.rpartition("@")[2].lower() for address, _ in self.recipients))


class Wanted(NamedTuple):
    """Which messages are meant: all conditions hold. An address may be whole or ``@domain``; empty is any."""

    ids: tuple[str, ...] = ()
    sender: str = ""
    recipient: str = ""
    queues: tuple[str, ...] = ()

    def fits(self, entry: Entry) -> bool:
        """Say whether ``entry`` is meant. A message fits a recipient if one of those that still wait is that one."""
        if (self.ids and entry.id not in self.ids) or (self.queues and entry.queue not in self.queues):
            return False
        if self.sender and not _same(self.sender, entry.sender):
            return False
        return not self.recipient or any(_same(self.recipient, address) for address, _ in entry.recipients)


def _same(wanted: str, address: str) -> bool:
    wanted, address = wanted.lower(), address.lower()
    if wanted == "<>":
        return not address
    return address.endswith(wanted) if wanted.startswith("@") else address == wanted


def read(line: str) -> Optional[Entry]:  # noqa: UP045  # Python 3.9
    """Return what a line of ``postqueue -j`` says; ``None`` for one that cannot be read."""
    try:
        said = json.loads(line)
        recipients = tuple((str(one["address"]), str(one.get("delay_reason", ""))) for one in said["recipients"])
        entry = Entry(
            id=str(said["queue_id"]),
            queue=str(said["queue_name"]),
            arrived=int(said["arrival_time"]),
            size=int(said["message_size"]),
            sender="" if said["sender"] == _NOBODY else str(said["sender"]),
            expired=said.get("forced_expire") is True,
            recipients=recipients,
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
    return entry if QUEUE_ID.fullmatch(entry.id) else None


class Listing:
    """Counts messages as they pass, and keeps the oldest of those that are meant."""

    def __init__(self, wanted: Wanted, limit: int) -> None:
        self.wanted, self.limit = wanted, limit
        self.queues: Counter[str] = Counter()
        self.unreadable = 0
        self.complaint = ""
        self.fitting = 0
        self.ids: list[str] = []
        self.oldest: list[Entry] = []
        self._places: dict[str, _Place] = {}

    def take(self, lines: Iterable[str]) -> Listing:
        """Read all ``lines``; a message that is listed twice, because it moved meanwhile, counts once."""
        # With nothing to keep, nsmallest would not look at the lines at all.
        kept = heapq.nsmallest(max(1, self.limit), self._pass(lines), key=lambda entry: (entry.arrived, entry.id))
        self.oldest = kept[: self.limit]
        return self

    def _pass(self, lines: Iterable[str]) -> Iterator[Entry]:
        seen: set[str] = set()
        for line in lines:
            entry = read(line)
            if entry is None:
                self.unreadable += bool(line.strip())
                self.complaint = line.strip() or self.complaint
                continue
            if entry.id in seen:
                continue
            seen.add(entry.id)
            self.queues[entry.queue] += 1
            if self.wanted.fits(entry):
                self.fitting += 1
                self.ids.append(entry.id)
                for domain in entry.domains:
                    self._places.setdefault(domain, _Place()).add(entry, domain)
                yield entry

    @property
    def destinations(self) -> list[dict[str, Any]]:
        """Where the messages want to go, most first: ``domain``, ``messages``, ``oldest``, and the commonest reason."""
        most = sorted(self._places.items(), key=lambda item: (-item[1].messages, item[0]))[:DESTINATIONS]
        return [
            {"domain": domain, "messages": place.messages, "oldest": place.oldest, "reason": place.reason}
            for domain, place in most
        ]


class _Place:
    """What is known of one destination."""

    def __init__(self) -> None:
        self.messages, self.oldest = 0, 0
        self.reasons: Counter[str] = Counter()

    def add(self, entry: Entry, domain: str) -> None:
        self.messages += 1
        self.oldest = min(self.oldest or entry.arrived, entry.arrived)
        for address, reason in entry.recipients:
            known = reason in self.reasons or len(self.reasons) < _REASONS
            if reason and known and address.lower().endswith(f"@{domain}"):
                self.reasons[reason] += 1

    @property
    def reason(self) -> str:
        return self.reasons.most_common(1)[0][0] if self.reasons else ""
