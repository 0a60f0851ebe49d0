# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A plan while it is made: record set after record set is settled, then the registry and the order follow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .claims import SlotOf
from .errors import DnsError, OwnershipConflict, PlanError
from .order import in_order
from .ownership import digest
from .plan import Rules, ZonePlan
from .records import Key, RRset, Value, within
from .registry import marks_of, registry_after
from .snapshot import Change, Mark, Snapshot


class Draft:
    """Gathers changes of one zone on behalf of ``owner``; sets in ``later`` stay as they are."""

    def __init__(self, snapshot: Snapshot, owner: str, rules: Rules, later: frozenset[Key] = frozenset()) -> None:
        self.snapshot, self.owner, self.rules, self.later = snapshot, owner, rules, later
        self.all_marks = marks_of(snapshot)
        self.marks: dict[Key, Mark] = dict(self.all_marks.get(owner, {}))
        self.updates: dict[Key, Mark | None] = {}
        self.changes: list[Change] = []
        self.expected: dict[Key, RRset | None] = {}
        self.errors: list[DnsError] = []
        self.notes: dict[str, None] = {}

    def note(self, line: str) -> None:
        """Remember what the operator should know, once."""
        self.notes[line] = None

    def ours(self, key: Key) -> list[Value]:
        """Return the values of a set that are marked ours and still what we last wrote."""
        mark = self.marks.get(key)
        known = mark.digests if mark else frozenset()
        return [value for value in self.snapshot.values(key) if digest(key, value) in known]

    def others(self, key: Key, values: Iterable[Value]) -> list[str]:
        """Return the other environments that wrote any of ``values``."""
        digests = {digest(key, value) for value in values}
        return [
            owner
            for owner, marks in sorted(self.all_marks.items())
            if owner != self.owner and key in marks and digests & marks[key].digests
        ]

    def shares(self, key: Key) -> list[bytes]:
        """Return what other environments ask for in a merged value of a set."""
        places = (marks.get(key) for owner, marks in sorted(self.all_marks.items()) if owner != self.owner)
        return [mark.share for mark in places if mark is not None and mark.share is not None]

    def check_place(self, key: Key, subject: str, going: frozenset[Key] = frozenset()) -> None:
        """Raise :class:`PlanError` where a set cannot stand: outside the zone, below a delegation, beside a CNAME.

        :param subject: on whose behalf, for the message
        :param going: sets that the plan removes
        """
        name, rrtype = key
        zone = self.snapshot.zone
        if not within(name, zone):
            raise PlanError(f"{name} is not in zone {zone}")
        cut = self.snapshot.cut(name)
        if cut:
            raise PlanError(
                f"{name} {rrtype} ({subject}): {cut} is delegated away from zone {zone}",
                f"Add {cut} to postseal_dns.zones with the provider that serves it, or remove the delegation",
            )
        beside = self.snapshot.types_at(name) - {gone for owner, gone in going if owner == name}
        clash = "CNAME" in beside if rrtype != "CNAME" else bool(beside - {"CNAME"})
        if clash:
            found = f"a CNAME to {self.snapshot.values((name, 'CNAME'))[0]!s}" if rrtype != "CNAME" else "other records"
            raise OwnershipConflict(
                f"{name} {rrtype} ({subject}): {name} holds {found}, and a CNAME stands alone (RFC 1034 3.6.2)",
                "Remove one of the two at the provider",
            )

    def settle(
        self, key: Key, values: Iterable[Value], ttl: int, mark: Mark | None, *, removed: int = 0, replaced: int = 0
    ) -> None:
        """Plan that the set ``key`` holds ``values`` afterwards, of which ``mark`` says what is ours.

        :param removed: how many values go and are not replaced
        :param replaced: how many are replaced by others
        """
        if key in self.later:
            return
        before = self.snapshot.rrsets.get(key)
        wanted = RRset.of(*key, ttl, values)
        after = wanted if wanted.values else None
        held, mark = self.marks.get(key), mark if mark and mark.digests else None
        self.expected[key] = after
        self.updates[key] = mark
        if before != after:
            self.changes.append(Change(key, before, after, removed=removed, replaced=replaced))
        elif before is not None and held != mark and not self.rules.registry:
            self.changes.append(Change(key, before, before))

    def ttl(self, claimed: int) -> int:
        """Return the TTL nearest to ``claimed`` that the provider accepts, in seconds."""
        return max(self.rules.min_ttl, min(self.rules.max_ttl, claimed))

    def result(self, notes: Sequence[str] = (), *, asked: bool = True) -> ZonePlan:
        """Return the plan, with the changes of the registry."""
        owned = sum(len(self.ours(place)) for place in self.marks)
        written = sum(len(mark.digests) for mark in self.marks.values())
        changes = list(in_order(self.changes))
        if self.rules.registry:
            changes = self._with_registry(changes)
        kept = {**self.marks, **self.updates}
        return ZonePlan(
            self.snapshot.zone,
            self.owner,
            tuple(changes),
            self.expected,
            owned,
            self.marks,
            {place: mark for place, mark in kept.items() if mark is not None},
            tuple(dict.fromkeys((*notes, *self.notes))),
            written - owned,
            asked,
        )

    def _with_registry(self, changes: list[Change]) -> list[Change]:
        """Return the changes with those of the registry at the end, or, see :func:`~.order.stages`, at both ends."""
        first: list[Change] = []
        last: list[Change] = []
        for key, wanted in registry_after(self.snapshot, self.owner, self.updates, self.rules.registry_room).items():
            before, after = self.snapshot.rrsets.get(key), wanted if wanted.values else None
            if changes and not self.rules.atomic:
                both = RRset.of(*key, wanted.ttl, [*(before.values if before else ()), *wanted.values])
                if both != before:
                    first.append(Change(key, before, both, guarded=False))
                    before = both
            if before != after:
                last.append(Change(key, before, after, guarded=False))
        return [*first, *changes, *last]


def without_share(
    key: Key, value: Value, share: bytes | None, others: Sequence[bytes], slot_of: SlotOf
) -> Value | None:
    """Return what remains of a value of ours when we leave: nothing, or the part of a merged one that is not ours.

    :param others: what other environments ask for in it
    Raises :class:`ValueError` for a merged value that cannot be taken apart.
    """
    if share is None:
        return None
    slot = slot_of(key, value)
    if slot is None or slot.leave is None:
        raise ValueError("it is united with somebody else's, and nobody knows how to take it apart")
    return slot.leave(value, share, others)
