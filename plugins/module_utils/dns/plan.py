# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""From claims and a snapshot to a plan: pure, deterministic, and the same text in check mode and in a real run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .claims import Claim, Pending, Wish, gather
from .errors import DnsError, OwnershipConflict, PlanError, Several
from .ownership import digest, marks_of, registry_after, registry_key
from .records import Key, RRset, Value, shown, sort_key, text, within
from .snapshot import Change, Mark, Snapshot


@dataclass(frozen=True)
class Rules:
    """What the provider asks of a plan: its range of TTLs in seconds, and whether ownership needs the registry."""

    min_ttl: int = 1
    max_ttl: int = 2**31 - 1
    registry: bool = True


@dataclass(frozen=True)
class ZonePlan:
    """What will be done to one zone.

    :param changes: in the order of names, the registry last
    :param expected: every claimed record set as it must be read back, ``None`` where there must be none
    :param owned: how many values in the zone were ours before
    :param held: our marks before the change
    :param marks: our marks after it, for providers that keep them beside the records
    :param notes: what was left out and why
    """

    zone: str
    owner: str
    changes: tuple[Change, ...]
    expected: Mapping[Key, RRset | None] = field(repr=False)
    owned: int
    held: Mapping[Key, Mark] = field(repr=False)
    marks: Mapping[Key, Mark] = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Tell whether there is nothing to do."""
        return not self.changes


def fingerprint(plans: Iterable[ZonePlan]) -> str:
    """Return the SHA-256 (hex) of all that ``plans`` would do; equal plans have equal fingerprints."""
    told = [
        [plan.zone, plan.owner, [[*change.key, _told(change.before), _told(change.after)] for change in plan.changes]]
        for plan in sorted(plans, key=lambda plan: plan.zone)
    ]
    return hashlib.sha256(json.dumps(told, separators=(",", ":")).encode()).hexdigest()


def _told(rrset: RRset | None) -> list[object] | None:
    return None if rrset is None else [rrset.ttl, [text(value) for value in rrset.values]]


def plan_zone(
    claims: Iterable[Claim],
    snapshot: Snapshot,
    owner: str,
    rules: Rules = Rules(),  # immutable
    pending: Iterable[Pending] = (),
) -> ZonePlan:
    """Return the plan that makes ``snapshot`` hold ``claims`` on behalf of ``owner`` (the environment's name).

    All claims must belong to the snapshot's zone. Raises :class:`PlanError` or :class:`Several` of them: a foreign
    value in a slot of ours, two claims on one slot, a name below a delegation, a CNAME where records must stand.
    """
    wanted, notes = _publishable(claims, snapshot)
    planner = _Planner(snapshot, owner, rules, frozenset((item.name, item.type, item.slot) for item in pending))
    for key, wishes in gather(wanted).items():
        planner.settle(key, wishes)
    if planner.errors:
        raise planner.errors[0] if len(planner.errors) == 1 else Several(planner.errors)
    return planner.result(notes)


def _publishable(claims: Iterable[Claim], snapshot: Snapshot) -> tuple[list[Claim], tuple[str, ...]]:
    """Separate the claims that may be published from notes on those that may not."""
    wanted: list[Claim] = []
    notes: dict[str, None] = {}
    for claim in claims:
        if claim.requires_dnssec and not snapshot.signed:
            notes[f"zone {snapshot.zone} is not signed: no {claim.type} record for {claim.anchor}"] = None
        else:
            wanted.append(claim)
    return wanted, tuple(notes)


class _Planner:
    """Settles record set after record set, and gathers what is wrong instead of stopping at the first."""

    def __init__(
        self, snapshot: Snapshot, owner: str, rules: Rules, open_slots: frozenset[tuple[str, str, str]]
    ) -> None:
        self.snapshot, self.owner, self.rules, self.open_slots = snapshot, owner, rules, open_slots
        self.all_marks = marks_of(snapshot)
        self.marks: dict[Key, Mark] = dict(self.all_marks.get(owner, {}))
        self.updates: dict[Key, Mark | None] = {}
        self.changes: list[Change] = []
        self.expected: dict[Key, RRset | None] = {}
        self.errors: list[DnsError] = []

    def settle(self, key: Key, wishes: Sequence[Wish]) -> None:
        """Plan one record set; what is in the way becomes an error."""
        try:
            self._check_place(key, wishes[0])
            self._plan_set(key, wishes)
        except PlanError as error:
            self.errors.append(error)

    def _check_place(self, key: Key, wish: Wish) -> None:
        name, rrtype = key
        zone = self.snapshot.zone
        if not within(name, zone):
            raise PlanError(f"{name} is not in zone {zone}")
        cut = self.snapshot.cut(name)
        if cut:
            raise PlanError(
                f"{name} {rrtype} ({wish.subject}): {cut} is delegated away from zone {zone}",
                f"Add {cut} to postseal_dns.zones with the provider that serves it, or remove the delegation",
            )
        clash = (
            (name, "CNAME") in self.snapshot.rrsets
            if rrtype != "CNAME"
            else any(owner == name and other != "CNAME" for owner, other in self.snapshot.rrsets)
        )
        if clash:
            found = f"a CNAME to {self.snapshot.values((name, 'CNAME'))[0]!s}" if rrtype != "CNAME" else "other records"
            raise OwnershipConflict(
                f"{name} {rrtype} ({wish.subject}): {name} holds {found}, and a CNAME stands alone (RFC 1034 3.6.2)",
                "Remove one of the two at the provider",
            )

    def _plan_set(self, key: Key, wishes: Sequence[Wish]) -> None:
        before = self.snapshot.rrsets.get(key)
        current = list(before.values) if before else []
        mark = self.marks.get(key)
        known = mark.digests if mark else frozenset()
        after, added, share = list(current), [], mark.share if mark else None
        removed = replaced = 0
        for wish in wishes:
            drops, adds, share = self._settle_slot(key, wish, current, known, share)
            after = [value for value in after if value not in drops] + adds
            added += adds
            ours = len(drops)
            replaced += min(ours, len(adds))
            removed += max(0, ours - len(adds))
        written = {digest(key, value) for value in added}
        kept = {digest(key, value) for value in after} & known
        ttl = self._ttl(before, [digest(key, value) in kept | written for value in after], wishes)
        wanted = RRset.of(*key, ttl, after)
        self.expected[key] = wanted
        self.updates[key] = Mark(self.owner, key, frozenset(kept | written), share) if kept | written else None
        if before is None or wanted != before:
            self.changes.append(Change(key, before, wanted, removed=removed, replaced=replaced))

    def _settle_slot(
        self, key: Key, wish: Wish, current: Sequence[Value], known: frozenset[str], share: bytes | None
    ) -> tuple[list[Value], list[Value], bytes | None]:
        """Return which values leave the slot, which come, and our share of a merged one."""
        inside = [value for value in current if wish.slot.holds(value)]
        desired: tuple[Value, ...] = wish.values
        if wish.slot.merge:
            try:
                merged = wish.slot.merge(desired[0], inside, share)
            except ValueError as error:
                raise OwnershipConflict(
                    f"{key[0]} {key[1]} ({wish.subject}): the {wish.slot.label} value there cannot be merged: {error}",
                    "Correct it at the provider",
                ) from error
            if inside == [merged.value]:
                return [], [], share
            return inside, [merged.value], sort_key(merged.share)
        surplus = [value for value in inside if value not in desired]
        foreign = [value for value in surplus if digest(key, value) not in known]
        if foreign:
            raise self._conflict(key, wish, foreign)
        if (key[0], key[1], wish.slot.label) in self.open_slots:
            surplus = []
        return surplus, [value for value in desired if value not in current], share

    def _conflict(self, key: Key, wish: Wish, foreign: Sequence[Value]) -> OwnershipConflict:
        owners = [
            owner
            for owner, marks in sorted(self.all_marks.items())
            if key in marks and any(digest(key, value) in marks[key].digests for value in foreign)
        ]
        whose = f"environment {', '.join(owners)} wrote" if owners else "this environment did not write"
        return OwnershipConflict(
            f"{key[0]} {key[1]}: {' and '.join(map(shown, foreign))} stands where {wish.subject} wants "
            f"{' and '.join(map(shown, wish.values))} ({wish.slot.label}), and {whose} it",
            "Delete it at the provider if nobody needs it, or make the inventory ask for the same",
        )

    def _ttl(self, before: RRset | None, ours: Sequence[bool], wishes: Sequence[Wish]) -> int:
        """Return the TTL of a set: what we claim if all values are ours, else what its other owners gave it."""
        claimed = min(wish.ttl for wish in wishes)
        if before is not None and not all(ours):
            return before.ttl
        return max(self.rules.min_ttl, min(self.rules.max_ttl, claimed))

    def result(self, notes: tuple[str, ...]) -> ZonePlan:
        """Return the plan, with the change of the registry."""
        zone, key = self.snapshot.zone, registry_key(self.snapshot.zone)
        owned = sum(
            digest(mark.key, value) in mark.digests
            for mark in self.marks.values()
            for value in self.snapshot.values(mark.key)
        )
        if self.rules.registry:
            before, after = self.snapshot.rrsets.get(key), registry_after(self.snapshot, self.owner, self.updates)
            if before != after:
                self.changes.append(Change(key, before, after, guarded=False))
        merged = {**self.marks, **self.updates}
        marks = {place: mark for place, mark in merged.items() if mark is not None}
        return ZonePlan(zone, self.owner, tuple(self.changes), self.expected, owned, self.marks, marks, notes)
