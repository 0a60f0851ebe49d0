# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which keys sign: those that the world has seen begin, those that no host signs with any more retire. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from ..model.keys import DkimPublicKey, HostKeys
from ..model.types import Model
from .lifecycle import Sight, Turn
from .states import PLANNED, PUBLISHED, RETIRING, SIGNING, UNDER_WAY, KeyState, Lifecycle


def seen(model: Model, known: Lifecycle, sights: Iterable[Sight]) -> Turn:
    """Return what keys under way come to by what was seen of their records.

    A key signs once all servers have been seen with it for as long as resolvers may hold on to what was there before,
    and for ``prepublish``. Where nothing of the domain signs yet there is nothing to wait for.
    """
    domains = {domain.name: domain for domain in model.sending_domains}
    moved, notes = known, []
    for sight in sorted(sights, key=lambda found: (found.domain, found.selector)):
        key, domain = moved.find(sight.domain, sight.selector), domains.get(sight.domain)
        if key is None or domain is None or key.state not in UNDER_WAY:
            continue
        if not sight.exact:
            if key.state == PUBLISHED:
                # What was seen is gone from a server, so that the wait begins anew.
                moved = moved.put(replace(key, since=sight.at))
            notes.append(f"{key.domain}: {key.selector} does not sign yet: {sight.detail}")
            continue
        if key.state == PLANNED:
            key = replace(key, state=PUBLISHED, since=sight.at)
        wait = timedelta(seconds=max(domain.dkim.prepublish, sight.stale) if known.of(key.domain, SIGNING) else 0)
        if key.since + wait <= sight.at:
            key = replace(key, state=SIGNING, since=sight.at)
        moved = moved.put(key)
    return Turn(moved, (), tuple(notes))


def switched(model: Model, known: Lifecycle, signing: Mapping[str, Iterable[tuple[str, str]]], now: datetime) -> Turn:
    """Return what keys come to by what hosts sign with: by host, the (domain, selector) of every key it signs with.

    A key retires once every mail host of the model signs with the one after it.
    """
    hosts = {host.name: set(signing.get(host.name, ())) for host in model.hosts}
    moved, notes = known, []
    for domain in model.sending_domains:
        for newest, older in _succession(known, domain.name):
            behind = sorted(host for host, keys in hosts.items() if newest.name not in keys)
            if behind:
                names = ", ".join(key.selector for key in older)
                notes.append(f"{domain.name}: {names} cannot retire: {', '.join(behind)} may still sign with it")
            else:
                moved = moved.put(*(replace(key, state=RETIRING, since=now) for key in older))
    return Turn(moved, (), tuple(notes))


def _succession(known: Lifecycle, domain: str) -> Iterator[tuple[KeyState, list[KeyState]]]:
    """Yield, of each algorithm with several keys that sign, the newest and the others."""
    found: dict[str, list[KeyState]] = {}
    for key in known.of(domain, SIGNING):
        found.setdefault(key.algorithm, []).append(key)
    for keys in found.values():
        *older, newest = sorted(keys, key=lambda key: (key.since, key.selector))
        if older:
            yield newest, older


def superseded(known: Lifecycle) -> bool:
    """Tell whether some key may retire as soon as all hosts sign with the one after it."""
    return any(True for domain in {key.domain for key in known.keys} for _ in _succession(known, domain))


def signing_keys(keys: HostKeys) -> tuple[DkimPublicKey, ...]:
    """Return what a host signs with: of each domain and algorithm, the newest key that may sign and that it holds.

    A host on which no state was ever kept signs with all that it holds, as it did before there were states.
    """
    if not keys.lifecycle.known:
        return keys.dkim
    held = {(key.domain, key.selector): key for key in keys.dkim}
    newest: dict[tuple[str, str], KeyState] = {}
    for state in keys.lifecycle.keys:
        if state.state == SIGNING and state.name in held:
            other = newest.get((state.domain, state.algorithm), state)
            newest[state.domain, state.algorithm] = max(state, other, key=lambda key: (key.since, key.selector))
    return tuple(held[state.name] for _, state in sorted(newest.items()))
