# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Carry out plans: write, read back, and wait until every authoritative server answers with what was written."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .authority import ServerReport, WaitPolicy, Watch, behind
from .errors import ConflictError, DnsError, Lagging, LimitExceeded, PlanError, TransportError, Unverified
from .limits import Limits
from .prepare import Preparation, Prepared, fetch, in_parallel, plan_job
from .records import shown
from .snapshot import Change, Snapshot

# Each attempt begins with a new look, so a few are enough to get past others who write to the same zone.
_ATTEMPTS = 3


@dataclass(frozen=True)
class ZoneReport:
    """What became of one zone.

    :param state: ``unchanged``, ``planned`` (check mode), ``changed``, ``failed``
    :param written: whether anything was written, also where the zone then failed
    :param calls: messages that the plan takes or took
    """

    zone: str
    provider: str
    state: str
    signed: bool
    changes: int
    calls: int
    written: bool = False
    serial: int = 0
    servers: tuple[ServerReport, ...] = ()
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Policy:
    """How to apply: how long to wait, what limits hold for a second plan, and where progress goes.

    :param replan: a zone that changed meanwhile may be planned anew; not where one exact plan was approved
    """

    wait: WaitPolicy
    limits: Limits
    tell: Callable[[str], None]
    replan: bool = True


def foresee(preparation: Preparation) -> list[ZoneReport]:
    """Return what :func:`execute` would do, for check mode."""
    return [
        _report(item, "unchanged" if item.plan.empty else "planned", serial=item.snapshot.serial)
        for item in preparation.zones
    ]


def execute(preparation: Preparation, policy: Policy) -> list[ZoneReport]:
    """Apply all plans, zones at once, and return one report per zone. A failing zone does not stop the others."""
    results = in_parallel(lambda item: _Run(item, policy).report(), preparation.zones)
    return [
        _report(item, "failed", error=str(result)) if isinstance(result, DnsError) else result
        for item, result in zip(preparation.zones, results, strict=True)
    ]


class _Run:
    """One zone's way from plan to proof; remembers whether anything was written, whatever happens then."""

    def __init__(self, item: Prepared, policy: Policy) -> None:
        self.item, self.policy = item, policy
        self.zone, self.provider = item.job.zone, item.job.provider
        self.written = False
        self.started = time.monotonic()

    def report(self) -> ZoneReport:
        """Do it and tell what became of it."""
        snapshot, servers = self.item.snapshot, tuple[ServerReport, ...]()
        try:
            if self.item.plan.empty:
                snapshot, servers = self.item.snapshot, self._look_around()
            else:
                snapshot, servers = self._write_and_follow()
            error = self._late(servers)
        except DnsError as problem:
            error = str(problem)
        state = "failed" if error else "changed" if self.written else "unchanged"
        return _report(
            self.item,
            state,
            serial=snapshot.serial,
            servers=servers,
            error=error,
            written=self.written,
            seconds=time.monotonic() - self.started,
        )

    def _look_around(self) -> tuple[ServerReport, ...]:
        """Check that servers have what we found; one that an earlier run gave up on must not be forgotten."""
        snapshot = self.item.snapshot
        watch = Watch(self.zone, self.item.plan.expected, self.policy.wait, self.policy.tell, snapshot.serial)
        return tuple(watch.all(self.provider.authorities(snapshot)))

    def _write_and_follow(self) -> tuple[Snapshot, tuple[ServerReport, ...]]:
        count = len(self.item.plan.changes)
        self.policy.tell(f"zone {self.zone}: writing {count} record set{'s' if count > 1 else ''}")
        self._write()
        fresh = self._verified()
        expected = {
            change.key: fresh.plan.expected.get(change.key) for change in self.item.plan.changes if change.guarded
        }
        watch = Watch(self.zone, expected, self.policy.wait, self.policy.tell)
        return fresh.snapshot, tuple(watch.all(self.provider.authorities(fresh.snapshot)))

    def _write(self) -> None:
        """Write the plan; where somebody else was faster, or the outcome is unknown, look again before the next try."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                for batch in self.item.batches:
                    self.provider.apply(self.zone, batch)
                    self.written = True
            except (ConflictError, TransportError) as error:
                unknown = isinstance(error, TransportError)
                if isinstance(error, TransportError) and not error.maybe_applied:
                    raise
                again = self._again()
                if again.plan.empty:
                    self.written = self.written or unknown
                    return
                if attempt == _ATTEMPTS or not self.policy.replan:
                    raise
                if again.refusals:
                    raise LimitExceeded("; ".join(map(str, again.refusals))) from error
                self.policy.tell(f"zone {self.zone}: {error.message}; trying again from what is there now")
                self.item = again
            else:
                return

    def _again(self) -> Prepared:
        return plan_job(self.item.job, fetch(self.item.job), self.item.plan.owner, self.policy.limits)

    def _verified(self) -> Prepared:
        """Read the zone back; raises :class:`Unverified` when planning again would change anything."""
        hint = "The server took the update without doing it, or others write there too; its log may say which"
        try:
            fresh = self._again()
        except PlanError as error:
            raise Unverified(self.provider.name, self.zone, f"read back: {error.message}", hint) from error
        if not fresh.plan.empty:
            differing = "; ".join(map(_difference, fresh.plan.changes))
            raise Unverified(self.provider.name, self.zone, f"read back: {differing}", hint)
        return fresh

    def _late(self, servers: tuple[ServerReport, ...]) -> str:
        late = behind(servers)
        if not late:
            return ""
        hint = (
            "The provider has the records; see why these servers do not (NOTIFY, zone transfer, serial number), then "
            "run dns.yml again"
        )
        return str(Lagging(self.provider.name, self.zone, "; ".join(map(str, late)), hint))


def _difference(change: Change) -> str:
    lacks = "".join(f" lacks {shown(value)}" for value in change.adds)
    keeps = "".join(f" still has {shown(value)}" for value in change.deletes)
    return f"{change.key[0]} {change.key[1]}{lacks}{keeps}" + ("" if lacks or keeps else " has another TTL")


def _report(item: Prepared, state: str, **more: Any) -> ZoneReport:
    return ZoneReport(
        zone=item.job.zone,
        provider=item.job.provider.name,
        state=state,
        signed=item.snapshot.signed,
        changes=len(item.plan.changes),
        calls=len(item.batches),
        **more,
    )
