# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Carry out the plan of one zone: write, read back, and wait until every authoritative server answers with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .authority import ServerReport, WaitPolicy, Watch, behind
from .errors import ConflictError, DnsError, Lagging, LimitExceeded, PartialApply, PlanError, TransportError, Unverified
from .jobs import fetch
from .limits import Limits
from .outcome import outcome
from .prepare import Prepared, draw, plan_job
from .records import shown
from .snapshot import Change, Snapshot

# Each attempt begins with a new look, so a few are enough to get past others who write to the same zone.
_ATTEMPTS = 3


@dataclass(frozen=True)
class ZoneReport:
    """What became of one zone.

    :param state: ``unchanged``, ``planned`` (check mode), ``changed``, ``failed``, ``held`` where something was not
        written because of another zone, or ``unknown`` where a write may or may not have happened and the zone cannot
        be read
    :param written: whether anything was written or may have been, also where the zone then failed
    :param calls: requests that writing the plan takes or took
    :param atomic: whether all of the plan happens or nothing of it
    :param owned: how many values of ours there are now, as far as is known
    :param done: changes of values that a failed run made all the same
    :param open: those that it did not make
    """

    zone: str
    provider: str
    state: str
    signed: bool
    changes: int
    calls: int
    atomic: bool = True
    written: bool = False
    serial: int = 0
    owned: int = 0
    servers: tuple[ServerReport, ...] = ()
    error: str = ""
    done: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    seconds: float = 0.0


def _keep_nothing(_: Prepared) -> None:
    """Save nothing."""


@dataclass(frozen=True)
class Policy:
    """How to apply: how long to wait, what limits hold for a second plan, and where progress goes.

    :param replan: a zone that changed meanwhile may be planned anew; not where one exact plan was approved
    :param keep: gets each plan before it is written, to save what it will change; what it raises stops the zone
    """

    wait: WaitPolicy
    limits: Limits
    tell: Callable[[str], None]
    replan: bool = True
    keep: Callable[[Prepared], None] = _keep_nothing


class ZoneRun:
    """One zone's way from plan to proof; remembers whether anything was written, whatever happens then."""

    def __init__(self, item: Prepared, policy: Policy) -> None:
        self.item, self.policy = item, policy
        self.zone, self.provider = item.job.zone, item.job.provider
        self.snapshot, self.owned = item.snapshot, item.plan.owned
        self.written = self.unknown = False
        self.started = time.monotonic()

    def report(self) -> ZoneReport:
        """Do it and tell what became of it."""
        servers: tuple[ServerReport, ...] = ()
        found: dict[str, Any] = {}
        try:
            servers = self._look_around() if self.item.plan.empty else self._write_and_follow()
            error = self._late(servers)
        except DnsError as problem:
            error = str(problem)
            found = self._what_is_there()
        state = "failed" if error else "changed" if self.written else "unchanged"
        return report_of(
            self.item,
            "unknown" if self.unknown else state,
            serial=self.snapshot.serial,
            owned=self.owned,
            servers=servers,
            error=error + (" Whether anything was written is unknown: run dns.yml again" if self.unknown else ""),
            written=self.written or self.unknown,
            seconds=time.monotonic() - self.started,
            **found,
        )

    def _look(self) -> Snapshot:
        touched = {change.key for change in self.item.plan.changes}
        return fetch(self.item.job, self.item.terms.owner, touched)

    def _look_around(self) -> tuple[ServerReport, ...]:
        """Check that servers have what we found; one that an earlier run gave up on must not be forgotten."""
        watch = Watch(self.zone, self.item.plan.expected, self.policy.wait, self.policy.tell, self.snapshot.serial)
        return tuple(watch.all(self.provider.authorities(self.snapshot)))

    def _write_and_follow(self) -> tuple[ServerReport, ...]:
        count = len(self.item.plan.changes)
        self.policy.tell(f"zone {self.zone}: writing {count} record set{'s' if count > 1 else ''}")
        echo = self._write()
        fresh = self._verified(echo)
        self.snapshot, self.owned = fresh.snapshot, fresh.plan.owned
        expected = {
            change.key: fresh.snapshot.rrsets.get(change.key)
            for change in self.item.plan.changes
            if change.guarded and change.before != change.after
        }
        watch = Watch(self.zone, expected, self.policy.wait, self.policy.tell)
        return tuple(watch.all(self.provider.authorities(fresh.snapshot)))

    def _write(self) -> Snapshot | None:
        """Write the plan; where somebody else was faster, or the outcome is unknown, look again before the next try.

        Return the zone as the provider's answer shows it, where it does and one answer shows it all.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            self.policy.keep(self.item)
            try:
                return self._send()
            except (ConflictError, TransportError) as error:
                again = self._again_after(error)
                if again.plan.empty:
                    self.written = self.written or isinstance(error, TransportError)
                    return again.snapshot
                if attempt == _ATTEMPTS or not self.policy.replan:
                    raise
                if again.refusals:
                    raise LimitExceeded("; ".join(map(str, again.refusals))) from error
                self.policy.tell(f"zone {self.zone}: {error.message}; trying again from what is there now")
                self.item = again
        raise AssertionError("a loop of at least one round")

    def _send(self) -> Snapshot | None:
        echo = None
        for batch in self.item.batches:
            try:
                echo = self.provider.apply(self.zone, batch)
            except PartialApply:
                self.written = True
                raise
            self.written = True
        return echo if len(self.item.batches) == 1 else None

    def _again_after(self, error: ConflictError | TransportError) -> Prepared:
        """Return a new plan from what is there now; raises the first error too where that cannot be read."""
        self.unknown = isinstance(error, TransportError) and error.maybe_applied
        try:
            snapshot = self._look()
        except DnsError as second:
            raise type(error)(error.provider, error.zone, f"{error.message}; and then: {second}") from error
        self.unknown = False
        self.snapshot = snapshot
        return plan_job(self.item.job, snapshot, replace(self.item.terms, limits=self.policy.limits))

    def _verified(self, echo: Snapshot | None) -> Prepared:
        """Read the zone back; raises :class:`Unverified` when planning again would change anything."""
        hint = "The server took the update without doing it, or others write there too; its log may say which"
        snapshot = echo or self._look()
        try:
            fresh = draw(self.item.job, snapshot, self.item.terms)
        except PlanError as error:
            raise Unverified(self.provider.name, self.zone, f"read back: {error.message}", hint) from error
        if not fresh.plan.empty:
            differing = "; ".join(map(_difference, fresh.plan.changes))
            raise Unverified(self.provider.name, self.zone, f"read back: {differing}", hint)
        return fresh

    def _what_is_there(self) -> dict[str, Any]:
        """Return which values of a plan that failed are there; nothing where it was not begun or cannot be read."""
        if not self.written or self.unknown:
            return {}
        try:
            self.snapshot = self._look()
        except DnsError:
            self.unknown = True
            return {}
        found = outcome(self.item.plan, self.snapshot)
        return {"done": found.done, "open": found.open}

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
    other = " has another TTL" if change.ttl_changes else " is not marked as it should be"
    return f"{change.key[0]} {change.key[1]}{lacks}{keeps}" + ("" if lacks or keeps else other)


def report_of(item: Prepared, state: str, **more: Any) -> ZoneReport:
    """Return a report on the plan ``item``."""
    return ZoneReport(
        zone=item.job.zone,
        provider=item.job.provider.name,
        state=state,
        signed=item.snapshot.signed,
        changes=len(item.plan.changes),
        calls=item.calls,
        atomic=item.atomic,
        **more,
    )
