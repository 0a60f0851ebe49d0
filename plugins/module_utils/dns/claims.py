# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A claim: one value that shall stand in a slot of a record set, whatever else stands beside it.

A record set at a domain's apex belongs to many: the TXT set alone holds SPF and the verification tokens of other
services. A slot is the part of a set that a claim speaks for; what the slot does not hold is carried along untouched.
Slots are defined by those who know what the values mean, so neither the plan nor any provider knows about mail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .errors import PlanError
from .records import Key, Value, shown


@dataclass(frozen=True)
class Merged:
    """One value that serves us and others.

    :param share: the part of it that we ask for, without what is other people's; other environments may ask for it too
    :param joined: it is not all other people's, so that nobody may drop it without us
    """

    value: Value
    share: Value
    joined: bool = True


Merge = Callable[[Value, Sequence[Value], Value | None, Sequence[Value]], Merged]
"""``merge(asked, found, share, others)``: one value from what we ask for and what the slot holds.

``share`` is the part that was ours when we last wrote the slot, ``None`` if we never did, ``others`` the shares of
other environments: the rest of ``found`` is other people's. Raises :class:`ValueError` when the found values allow no
merge.
"""


@dataclass(frozen=True)
class Slot:
    """A part of a record set.

    :param label: names the slot in messages and plans, ``spf``, ``dkim:<selector>``
    :param holds: tells whether a value belongs to the slot
    :param single: the slot has room for one value, as RFC 7208 has for SPF
    :param merge: how to live with foreign values; without it they are a conflict
    :param leave: ``leave(found, share, others)``: what remains of a merged value without our share, ``None`` if
        nothing does; raises :class:`ValueError` for a value it cannot read
    """

    label: str
    holds: Callable[[Value], bool]
    single: bool = True
    merge: Merge | None = None
    leave: Callable[[Value, Value, Sequence[Value]], Value | None] | None = None


SlotOf = Callable[[Key, Value], Slot | None]
"""Returns the slot that a value is in, ``None`` for one that no claim is ever made on."""


def no_slots(_: Key, __: Value) -> Slot | None:
    """Know nothing about values; for zones without merged ones."""
    return None


@dataclass(frozen=True)
class Claim:
    """One desired value.

    :param name: owner name, canonical
    :param anchor: the name whose zone is asked for: the domain or host on whose behalf the claim is made
    :param subject: who asks, for messages: ``domain shop.test``
    :param required: without a managed zone it is an error; else it is noted and left out
    :param requires_dnssec: only published in a signed zone (TLSA, RFC 6698 4.1)
    :param adopt: foreign values in the slot give way, and one that is equal becomes ours; never another environment's
    """

    name: str
    type: str
    slot: Slot
    value: Value
    ttl: int
    anchor: str
    subject: str
    required: bool = True
    requires_dnssec: bool = False
    adopt: bool = False

    def __post_init__(self) -> None:
        if not self.slot.holds(self.value):
            raise ValueError(f"{self.name} {self.type}: slot {self.slot.label} does not hold {shown(self.value)}")

    @property
    def key(self) -> Key:
        """The record set that the claim is about."""
        return (self.name, self.type)


@dataclass(frozen=True)
class Pending:
    """A claim whose value is not known yet. Nothing of ours is removed from its slot meanwhile.

    :param type: empty for claims of which not even the names are known
    :param reason: what is missing, a clause without an end
    :param remedy: what to do about it; with one, nothing is written until that is done
    """

    name: str
    type: str
    slot: str
    anchor: str
    reason: str
    remedy: str = ""


def summary(pending: Iterable[Pending]) -> tuple[str, ...]:
    """Return one line per reason, with the record sets that wait for it."""
    waiting: dict[str, list[str]] = {}
    for item in pending:
        waiting.setdefault(item.reason, []).append(f"{item.name} {item.type}".strip())
    return tuple(f"{reason}: {', '.join(names)} must wait" for reason, names in waiting.items())


@dataclass(frozen=True)
class Wish:
    """What one slot of one record set shall hold, gathered from all claims on it."""

    slot: Slot
    values: tuple[Value, ...]
    ttl: int
    subject: str
    adopt: bool = False


def gather(claims: Iterable[Claim]) -> dict[Key, tuple[Wish, ...]]:
    """Group claims by record set and slot.

    Raises :class:`PlanError` when two claims want different values in a slot with room for one.
    """
    slots: dict[Key, dict[str, list[Claim]]] = {}
    for claim in claims:
        slots.setdefault(claim.key, {}).setdefault(claim.slot.label, []).append(claim)
    return {key: tuple(_wish(key, found) for _, found in sorted(slots[key].items())) for key in sorted(slots)}


def _wish(key: Key, claims: list[Claim]) -> Wish:
    values = tuple(dict.fromkeys(claim.value for claim in claims))
    subjects = tuple(dict.fromkeys(claim.subject for claim in claims))
    if claims[0].slot.single and len(values) > 1:
        raise PlanError(
            f"{key[0]} {key[1]} has room for one {claims[0].slot.label} value, and {' and '.join(subjects)} each want "
            f"their own: {', '.join(map(shown, values))}",
            "Say it once in the inventory",
        )
    adopt = any(claim.adopt for claim in claims)
    return Wish(claims[0].slot, values, min(claim.ttl for claim in claims), subjects[0], adopt)
