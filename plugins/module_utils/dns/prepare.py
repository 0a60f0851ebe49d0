# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""From claims to plans for every zone: find the zones, read them, plan, check rules and limits. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from .claims import Claim, Pending, SlotOf, no_slots, summary
from .errors import DnsError, LimitExceeded, LintError, PlanError, Several
from .findings import ERROR, Finding, Lint, no_rules
from .jobs import Assignment, Job, Route, all_of, assign, fetch, follow_cuts, good, in_parallel, unclaimed
from .leftovers import NOTHING_ELSE, Leftovers
from .limits import Limits, refusals
from .plan import Rules, ZonePlan, fingerprint
from .providers.base import Batch, Provider
from .records import Key
from .restore import SavedSet, plan_restore
from .settle import plan_zone
from .snapshot import Snapshot


@dataclass(frozen=True)
class Options:
    """What holds for all zones of a run besides what is wanted of them.

    :param prune: remove values of ours that nobody claims any more
    :param zones: zones to look for such values in, besides those that claims lead to
    :param slot_of: which slot a value is in
    :param lint: the rules that records are checked by before they are published
    :param last_owned: how many values of ours each zone held when it was last seen
    :param ended: record sets of which nothing of ours shall stay, whatever ``prune`` says
    :param apart: a zone that cannot be read or planned, or may not be written, stops no other one
    """

    prune: bool = False
    zones: tuple[str, ...] = ()
    slot_of: SlotOf = no_slots
    lint: Lint = no_rules
    last_owned: Mapping[str, int] = field(default_factory=dict)
    ended: frozenset[Key] = frozenset()
    apart: bool = False


@dataclass(frozen=True)
class Terms:
    """All that a zone is planned by, so that it can be planned again from a newer look.

    :param later: record sets that stay as they are until other zones are written
    """

    owner: str
    limits: Limits
    options: Options = Options()
    claimed: Leftovers = NOTHING_ELSE
    later: frozenset[Key] = frozenset()


@dataclass(frozen=True)
class Prepared:
    """One zone as it is, and what is to be done to it.

    :param findings: what rules say about the zone as it will be
    :param refusals: reasons not to do it, findings that are errors included
    """

    job: Job
    snapshot: Snapshot
    plan: ZonePlan
    batches: tuple[Batch, ...]
    refusals: tuple[DnsError, ...]
    findings: tuple[Finding, ...] = ()
    terms: Terms = field(default_factory=lambda: Terms("", Limits()), repr=False)

    @cached_property
    def changing(self) -> frozenset[Key]:
        """The record sets that change, the registry left out."""
        return frozenset(change.key for change in self.plan.changes if change.guarded)

    @property
    def calls(self) -> int:
        """How many requests writing takes."""
        return sum(batch.calls for batch in self.batches)

    @property
    def atomic(self) -> bool:
        """Whether all of the plan happens or nothing of it."""
        return self.job.provider.caps.atomic != "none" and len(self.batches) <= 1


@dataclass(frozen=True)
class Preparation:
    """Plans for all zones. ``fingerprint`` identifies them; ``notes`` say what was left out and why."""

    zones: tuple[Prepared, ...]
    fingerprint: str
    notes: tuple[str, ...]
    pending: tuple[Pending, ...] = ()
    failures: tuple[DnsError, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What rules say about the zones as they will be."""
        return tuple(finding for item in self.zones for finding in item.findings)

    def complete(self) -> None:
        """Raise :class:`PlanError` for what must not wait: check mode may show such a plan, nothing may apply it."""
        open_ends = [item for item in self.pending if item.remedy]
        if open_ends:
            raise PlanError("; ".join(summary(open_ends)), open_ends[0].remedy)

    def check(self, approved: str | None = None, differences: Callable[[], Sequence[str]] = tuple) -> None:
        """Raise what forbids to apply the plans, unless ``approved`` is their fingerprint.

        :param differences: tells how the approved plan differs from this one, where that is known

        Raises :class:`PlanError` when ``approved`` is another plan's, and what no approval gets past.
        """
        if approved is not None and approved != self.fingerprint:
            lines = "".join(f"\n  {line}" for line in differences())
            raise PlanError(
                f"the plan is {self.fingerprint} now, not {approved}{lines}",
                "Look at it again with --check --diff: the inventory, the keys or a zone has changed since",
            )
        reasons = [error for item in self.zones for error in item.refusals]
        final = [error for error in reasons if isinstance(error, LimitExceeded) and error.final]
        if final:
            raise LimitExceeded("; ".join(map(str, final)), final=True)
        if approved is None and reasons:
            kind = LimitExceeded if any(isinstance(error, LimitExceeded) for error in reasons) else LintError
            raise kind("; ".join(map(str, reasons)), f"If that is what you want, say: -e plan={self.fingerprint}")


def prepare(
    claims: Sequence[Claim],
    pending: Sequence[Pending],
    route: Route,
    owner: str,
    limits: Limits,
    *,
    options: Options = Options(),  # immutable
) -> Preparation:
    """Plan all claims on behalf of ``owner``.

    Raises every :class:`DnsError` there is: a claim outside all managed zones, a provider that cannot list, a
    conflict. Plans beyond ``limits`` are returned with their refusals, so that check mode can show them.
    """
    failures: list[DnsError] | None = [] if options.apart else None
    placed = assign(claims, pending, route, failures)
    extra = unclaimed(options.zones, placed.jobs, route)
    keys = frozenset(claim.key for claim in claims)
    claimed = Leftovers(options.prune, keys, tuple(pending), options.slot_of, options.ended)
    terms = Terms(owner, limits, options, claimed)
    looked = good(in_parallel(_looking(owner), placed.jobs), failures)
    looked += _seen(extra, owner, notes := list(extra.notes))
    planned = _plan(follow_cuts(looked, owner), terms, failures)
    if failures is not None:
        failures += [error for item in planned for error in item.refusals]
        planned = [item for item in planned if not item.refusals]
    made = _preparation(planned, (*placed.notes, *notes), pending)
    return replace(made, failures=tuple(failures or ()))


def prepare_restore(
    saved: Mapping[tuple[str, str], Sequence[SavedSet]],
    provider_of: Callable[[str], Provider],
    owner: str,
    limits: Limits,
    *,
    options: Options = Options(),  # immutable
) -> Preparation:
    """Plan the way back to ``saved`` sets, given by (provider, zone). Raises like :func:`prepare`."""
    jobs = [Job(provider_of(name), zone, saved=tuple(sets)) for (name, zone), sets in sorted(saved.items())]
    terms = Terms(owner, limits, options)
    looked = all_of(in_parallel(_looking(owner), jobs))
    return _preparation(_plan(looked, terms), (), ())


def _plan(
    looked: Sequence[tuple[Job, Snapshot]], terms: Terms, failures: list[DnsError] | None = None
) -> list[Prepared]:
    drawn = good(in_parallel(lambda found: _drawn(*found, terms), looked, workers=1), failures)
    return good(in_parallel(_judged, drawn), failures)


def _drawn(job: Job, snapshot: Snapshot, terms: Terms) -> Prepared:
    """Return :func:`draw`; what is wrong names zone and provider too."""
    try:
        return draw(job, snapshot, terms)
    except PlanError as error:
        raise _placed(job, error) from error
    except Several as several:
        found = [_placed(job, error) if isinstance(error, PlanError) else error for error in several.errors]
        raise Several(found) from several


def _placed(job: Job, error: PlanError) -> PlanError:
    return type(error)(f"DNS provider {job.provider.name}, zone {job.zone}: {error.message}", error.hint)


def _looking(owner: str) -> Callable[[Job], tuple[Job, Snapshot]]:
    return lambda job: (job, fetch(job, owner))


def _seen(extra: Assignment, owner: str, notes: list[str]) -> list[tuple[Job, Snapshot]]:
    """Look at zones that nothing is wanted of; one that cannot be read is noted."""
    found = []
    for job, result in zip(extra.jobs, in_parallel(_looking(owner), extra.jobs), strict=True):
        if isinstance(result, DnsError):
            notes.append(f"zone {job.zone} is not looked at for values that nobody claims any more: {result.message}")
        else:
            found.append(result)
    return found


def _preparation(items: Iterable[Prepared], notes: Sequence[str], pending: Sequence[Pending]) -> Preparation:
    zones = tuple(sorted(items, key=lambda item: item.snapshot.zone))
    kept = [note for item in zones for note in item.plan.notes]
    told = tuple(dict.fromkeys((*notes, *kept, *summary(pending))))
    return Preparation(zones, fingerprint(item.plan for item in zones), told, tuple(pending))


def plan_job(job: Job, snapshot: Snapshot, terms: Terms) -> Prepared:
    """Return the plan for ``job`` on ``snapshot`` with the calls it takes and the reasons not to apply it."""
    return _judged(draw(job, snapshot, terms))


def _judged(item: Prepared) -> Prepared:
    """Return the plan with what the rules say about it; they may have to resolve names for an answer."""
    rules = item.terms.options.lint
    lint = rules(item.job.zone, item.plan.after(item.snapshot), frozenset(item.plan.expected))
    findings = tuple(sorted(lint, key=lambda found: (found.name, found.type, found.rule)))
    # What was wrong before and stays as it is must not keep the rest from being put right.
    changed = {change.key for change in item.plan.changes}
    wrong = [LintError(str(it)) for it in findings if it.severity == ERROR and (it.name, it.type) in changed]
    return replace(item, findings=findings, refusals=(*item.refusals, *wrong))


def draw(job: Job, snapshot: Snapshot, terms: Terms) -> Prepared:
    """Return :func:`plan_job` without asking the rules."""
    caps = job.provider.caps
    rules = Rules(caps.min_ttl, caps.max_ttl, caps.registry, caps.atomic != "none", caps.registry_room)
    plan = _planned(job, snapshot, terms, rules)
    batches = _rendered(job, plan, snapshot)
    if len(batches) > 1 and caps.registry and caps.atomic == "batch":
        # It does not go out at once after all, so no value may be without its line in between.
        plan = _planned(job, snapshot, terms, replace(rules, atomic=False))
        batches = _rendered(job, plan, snapshot)
    refused = refusals(plan, snapshot, terms.limits, terms.options.last_owned.get(job.zone, 0), terms.options.ended)
    return Prepared(job, snapshot, plan, batches, tuple(refused), (), terms)


def _planned(job: Job, snapshot: Snapshot, terms: Terms, rules: Rules) -> ZonePlan:
    if job.saved is not None:
        return plan_restore(job.saved, snapshot, terms.owner, rules, terms.options.slot_of, later=terms.later)
    return plan_zone(
        job.claims,
        snapshot,
        terms.owner,
        rules=rules,
        pending=job.pending,
        leftovers=terms.claimed,
        later=terms.later,
    )


def _rendered(job: Job, plan: ZonePlan, snapshot: Snapshot) -> tuple[Batch, ...]:
    return () if plan.empty else tuple(job.provider.render(plan, snapshot))
