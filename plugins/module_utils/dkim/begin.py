# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What keys come to by the calendar and by the operator's wishes, and which keys are to be made. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..model.keys import DkimPublicKey, HostKeys, NewKey
from ..model.types import Domain, Model
from .lifecycle import NO_WISHES, LifecycleError, Turn, Wishes, unused
from .states import (
    PLANNED,
    PRESENT,
    PUBLISHED,
    REMOVED,
    RETIRING,
    REVOKED,
    SIGNING,
    UNDER_WAY,
    KeyState,
    Lifecycle,
    united,
)


def begin(model: Model, held: Sequence[HostKeys], now: datetime, wishes: Wishes = NO_WISHES) -> Turn:
    """Return what the keys of all domains come to by the calendar and by ``wishes``.

    ``held`` is what each mail host holds that was asked. Raises :class:`LifecycleError` where a key that signs is on no
    host that was asked.
    """
    known = united(keys.lifecycle for keys in held)
    holders: dict[tuple[str, str], DkimPublicKey] = {}
    for keys in held:
        holders.update({(key.domain, key.selector): key for key in keys.dkim})
    silent = sorted({host.name for host in model.hosts} - {keys.host for keys in held})
    turns = [
        _Domain(domain, model.environment, known, holders, tuple(silent), now, wishes).turn()
        for domain in model.sending_domains
    ]
    postponed = {**known.postponed, **wishes.postpone}
    moved = Lifecycle(known.keys, {name: until for name, until in postponed.items() if until > now})
    moved = moved.put(*(key for turn in turns for key in turn.known.keys))
    return Turn(
        moved, tuple(new for turn in turns for new in turn.create), tuple(note for turn in turns for note in turn.notes)
    )


@dataclass
class _Domain:
    """One domain's part of :func:`begin`."""

    domain: Domain
    environment: str
    before: Lifecycle
    holders: Mapping[tuple[str, str], DkimPublicKey]
    silent: tuple[str, ...]
    now: datetime
    wishes: Wishes
    notes: list[str] = field(default_factory=list)
    create: list[NewKey] = field(default_factory=list)

    def turn(self) -> Turn:
        name, policy = self.domain.name, self.domain.dkim
        self.keys = {key.selector: key for key in self.before.of(name)}
        self._enter_those_found()
        self._give_up_those_lost()
        if name in self.wishes.revoke:
            self._move({PLANNED: REMOVED, PUBLISHED: REMOVED, SIGNING: REVOKED, RETIRING: REVOKED})
        if name in self.wishes.cancel:
            self._cancel()
        self._follow_the_calendar()
        self._drop_unwanted_algorithms()
        for algorithm in policy.algorithms:
            self._start(algorithm)
        return Turn(Lifecycle(tuple(sorted(self.keys.values()))), tuple(self.create), tuple(self.notes))

    def _all(self, *states: str) -> list[KeyState]:
        return [key for key in self.keys.values() if key.state in states]

    def _to(self, key: KeyState, state: str) -> None:
        self.keys[key.selector] = replace(key, state=state, since=self.now)

    def _move(self, steps: Mapping[str, str]) -> None:
        for key in self._all(*steps):
            self._to(key, steps[key.state])

    def _enter_those_found(self) -> None:
        """Take in keys that hosts hold and nobody wrote down: all of them sign where no state was ever kept."""
        state = PLANNED if self.before.known else SIGNING
        for (domain, selector), key in self.holders.items():
            if (
                domain == self.domain.name
                and selector not in self.keys
                and key.algorithm in self.domain.dkim.algorithms
            ):
                self.keys[selector] = KeyState(domain, selector, key.algorithm, state, self.now)

    def _give_up_those_lost(self) -> None:
        lost = [key for key in self._all(*PRESENT) if key.name not in self.holders]
        for key in lost:
            if self.silent:
                if key.state == SIGNING:
                    raise LifecycleError(self._not_asked(key.algorithm))
                continue
            if key.state in UNDER_WAY:
                self._to(key, REMOVED)
            elif key.state == RETIRING or self.domain.name in self.wishes.lost:
                self._to(key, REVOKED)
            else:
                raise LifecycleError(
                    f"domain {key.domain}: the key of selector {key.selector} signs, and no mail host holds it any "
                    "more. Restore /etc/postseal/dkim from your backup on one of them, or give the key up: "
                    f"rotate_dkim.yml -e domain={key.domain} -e lost=true"
                )

    def _cancel(self) -> None:
        for key in self._all(*UNDER_WAY):
            if any(other.algorithm == key.algorithm for other in self._all(SIGNING)):
                self._to(key, REMOVED)
            else:
                self.notes.append(f"{key.domain}: {key.selector} goes on, as no other {key.algorithm} key signs")

    def _follow_the_calendar(self) -> None:
        policy = self.domain.dkim
        after = REVOKED if policy.revoke == "empty_p" else REMOVED
        over = self.now - timedelta(seconds=policy.grace)
        for key in self._all(REVOKED):
            if key.since <= over:
                self._to(key, REMOVED)
        for key in self._all(RETIRING):
            if key.since <= over:
                self._to(key, after)

    def _drop_unwanted_algorithms(self) -> None:
        wanted = self.domain.dkim.algorithms
        for key in self._all(*UNDER_WAY, SIGNING):
            if key.algorithm in wanted:
                continue
            if key.state != SIGNING:
                self._to(key, REMOVED)
            elif any(other.algorithm in wanted for other in self._all(SIGNING)):
                self._to(key, RETIRING)

    def _start(self, algorithm: str) -> None:
        """Begin with a key where there is none, or where the one that signs is due."""
        signing = [key for key in self._all(SIGNING) if key.algorithm == algorithm]
        if any(key.algorithm == algorithm for key in self._all(*UNDER_WAY)) or (signing and not self._due(signing)):
            return
        if self.silent:
            if not signing:
                raise LifecycleError(self._not_asked(algorithm))
            self.notes.append(f"{self.domain.name}: no new {algorithm} key while {', '.join(self.silent)} is not asked")
            return
        used = {*self.keys, *(selector for domain, selector in self.holders if domain == self.domain.name)}
        new = NewKey(self.domain.name, unused(self.environment, self.now, algorithm, used), algorithm)
        self.create.append(new)
        self.keys[new.selector] = KeyState(new.domain, new.selector, algorithm, PLANNED, self.now)

    def _not_asked(self, algorithm: str) -> str:
        return (
            f"no DKIM key for {self.domain.name} ({algorithm}) was found, but {', '.join(self.silent)} was not "
            "asked and may hold it; run without --limit and with every mail host reachable"
        )

    def _due(self, signing: Iterable[KeyState]) -> bool:
        name, every = self.domain.name, self.domain.dkim.rotate_every
        if name in self.wishes.rotate:
            return True
        postponed = self.wishes.postpone.get(name, self.before.postponed.get(name))
        if not every or name in self.wishes.cancel or (postponed is not None and postponed > self.now):
            return False
        return max(key.since for key in signing) + timedelta(seconds=every) <= self.now
