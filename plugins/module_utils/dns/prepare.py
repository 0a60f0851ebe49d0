# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""From claims to plans for every zone: find the zones, read them, plan, check the limits. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from .claims import Claim, Pending, summary
from .errors import DnsError, LimitExceeded, PlanError, Several, ZoneNotFound
from .limits import Limits, refusals
from .ownership import registry_key
from .plan import Rules, ZonePlan, fingerprint, plan_zone
from .providers.base import Batch, Provider
from .snapshot import Snapshot

Route = Callable[[str], Provider | None]
"""Returns the provider responsible for a name, ``None`` if the inventory names none."""

WORKERS = 8
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Job:
    """What is wanted of one zone."""

    provider: Provider
    zone: str
    claims: tuple[Claim, ...]
    pending: tuple[Pending, ...]


@dataclass(frozen=True)
class Prepared:
    """One zone as it is, and what is to be done to it."""

    job: Job
    snapshot: Snapshot
    plan: ZonePlan
    batches: tuple[Batch, ...]
    refusals: tuple[DnsError, ...]


@dataclass(frozen=True)
class Preparation:
    """Plans for all zones. ``fingerprint`` identifies them; ``notes`` say what was left out and why."""

    zones: tuple[Prepared, ...]
    fingerprint: str
    notes: tuple[str, ...]
    pending: tuple[Pending, ...] = ()

    def complete(self) -> None:
        """Raise :class:`PlanError` for what must not wait: check mode may show such a plan, nothing may apply it."""
        open_ends = [item for item in self.pending if item.remedy]
        if open_ends:
            raise PlanError("; ".join(summary(open_ends)), open_ends[0].remedy)

    def check(self, approved: str | None = None) -> None:
        """Raise what forbids to apply the plans, unless ``approved`` is their fingerprint.

        Raises :class:`PlanError` when ``approved`` is another plan's.
        """
        if approved is not None and approved != self.fingerprint:
            raise PlanError(
                f"the plan is {self.fingerprint} now, not {approved}",
                "Look at it again with --check --diff: the inventory, the keys or a zone has changed since",
            )
        if approved is None:
            fix = f"If that is what you want, say: -e plan={self.fingerprint}"
            reasons = [str(error) for item in self.zones for error in item.refusals]
            if reasons:
                raise LimitExceeded("; ".join(reasons), fix)


def in_parallel(work: Callable[[T], R], items: Sequence[T]) -> list[R | DnsError]:
    """Return ``work`` of each item, or the :class:`DnsError` it raised, in the order of ``items``."""

    def guarded(item: T) -> R | DnsError:
        try:
            return work(item)
        except DnsError as error:
            return error

    if len(items) <= 1:
        return [guarded(item) for item in items]
    with ThreadPoolExecutor(min(WORKERS, len(items))) as pool:
        return list(pool.map(guarded, items))


def all_of(results: Iterable[R | DnsError]) -> list[R]:
    """Return the results; raises every error among them, each once."""
    listed = list(results)
    errors = {str(result): result for result in listed if isinstance(result, DnsError)}
    if errors:
        raise next(iter(errors.values())) if len(errors) == 1 else Several(list(errors.values()))
    return [result for result in listed if not isinstance(result, DnsError)]


def prepare(
    claims: Sequence[Claim], pending: Sequence[Pending], route: Route, owner: str, limits: Limits
) -> Preparation:
    """Plan all claims on behalf of ``owner``.

    Raises every :class:`DnsError` there is: a claim outside all managed zones, a provider that cannot list, a
    conflict. Plans beyond ``limits`` are returned with their refusals, so that check mode can show them.
    """
    jobs, notes = _assign(claims, pending, route)

    def look(job: Job) -> tuple[Job, Snapshot]:
        return job, fetch(job)

    looked = all_of(in_parallel(look, jobs))
    prepared = all_of(in_parallel(lambda found: plan_job(*found, owner, limits), _follow_cuts(looked)))
    zones = tuple(sorted(prepared, key=lambda item: item.snapshot.zone))
    kept = [note for item in zones for note in item.plan.notes]
    told = (*notes, *kept, *summary(pending))
    return Preparation(zones, fingerprint(item.plan for item in zones), told, tuple(pending))


def fetch(job: Job) -> Snapshot:
    """Return the zone of ``job`` as it is now."""
    return job.provider.fetch(job.zone, {*(claim.key for claim in job.claims), registry_key(job.zone)})


def plan_job(job: Job, snapshot: Snapshot, owner: str, limits: Limits) -> Prepared:
    """Return the plan for ``job`` on ``snapshot`` with the calls it takes and the reasons not to apply it."""
    caps = job.provider.caps
    plan = plan_zone(
        job.claims, snapshot, owner, rules=Rules(caps.min_ttl, caps.max_ttl, caps.registry), pending=job.pending
    )
    batches = () if plan.empty else tuple(job.provider.render(plan, snapshot))
    return Prepared(job, snapshot, plan, batches, tuple(refusals(plan, snapshot, limits)))


def _assign(claims: Sequence[Claim], pending: Sequence[Pending], route: Route) -> tuple[list[Job], tuple[str, ...]]:
    """Return one job per zone, and notes on claims that are left out because nobody manages their zone."""
    subjects = {claim.anchor: claim.subject for claim in claims if claim.required}
    anchors = sorted({claim.anchor for claim in claims})

    def place(anchor: str) -> tuple[Provider, str] | str:
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
    jobs = [
        Job(
            provider,
            key[1],
            tuple(claim for claim in claims if zones.get(claim.anchor) == key),
            tuple(item for item in pending if zones.get(item.anchor) == key),
        )
        for key, provider in providers.items()
    ]
    return jobs, tuple(notes)


def _follow_cuts(looked: Sequence[tuple[Job, Snapshot]]) -> list[tuple[Job, Snapshot]]:
    """Move claims on names that are delegated out of their anchor's zone to the zone that has them.

    A provider that does not serve that zone keeps the claims where they are: the plan then names the delegation.
    """
    found = {(job.provider.name, job.zone): (job, snapshot) for job, snapshot in looked}
    for job, snapshot in looked:
        moved: dict[str, list[Claim]] = {}
        for claim in job.claims:
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
            found[job.provider.name, zone] = (both, fetch(both))
            stay, here = found[job.provider.name, job.zone]
            left = tuple(claim for claim in stay.claims if claim not in claims)
            found[job.provider.name, job.zone] = (Job(stay.provider, stay.zone, left, stay.pending), here)
    return list(found.values())
