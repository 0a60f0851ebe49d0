# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Carry out plans: zones at once, except for those that lead to each other (:mod:`.waves`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .errors import ConflictError, DnsError, HeldBack, LimitExceeded
from .jobs import in_parallel
from .outcome import outcome
from .prepare import Preparation, Prepared, draw, plan_job
from .records import Key
from .waves import Part, parts, waves
from .zonerun import Policy, ZoneReport, ZoneRun, report_of

__all__ = ["Policy", "ZoneReport", "execute", "foresee"]

_WORST_FIRST = ("unknown", "failed", "held", "changed", "unchanged")


def foresee(preparation: Preparation) -> list[ZoneReport]:
    """Return what :func:`execute` would do, for check mode."""
    return [
        replace(
            report_of(item, "unchanged" if item.plan.empty else "planned", serial=item.snapshot.serial),
            calls=item.calls * count,
            atomic=item.atomic and count == 1,
        )
        for item, count in zip(preparation.zones, parts(preparation.zones), strict=True)
    ]


def execute(preparation: Preparation, policy: Policy) -> list[ZoneReport]:
    """Apply all plans and return one report per zone. A failing zone only stops what leads to it."""
    courses = [_Course(item, policy) for item in preparation.zones]
    for wave in waves(preparation.zones):
        stopped = frozenset(number for number, course in enumerate(courses) if course.stopped)
        for part in wave:
            courses[part.zone].begin(part, stopped, preparation.zones)
        in_parallel(lambda part: courses[part.zone].go(), wave)
    return [course.report() for course in courses]


class _Course:
    """One zone's way through the waves."""

    def __init__(self, item: Prepared, policy: Policy) -> None:
        self.item, self.policy = item, policy
        self.snapshot = item.snapshot
        self.allowed: frozenset[Key] = frozenset()
        self.held: dict[Key, tuple[str, ...]] = {}
        self.reports: list[ZoneReport] = []
        self.ready = False

    @property
    def stopped(self) -> bool:
        """Tell whether something of the zone is not as it should be by now."""
        return bool(self.held) or any(report.error for report in self.reports)

    def begin(self, part: Part, stopped: frozenset[int], zones: Sequence[Prepared]) -> None:
        """Take up a part of the plan, without what leads to zones that are ``stopped``."""
        keys = self.item.changing if part.keys is None else part.keys
        if part.zone in stopped:
            self.held.update((key, (self.item.job.zone,)) for key in keys)
        for key, needs in part.needs.items():
            if needs & stopped:
                self.held[key] = tuple(sorted(zones[number].job.zone for number in needs & stopped))
        self.allowed |= keys - self.held.keys()
        self.ready = bool(keys - self.held.keys()) or not keys

    def go(self) -> None:
        """Carry out the part that was begun; what becomes of it is in the reports."""
        if not self.ready:
            return
        try:
            run = ZoneRun(self._part(), self.policy)
        except DnsError as error:
            self.reports.append(report_of(self.item, "failed", error=str(error), owned=self.item.plan.owned))
            return
        self.reports.append(run.report())
        self.snapshot = run.snapshot

    def _part(self) -> Prepared:
        """Return the plan of what is allowed by now; raises where that is not what was planned before all began."""
        later = self.item.changing - self.allowed
        if not later and not self.reports:
            return self.item
        terms = replace(self.item.terms, later=later)
        made = draw(self.item.job, self.snapshot, terms)
        planned = set(self.item.plan.changes)
        if all(change in planned for change in made.plan.changes if change.guarded):
            return made
        if not self.policy.replan:
            name, zone = self.item.job.provider.name, self.item.job.zone
            raise ConflictError(name, zone, "the zone changed while others were written", "Run dns.yml again")
        made = plan_job(self.item.job, self.snapshot, terms)
        if made.refusals:
            raise LimitExceeded("; ".join(map(str, made.refusals)))
        return made

    def report(self) -> ZoneReport:
        """Return what became of the zone in all."""
        if len(self.reports) == 1 and not self.held:
            return self.reports[0]
        last = self.reports[-1] if self.reports else report_of(self.item, "held", owned=self.item.plan.owned)
        states = {report.state for report in self.reports} | ({"held"} if self.held else set())
        state = next(state for state in _WORST_FIRST if state in states)
        errors = [report.error for report in self.reports if report.error]
        errors += [str(self._waiting())] if self.held and not errors else []
        missing = state in ("failed", "held")
        became = outcome(self.item.plan, self.snapshot) if missing else last
        return replace(
            last,
            state=state,
            changes=len(self.item.plan.changes),
            calls=sum(report.calls for report in self.reports),
            atomic=self.item.atomic and len(self.reports) <= 1,
            written=any(report.written for report in self.reports),
            error="\n".join(errors),
            done=became.done,
            open=became.open,
            seconds=sum(report.seconds for report in self.reports),
        )

    def _waiting(self) -> HeldBack:
        zones = ", ".join(sorted({zone for found in self.held.values() for zone in found}))
        names = ", ".join(f"{name} {rrtype}" for name, rrtype in sorted(self.held))
        hint = "Put that right and run dns.yml again"
        job = self.item.job
        return HeldBack(job.provider.name, job.zone, f"not written because of what failed in {zones}: {names}", hint)
