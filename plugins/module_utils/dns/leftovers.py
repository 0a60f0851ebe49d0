# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Values of ours that nobody claims any more: told, or removed where the inventory says so (``postseal_dns.prune``).

Only what is marked ours and still carries what we last wrote is ever removed. Of a value that is united with other
people's, only our share goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from .claims import Pending, SlotOf, Wish, no_slots
from .draft import Draft, without_share
from .records import Key, Value, shown, within

_SHOWN = 10
Retired = dict[Key, list[tuple[Value, Value | None]]]
"""By record set: values that go, each with what remains of it for others."""


@dataclass(frozen=True)
class Leftovers:
    """What to do with values that nobody claims any more.

    :param remove: remove them; else they are only told
    :param claimed: record sets that are claimed anywhere in this run, whichever zone they ended up in
    :param pending: claims that wait, anywhere in this run
    :param slot_of: which slot a value is in, to take merged ones apart
    :param ended: record sets whose values of ours are over, and go whatever ``remove`` says
    """

    remove: bool = False
    claimed: frozenset[Key] = frozenset()
    pending: tuple[Pending, ...] = ()
    slot_of: SlotOf = no_slots
    ended: frozenset[Key] = frozenset()


NOTHING_ELSE = Leftovers()


def retire(
    draft: Draft,
    leftovers: Leftovers,
    unpublished: AbstractSet[Key],
    wishes: Mapping[Key, Sequence[Wish]],
    pending: Iterable[Pending],
) -> Retired:
    """Settle the sets that nobody claims, and return what goes from those of which some slots still are claimed.

    :param unpublished: sets that are claimed and cannot be published now; nothing leaves them
    """
    waiting = tuple(dict.fromkeys((*pending, *leftovers.pending)))
    free = [
        key
        for key in sorted(draft.marks)
        if (key in wishes or not (key in leftovers.claimed or key in unpublished))
        and not draft.snapshot.cut(key[0])
        and not any(_waits(item, key) for item in waiting)
    ]
    found: Retired = {}
    for key in free:
        held = [wish.slot.holds for wish in wishes.get(key, ())]
        values = [value for value in _written(draft, key, leftovers.slot_of) if not any(holds(value) for holds in held)]
        gone = _gone(draft, key, values, leftovers.slot_of)
        if gone:
            found[key] = gone
    types: dict[str, set[str]] = {}
    for name, rrtype in wishes:
        types.setdefault(name, set()).add(rrtype)
    removed = {
        key for key in found if leftovers.remove or key in leftovers.ended or _in_the_way(key, types.get(key[0], set()))
    }
    if len(removed) < len(found):
        draft.note(_told(draft.snapshot.zone, {key: gone for key, gone in found.items() if key not in removed}))
    for key in free:
        if key not in wishes and (key in removed or (leftovers.remove and not _written(draft, key, leftovers.slot_of))):
            _settle(draft, key, found.get(key, []))
    return {key: gone for key, gone in found.items() if key in wishes and key in removed}


def _written(draft: Draft, key: Key, slot_of: SlotOf) -> list[Value]:
    """Return the values of ours, and those that hold our share although others have written them anew since."""
    ours, shared = draft.ours(key), draft.marks[key].share is not None
    merged = (value for value in draft.snapshot.values(key) if shared and (slot := slot_of(key, value)) and slot.leave)
    return list(dict.fromkeys((*ours, *merged)))


def _in_the_way(key: Key, types: AbstractSet[str]) -> bool:
    """Tell whether a set of ours cannot stand beside what is claimed at its name now (RFC 1034 3.6.2)."""
    return bool(types - {"CNAME"}) if key[1] == "CNAME" else "CNAME" in types


def _waits(item: Pending, key: Key) -> bool:
    """Tell whether a claim that is not known yet may be about ``key``."""
    return (item.name, item.type) == key if item.type else within(key[0], item.name)


def _gone(draft: Draft, key: Key, values: Sequence[Value], slot_of: SlotOf) -> list[tuple[Value, Value | None]]:
    share = draft.marks[key].share
    gone = []
    for value in values:
        try:
            gone.append((value, without_share(key, value, share, draft.shares(key), slot_of)))
        except ValueError as error:
            draft.note(f"{key[0]} {key[1]}: {shown(value)} stays although nobody claims it: {error}")
    return gone


def _settle(draft: Draft, key: Key, gone: Sequence[tuple[Value, Value | None]]) -> None:
    """Plan a set without the values that go; a mark whose values somebody removed already just ends."""
    current = draft.snapshot.rrsets.get(key)
    going = [value for value, _ in gone]
    rests = [rest for _, rest in gone if rest is not None]
    kept = [value for value in (current.values if current else ()) if value not in going]
    ttl = current.ttl if current else 0
    draft.settle(key, [*kept, *rests], ttl, None, removed=len(gone) - len(rests), replaced=len(rests))


def _told(zone: str, found: Retired) -> str:
    sets = [f"{name} {rrtype}" for name, rrtype in found]
    more = f" and {len(sets) - _SHOWN} more" if len(sets) > _SHOWN else ""
    count = sum(map(len, found.values()))
    return (
        f"zone {zone}: {count} value{'s' if count > 1 else ''} of ours that nobody claims any more would go with "
        f"postseal_dns.prune: {', '.join(sets[:_SHOWN])}{more}"
    )
