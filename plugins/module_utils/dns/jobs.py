# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is wanted of each zone: claims go where their anchor's zone is, and below a delegation to the zone behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from .claims import Claim, Pending
from .errors import DnsError, PlanError, Several, TransportError, ZoneNotFound
from .providers.base import Provider
from .records import Key
from .registry import marks_of, registry_key, registry_keys
from .restore import SavedSet
from .snapshot import Snapshot

Route = Callable[[str], Provider | None]
"""Returns the provider responsible for a name, ``None`` if the inventory names none."""

WORKERS = 8
# Reading may be repeated, so a lost packet need not end a run.
_LOOKS, _PAUSE = 2, 0.5
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Job:
    """What is wanted of one zone: ``claims``, or ``saved`` sets that shall come back."""

    provider: Provider
    zone: str
    claims: tuple[Claim, ...] = ()
    pending: tuple[Pending, ...] = ()
    saved: tuple[SavedSet, ...] | None = None

    @property
    def keys(self) -> set[Key]:
        """Record sets that have to be looked at."""
        found = {claim.key for claim in self.claims} | {item.key for item in self.saved or ()}
        return found | {registry_key(self.zone), registry_key(self.zone, 1)}


def in_parallel(work: Callable[[T], R], items: Sequence[T], workers: int = WORKERS) -> list[R | DnsError]:
    """Return ``work`` of each item, or the :class:`DnsError` it raised, in the order of ``items``.

    :param workers: how many items at once; work that waits for nobody is done sooner by one
    """

    def guarded(item: T) -> R | DnsError:
        try:
            return work(item)
        except DnsError as error:
            return error

    if min(workers, len(items)) <= 1:
        return [guarded(item) for item in items]
    with ThreadPoolExecutor(min(workers, len(items))) as pool:
        return list(pool.map(guarded, items))


def all_of(results: Iterable[R | DnsError]) -> list[R]:
    """Return the results; raises every error among them, each once."""
    listed = list(results)
    errors = {str(result): result for result in listed if isinstance(result, DnsError)}
    if errors:
        raise next(iter(errors.values())) if len(errors) == 1 else Several(list(errors.values()))
    return [result for result in listed if not isinstance(result, DnsError)]


def good(results: Iterable[R | DnsError], failures: list[DnsError] | None) -> list[R]:
    """Return the results without the errors, which are added to ``failures``; without such a list, :func:`all_of`."""
    if failures is None:
        return all_of(results)
    listed = list(results)
    failures += [result for result in listed if isinstance(result, DnsError)]
    return [result for result in listed if not isinstance(result, DnsError)]


def fetch(job: Job, owner: str, also: Iterable[Key] = ()) -> Snapshot:
    """Return the zone of ``job`` as it is now, with all sets that ``owner`` has marked, and those in ``also``.

    Where the provider can only be asked set by set, further questions are about the rest of the registry and about
    those sets that nobody claims any more.
    """
    keys = job.keys | set(also)
    snapshot = _look(job, keys)
    while not snapshot.whole and not keys.issuperset(registry := registry_keys(snapshot)):
        keys |= set(registry)
        snapshot = _look(job, keys)
    more = keys | set(marks_of(snapshot).get(owner, {}))
    if snapshot.whole or (more == keys and job.saved is None):
        return snapshot
    # Whether a policy may go depends on the mail that the name gets.
    mail = {(name.removeprefix("_dmarc."), "MX") for name, rrtype in more if rrtype == "TXT"}
    return _look(job, more | mail)


def _look(job: Job, keys: set[Key]) -> Snapshot:
    for attempt in range(1, _LOOKS + 1):
        try:
            return job.provider.fetch(job.zone, keys)
        except TransportError:
            if attempt == _LOOKS:
                raise
            time.sleep(_PAUSE)
    raise AssertionError("a loop of at least one round")


@dataclass(frozen=True)
class Assignment:
    """One job per zone, and notes on what is left out because nobody manages its zone."""

    jobs: tuple[Job, ...]
    notes: tuple[str, ...]


def assign(
    claims: Sequence[Claim], pending: Sequence[Pending], route: Route, failures: list[DnsError] | None = None
) -> Assignment:
    """Group claims by zone. Raises :class:`PlanError` for a required claim that no provider is named for.

    With a list of ``failures``, what cannot be placed is added to it and left out instead.
    """
    subjects = {claim.anchor: claim.subject for claim in claims if claim.required}
    anchors = sorted({claim.anchor for claim in claims})

    def place(anchor: str) -> tuple[Provider, str] | str:
        """Return :func:`place_of`, or the reason for which the name is left out where failures are gathered."""
        try:
            return place_of(anchor)
        except DnsError as error:
            if failures is None:
                raise
            failures.append(error)
            return error.message

    def place_of(anchor: str) -> tuple[Provider, str] | str:
        """Return who holds the name and in which zone, or the reason why its records are left out."""
        provider = route(anchor)
        if provider is not None:
            try:
                return provider, provider.zone_of(anchor)
            except ZoneNotFound as error:
                if anchor in subjects:
                    raise
                return error.message
        message = f"no DNS provider is named for {anchor}"
        if anchor in subjects:
            raise PlanError(f"{subjects[anchor]}: {message}", "Add its zone to postseal_dns.zones")
        return message

    places: list[tuple[Provider, str] | str] = all_of(in_parallel(place, anchors))
    notes: list[str] = []
    zones: dict[str, tuple[str, str]] = {}
    providers: dict[tuple[str, str], Provider] = {}
    for anchor, found in zip(anchors, places, strict=True):
        if isinstance(found, str):
            notes.append(f"the records of {anchor} are left to whoever runs its zone: {found}")
        else:
            provider, zone = found
            zones[anchor] = (provider.name, zone)
            providers[provider.name, zone] = provider
    asked: dict[tuple[str, str], list[Claim]] = {key: [] for key in providers}
    waiting: dict[tuple[str, str], list[Pending]] = {key: [] for key in providers}
    for claim in claims:
        if claim.anchor in zones:
            asked[zones[claim.anchor]].append(claim)
    for item in pending:
        if item.anchor in zones:
            waiting[zones[item.anchor]].append(item)
    jobs = [Job(providers[key], key[1], tuple(asked[key]), tuple(waiting[key])) for key in providers]
    return Assignment(tuple(jobs), tuple(notes))


def unclaimed(zones: Iterable[str], jobs: Sequence[Job], route: Route) -> Assignment:
    """Return jobs without claims for those of ``zones`` that have none, to find what is left over there.

    That a zone cannot be found is noted: nothing is removed where nothing can be seen.
    """
    known = {(job.provider.name, job.zone) for job in jobs}
    found: dict[tuple[str, str], Job] = {}
    notes: list[str] = []
    for zone in sorted(set(zones) - {job.zone for job in jobs}):
        provider = route(zone)
        try:
            actual = provider.zone_of(zone) if provider else None
        except DnsError as error:
            notes.append(f"zone {zone} is not looked at for values that nobody claims any more: {error.message}")
            continue
        if provider and actual is not None and (provider.name, actual) not in known:
            found[provider.name, actual] = Job(provider, actual)
    return Assignment(tuple(found.values()), tuple(notes))


def follow_cuts(looked: Sequence[tuple[Job, Snapshot]], owner: str) -> list[tuple[Job, Snapshot]]:
    """Move claims on names that are delegated out of their anchor's zone to the zone that has them.

    A provider that does not serve that zone keeps the claims where they are: the plan then names the delegation.
    """
    found = {(job.provider.name, job.zone): (job, snapshot) for job, snapshot in looked}
    for job, snapshot in looked:
        moved: dict[str, list[Claim]] = {}
        for claim in job.claims if snapshot.cuts else ():
            if snapshot.cut(claim.name):
                try:
                    zone = job.provider.zone_of(claim.name)
                except ZoneNotFound:
                    continue
                moved.setdefault(zone, []).append(claim)
        for zone, claims in moved.items():
            if zone == job.zone:
                continue
            there = found.get((job.provider.name, zone))
            both = Job(job.provider, zone, (*(there[0].claims if there else ()), *claims), job.pending)
            found[job.provider.name, zone] = (both, fetch(both, owner))
            stay, here = found[job.provider.name, job.zone]
            left = tuple(claim for claim in stay.claims if claim not in claims)
            found[job.provider.name, job.zone] = (replace(stay, claims=left), here)
    return list(found.values())
