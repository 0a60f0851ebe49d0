# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The lifecycle of DKIM keys: what the turns of a run are told, and what they lead to. Pure; each domain by itself.

:func:`.begin.begin` does what time and the operator ask for and names the keys to make, :func:`.signing.seen` lets
those that the world can look up sign, :func:`.signing.switched` retires those that nothing signs with any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from ..model.keys import NewKey
from ..model.types import Domain
from .states import PLANNED, PUBLISHED, REMOVED, RETIRING, REVOKED, SIGNING, KeyState, Lifecycle


class LifecycleError(Exception):
    """Keys cannot be moved on safely; the text says why and what to do."""


@dataclass(frozen=True)
class Wishes:
    """What the operator asks for besides what is due, by domain.

    :param rotate: begin now
    :param cancel: drop keys that do not sign yet
    :param postpone: begin nothing by itself before that moment
    :param revoke: revoke every key that there is, at once, and begin anew: it has leaked
    :param lost: give up keys that no host holds any more, and begin anew
    """

    rotate: frozenset[str] = frozenset()
    cancel: frozenset[str] = frozenset()
    postpone: Mapping[str, datetime] = field(default_factory=dict)
    revoke: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()


NO_WISHES = Wishes()


@dataclass(frozen=True)
class Turn:
    """What a turn leads to: what is known then, keys to make, and what the operator should hear."""

    known: Lifecycle
    create: tuple[NewKey, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sight:
    """What was seen of one key's record.

    :param at: when (UTC)
    :param exact: every authoritative server answers with exactly this key
    :param stale: for how many seconds resolvers may go on with what was there before, at most
    :param detail: what was seen otherwise
    """

    domain: str
    selector: str
    at: datetime
    exact: bool
    stale: int
    detail: str = ""


def unused(environment: str, now: date, algorithm: str, used: Iterable[str]) -> str:
    """Return a selector (RFC 6376 3.1) of environment, day and algorithm that is not in ``used``."""
    taken = set(used)
    number = 1
    while True:
        again = f"-{number}" if number > 1 else ""
        selector = f"{environment}-{now:%Y%m%d}{again}-{algorithm}"
        if selector not in taken:
            return selector
        number += 1


def next_step(key: KeyState, domain: Domain | None, stale: int = 0) -> tuple[str, datetime | None]:
    """Return what comes next for a key, and when at the earliest; ``None`` where it waits for something else."""
    if domain is None:
        return "nothing: the inventory has no such domain", None
    policy = domain.dkim
    after = {
        PLANNED: ("published, once every name server has it", None),
        PUBLISHED: ("signing", key.since + timedelta(seconds=max(policy.prepublish, stale))),
        RETIRING: (
            "revoked" if policy.revoke == "empty_p" else "removed",
            key.since + timedelta(seconds=policy.grace),
        ),
        REVOKED: ("removed", key.since + timedelta(seconds=policy.grace)),
        REMOVED: ("nothing", None),
    }
    if key.state != SIGNING:
        return after[key.state]
    if not policy.rotate_every:
        return "nothing: rotate_every is never", None
    return "a new key", key.since + timedelta(seconds=policy.rotate_every)
