# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""From claims and a snapshot to a plan: pure and deterministic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .claims import Claim, Pending, Wish, gather
from .draft import Draft
from .errors import OwnershipConflict, PlanError, Several
from .leftovers import NOTHING_ELSE, Leftovers, retire
from .ownership import digest
from .plan import ANY, Rules, ZonePlan
from .records import Key, Value, shown, sort_key
from .snapshot import Mark, Snapshot


def plan_zone(
    claims: Iterable[Claim],
    snapshot: Snapshot,
    owner: str,
    *,
    rules: Rules = ANY,
    pending: Iterable[Pending] = (),
    leftovers: Leftovers = NOTHING_ELSE,
    later: frozenset[Key] = frozenset(),
) -> ZonePlan:
    """Return the plan that makes ``snapshot`` hold ``claims`` on behalf of ``owner`` (the environment's name).

    All claims must belong to the snapshot's zone. ``leftovers`` says what to do with values of ours that nobody claims
    any more, ``later`` which record sets stay as they are for now. Raises :class:`PlanError` or :class:`Several` of
    them: a foreign value in a slot of ours, two claims on one slot, a name below a delegation, a CNAME where records
    must stand.
    """
    listed, open_ends = tuple(claims), tuple(pending)
    wanted, notes = _publishable(listed, snapshot)
    draft = Draft(snapshot, owner, rules, later)
    gathered = gather(wanted)
    retired = retire(draft, leftovers, {claim.key for claim in listed} - set(gathered), gathered, open_ends)
    planner = _Planner(draft, retired, frozenset((item.name, item.type, item.slot) for item in open_ends))
    for key, wishes in gathered.items():
        planner.settle(key, wishes)
    if draft.errors:
        raise draft.errors[0] if len(draft.errors) == 1 else Several(draft.errors)
    return draft.result(notes, asked=bool(listed or open_ends))


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


@dataclass
class _Set:
    """What becomes of one record set while its slots are settled."""

    after: list[Value]
    share: bytes | None
    ours: set[str] = field(default_factory=set)
    removed: int = 0
    replaced: int = 0

    def swap(self, drops: Sequence[Value], adds: Sequence[Value]) -> None:
        self.after = [value for value in self.after if value not in drops] + list(adds)
        self.replaced += min(len(drops), len(adds))
        self.removed += max(0, len(drops) - len(adds))


class _Planner:
    """Settles record set after record set, and gathers what is wrong instead of stopping at the first."""

    def __init__(
        self,
        draft: Draft,
        retired: Mapping[Key, Sequence[tuple[Value, Value | None]]],
        open_slots: frozenset[tuple[str, str, str]],
    ) -> None:
        self.draft, self.snapshot, self.retired, self.open_slots = draft, draft.snapshot, retired, open_slots
        self.going = frozenset(key for key, after in draft.expected.items() if after is None)

    def settle(self, key: Key, wishes: Sequence[Wish]) -> None:
        """Plan one record set; what is in the way becomes an error."""
        if key in self.draft.later:
            return
        try:
            self.draft.check_place(key, wishes[0].subject, self.going)
            self._plan_set(key, wishes)
        except PlanError as error:
            self.draft.errors.append(error)

    def _plan_set(self, key: Key, wishes: Sequence[Wish]) -> None:
        before, mark = self.snapshot.rrsets.get(key), self.draft.marks.get(key)
        current = list(before.values) if before else []
        known = mark.digests if mark else frozenset()
        state = _Set(list(current), mark.share if mark else None)
        for value, rest in self.retired.get(key, ()):
            state.swap([value], [] if rest is None else [rest])
            state.share = None
        for wish in wishes:
            self._settle_slot(key, wish, current, known, state)
        state.ours |= {digest(key, value) for value in state.after} & known
        mine = [digest(key, value) in state.ours and not self.draft.others(key, [value]) for value in state.after]
        claimed = self.draft.ttl(min(wish.ttl for wish in wishes))
        # A TTL is only ours to set where every value is.
        ttl = before.ttl if before is not None and not all(mine) else claimed
        after = Mark(self.draft.owner, key, frozenset(state.ours), state.share)
        self.draft.settle(key, state.after, ttl, after, removed=state.removed, replaced=state.replaced)

    def _settle_slot(self, key: Key, wish: Wish, current: Sequence[Value], known: frozenset[str], state: _Set) -> None:
        """Decide which values leave the slot, which come, and what of it is ours."""
        inside = [value for value in current if wish.slot.holds(value)]
        if wish.slot.merge:
            self._merge(key, wish, inside, known, state)
            return
        surplus = [value for value in inside if value not in wish.values]
        # A value that is united with other people's is theirs too, although we wrote it.
        foreign = [value for value in surplus if digest(key, value) not in known or state.share is not None]
        if state.share is not None and not foreign:
            state.share = None
        if foreign and (not wish.adopt or self.draft.others(key, foreign)):
            raise self._conflict(key, wish, foreign)
        if foreign:
            taken = " and ".join(map(shown, foreign))
            self.draft.note(f"{key[0]} {key[1]}: {taken} gives way to {wish.subject} ({wish.slot.label}, adopt)")
        if wish.adopt:
            equal = [value for value in inside if value in wish.values and not self.draft.others(key, [value])]
            state.ours |= {digest(key, value) for value in equal}
        if (key[0], key[1], wish.slot.label) in self.open_slots:
            surplus = foreign
        adds = [value for value in wish.values if value not in current]
        state.swap(surplus, adds)
        state.ours |= {digest(key, value) for value in adds}

    def _merge(self, key: Key, wish: Wish, inside: Sequence[Value], known: frozenset[str], state: _Set) -> None:
        assert wish.slot.merge is not None  # noqa: S101  # the caller looked
        try:
            merged = wish.slot.merge(wish.values[0], inside, state.share, self.draft.shares(key))
        except ValueError as error:
            raise OwnershipConflict(
                f"{key[0]} {key[1]} ({wish.subject}): the {wish.slot.label} value there cannot be merged: {error}",
                "Correct it at the provider",
            ) from error
        share = sort_key(merged.share)
        changed = list(inside) != [merged.value]
        if changed:
            state.swap(inside, [merged.value])
        # Where others wrote the value since, or ask for the same, our share must not be taken for theirs.
        shared = merged.joined or state.share is not None
        if changed or (shared and (share != state.share or digest(key, merged.value) not in known)):
            state.share = share
            state.ours.add(digest(key, merged.value))

    def _conflict(self, key: Key, wish: Wish, foreign: Sequence[Value]) -> OwnershipConflict:
        owners = self.draft.others(key, foreign)
        whose = f"environment {', '.join(owners)} wrote" if owners else "this environment did not write"
        taking = "" if owners else ", or let adopt: true replace it"
        return OwnershipConflict(
            f"{key[0]} {key[1]}: {' and '.join(map(shown, foreign))} stands where {wish.subject} wants "
            f"{' and '.join(map(shown, wish.values))} ({wish.slot.label}), and {whose} it",
            f"Delete it at the provider if nobody needs it, or make the inventory ask for the same{taking}",
        )
