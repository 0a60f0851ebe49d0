# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The way back: a plan that puts what was ours before an earlier run in place of what is ours now.

It takes back our values only. What others put there, then or since, stays; where somebody changed a value of ours in
the meantime, or put another one into its slot, the set is left as it is and told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .claims import Slot, SlotOf
from .draft import Draft
from .errors import PlanError
from .ownership import digest
from .plan import Rules, ZonePlan
from .records import Key, RRset, Value, shown, sort_key
from .snapshot import Mark, Snapshot


@dataclass(frozen=True)
class SavedSet:
    """One record set as a run found it and as the run was to leave it.

    :param held: what of ``before`` was ours
    """

    key: Key
    before: RRset | None
    after: RRset | None
    held: Mark | None

    @property
    def was_ours(self) -> tuple[Value, ...]:
        """Values that were ours before the run."""
        digests = self.held.digests if self.held else frozenset()
        return tuple(value for value in _values(self.before) if digest(self.key, value) in digests)

    @property
    def taken(self) -> tuple[Value, ...]:
        """Values that the run removed, whoever they belonged to."""
        return tuple(value for value in _values(self.before) if value not in _values(self.after))

    @property
    def written(self) -> tuple[Value, ...]:
        """Values that the run added."""
        return tuple(value for value in _values(self.after) if value not in _values(self.before))


def _values(rrset: RRset | None) -> tuple[Value, ...]:
    return rrset.values if rrset else ()


class _Stays(Exception):
    """A set that cannot go back, and why."""


def plan_restore(
    saved: Iterable[SavedSet],
    snapshot: Snapshot,
    owner: str,
    rules: Rules,
    slot_of: SlotOf,
    *,
    later: frozenset[Key] = frozenset(),
) -> ZonePlan:
    """Return the plan that brings ``saved`` sets of one zone back; sets that cannot go back are noted.

    Those in ``later`` stay as they are for now.

    Planning again on its result changes nothing.
    """
    draft = Draft(snapshot, owner, rules, later)
    for item in sorted((item for item in saved if item.key not in later), key=lambda found: found.key):
        try:
            _settle(draft, item, slot_of)
        except (_Stays, PlanError) as error:
            draft.note(f"{item.key[0]} {item.key[1]} stays as it is: {error}")
    return draft.result()


def _settle(draft: Draft, item: SavedSet, slot_of: SlotOf) -> None:
    key, current = item.key, draft.snapshot.values(item.key)
    mark = draft.marks.get(key)
    # What the run left for others of a united value is not ours, and gives way to the value it came from.
    rests = [value for value in current if value in item.written and _is_merged(slot_of(key, value))]
    ours = list(dict.fromkeys((*draft.ours(key), *rests)))
    back = list(dict.fromkeys((*item.was_ours, *item.taken)))
    was_foreign = [value for value in _values(item.before) if value not in item.was_ours]
    foreign = [value for value in was_foreign if not _is_merged(slot_of(key, value))]
    kept = [value for value in current if value not in ours or value in foreign]
    foreign_back = draft.others(key, back)
    if foreign_back:
        raise _Stays(f"environment {', '.join(foreign_back)} has written there since")
    share = item.held.share if item.held else None
    mine = set(item.was_ours)
    for value in ours if mark and mark.share is not None else ():
        slot = slot_of(key, value)
        if value not in item.written and value not in kept and (slot is None or slot.merge):
            remains, share = _united(item, value, mark, slot, draft.shares(key))
            back = [old for old in back if not (slot and slot.holds(old))] + ([] if remains is None else [remains])
            mine |= {remains} if share is not None and remains is not None else set()
    _check_slots(key, back, kept, slot_of)
    after = [*kept, *(value for value in back if value not in kept)]
    before = draft.snapshot.rrsets.get(key)
    if after and before is None:
        draft.check_place(key, f"environment {draft.owner}")
    drops, adds = [value for value in current if value not in after], [value for value in after if value not in current]
    draft.settle(
        key,
        after,
        _ttl(draft, item, before, after),
        Mark(
            draft.owner,
            key,
            frozenset(digest(key, value) for value in mine if value in back and value not in kept),
            share,
        ),
        removed=max(0, len(drops) - len(adds)),
        replaced=min(len(drops), len(adds)),
    )


def _is_merged(slot: Slot | None) -> bool:
    return slot is not None and slot.merge is not None


def _united(
    item: SavedSet, value: Value, mark: Mark | None, slot: Slot | None, others: Sequence[bytes]
) -> tuple[Value | None, bytes | None]:
    """Return what comes back in place of a merged value that was written anew since: others' part of it is kept.

    Also our share of what comes back, ``None`` if there is none.
    """
    if slot is None or slot.merge is None or slot.leave is None or mark is None or mark.share is None:
        raise _Stays(f"{shown(value)} is united with somebody else's, and nobody knows how to take it apart")
    try:
        if item.held is not None and item.held.share is not None:
            merged = slot.merge(item.held.share, [value], mark.share, others)
            return merged.value, sort_key(merged.share)
        return slot.leave(value, mark.share, others), None
    except ValueError as error:
        raise _Stays(str(error)) from error


def _check_slots(key: Key, back: Sequence[Value], kept: Sequence[Value], slot_of: SlotOf) -> None:
    """Raise :class:`_Stays` where a value that comes back finds somebody else's in a slot with room for one."""
    for value in back:
        slot = slot_of(key, value)
        if slot is None or not slot.single:
            continue
        rivals = [other for other in kept if other != value and slot.holds(other)]
        if rivals:
            raise _Stays(f"{' and '.join(map(shown, rivals))} stands there now and is not ours")


def _ttl(draft: Draft, item: SavedSet, before: RRset | None, after: Sequence[Value]) -> int:
    if item.before is not None and (before is None or set(after) == set(item.before.values)):
        return draft.ttl(item.before.ttl)
    return before.ttl if before is not None else draft.ttl(item.after.ttl if item.after else 0)
