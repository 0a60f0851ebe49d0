# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The states that DKIM keys go through, and the file in which every signing host keeps them. Pure.

States only go one way, so the copies of several hosts are united by taking, of each key, the one that is furthest on. A
run that was cut off while it wrote them leaves no question open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

PLANNED, PUBLISHED, SIGNING, RETIRING, REVOKED, REMOVED = STATES = (
    "planned",
    "published",
    "signing",
    "retiring",
    "revoked",
    "removed",
)
"""``planned``: made, and asked to be published. ``published``: every authoritative server has been seen with it.
``signing``: signs, or is to sign from the next change of the signer on. ``retiring``: signs nowhere any more, and stays
published for mail under way. ``revoked``: published without a key (RFC 6376 3.6.1). ``removed``: gone; kept here so
that its selector is never used again."""
UNDER_WAY = (PLANNED, PUBLISHED)
PRESENT = (PLANNED, PUBLISHED, SIGNING, RETIRING)
VERSION = 1


class StateError(ValueError):
    """A state file cannot be understood; the text says what is wrong with it."""


@dataclass(frozen=True, order=True)
class KeyState:
    """Where one key is in its life; ``since`` is UTC, in whole seconds.

    :param record: the text that is published for a key that came from elsewhere; empty for one of our own
    """

    domain: str
    selector: str
    algorithm: str
    state: str
    since: datetime
    record: str = ""

    @property
    def name(self) -> tuple[str, str]:
        """Domain and selector: what a verifier looks a key up by."""
        return self.domain, self.selector

    def _rank(self) -> tuple[int, datetime]:
        return STATES.index(self.state), self.since

    def later(self, other: KeyState) -> KeyState:
        """Return the one of two that is further on, with equal states the one that came to it later."""
        return max(self, other, key=KeyState._rank)


@dataclass(frozen=True)
class Lifecycle:
    """All that is known of an environment's keys; ``postponed`` says before when a domain's rotation does not begin."""

    keys: tuple[KeyState, ...] = ()
    postponed: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether there is anything written down yet."""
        return bool(self.keys)

    def of(self, domain: str, *states: str) -> tuple[KeyState, ...]:
        """Return the keys of ``domain`` in one of ``states``, in any of them if none is named."""
        return tuple(key for key in self.keys if key.domain == domain and key.state in (states or STATES))

    def find(self, domain: str, selector: str) -> KeyState | None:
        """Return what is known of one key."""
        return next((key for key in self.keys if key.name == (domain, selector)), None)

    def put(self, *keys: KeyState) -> Lifecycle:
        """Return this with ``keys`` added, or moved on."""
        found = {key.name: key for key in (*self.keys, *keys)}
        return Lifecycle(tuple(sorted(found.values())), self.postponed)


def united(copies: Iterable[Lifecycle]) -> Lifecycle:
    """Return what the copies of all hosts say together."""
    keys: dict[tuple[str, str], KeyState] = {}
    postponed: dict[str, datetime] = {}
    for copy in copies:
        for key in copy.keys:
            keys[key.name] = key.later(keys.get(key.name, key))
        for domain, until in copy.postponed.items():
            postponed[domain] = max(until, postponed.get(domain, until))
    return Lifecycle(tuple(sorted(keys.values())), postponed)


def to_document(known: Lifecycle, environment: str) -> dict[str, Any]:
    """Return the content of the state file, as JSON has it."""
    return {
        "version": VERSION,
        "environment": environment,
        "keys": [
            {
                "domain": key.domain,
                "selector": key.selector,
                "algorithm": key.algorithm,
                "state": key.state,
                "since": text(key.since),
                **({"record": key.record} if key.record else {}),
            }
            for key in sorted(known.keys)
        ],
        "postponed": {domain: text(until) for domain, until in sorted(known.postponed.items())},
    }


def from_document(document: Mapping[str, Any] | None, environment: str) -> Lifecycle:
    """Return what a state file says; nothing is known without one.

    Raises :class:`StateError` for a file of another version or environment, or one that does not read as it should.
    """
    if not document:
        return Lifecycle()
    if document.get("version") != VERSION:
        raise StateError(f"it has version {document.get('version')!r}, and this Postseal knows {VERSION} only")
    if document.get("environment") != environment:
        raise StateError(f"it is of environment {document.get('environment')!r}, not {environment}")
    try:
        keys = tuple(_key(entry) for entry in document["keys"])
        postponed = {str(domain): moment(until) for domain, until in document["postponed"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StateError(f"it does not read as it should ({type(error).__name__}: {error})") from None
    if len({key.name for key in keys}) != len(keys):
        raise StateError("it has a selector twice")
    return Lifecycle(tuple(sorted(keys)), postponed)


def _key(entry: Mapping[str, Any]) -> KeyState:
    if entry["state"] not in STATES:
        raise ValueError(f"{entry['state']!r} is not a state")
    domain, selector, algorithm = (str(entry[part]) for part in ("domain", "selector", "algorithm"))
    record = str(entry.get("record", ""))
    return KeyState(domain, selector, algorithm, entry["state"], moment(entry["since"]), record)


def moment(written: str) -> datetime:
    """Return the moment in ``2026-11-28T06:40:00Z``; raises :class:`ValueError`."""
    return datetime.strptime(written, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def text(when: datetime) -> str:
    """Return the inverse of :func:`moment`."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
