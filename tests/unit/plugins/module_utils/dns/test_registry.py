# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The registry grows from one set to many: every mark can be read at all times, and only what changes is written."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.jobs import Job, fetch
from ansible_collections.postseal.mail.plugins.module_utils.dns.ownership import digest, format_line
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Key, RRset
from ansible_collections.postseal.mail.plugins.module_utils.dns.registry import (
    MOST_LINES,
    is_registry,
    marks_of,
    registry_after,
    registry_key,
)
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Mark, Snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from .memory import Memory, Zone, fresh
from .zones import ZONE, snapshot

ROOM = 16_000
FIRST = registry_key(ZONE)
OWNERS = ("production", "staging")
Marks = Mapping[Key, Mark | None]


def key(number: int) -> Key:
    return (f"n{number}.{ZONE}", "TXT")


def mark(owner: str, number: int, value: int = 0, share: bytes | None = None) -> Mark:
    return Mark(owner, key(number), frozenset({digest(key(number), b"%d" % value)}), share)


def after(zone: Snapshot, changed: Mapping[Key, RRset]) -> Snapshot:
    rrsets = {**zone.rrsets, **changed}
    return snapshot(*(rrset for rrset in rrsets.values() if rrset.values and rrset.key[1] not in ("SOA", "NS")))


def write(zone: Snapshot, owner: str, updates: Marks, room: int = ROOM) -> tuple[Snapshot, set[Key]]:
    changed = registry_after(zone, owner, updates, room)
    return after(zone, changed), set(changed)


def sets(zone: Snapshot) -> dict[Key, RRset]:
    return {key: rrset for key, rrset in zone.rrsets.items() if is_registry(key, ZONE)}


def test_one_set_is_enough_for_few_lines() -> None:
    zone, _ = write(snapshot(), "production", {key(n): mark("production", n) for n in range(MOST_LINES)})
    assert set(sets(zone)) == {FIRST}
    assert len(zone.values(FIRST)) == MOST_LINES, "a registry of one set needs no line about itself"


def test_many_lines_make_further_sets_that_the_first_one_names() -> None:
    zone, _ = write(snapshot(), "production", {key(n): mark("production", n) for n in range(1500)})
    found = sets(zone)
    assert len(found) == -(-1500 // MOST_LINES)
    assert all(len(rrset.values) <= MOST_LINES + 1 for rrset in found.values())
    assert b"v=postseal1 sets=%d" % len(found) in zone.values(FIRST)
    assert marks_of(zone) == {"production": {key(n): mark("production", n) for n in range(1500)}}


def test_only_the_sets_whose_lines_change_are_written() -> None:
    zone, _ = write(snapshot(), "production", {key(n): mark("production", n) for n in range(1500)})
    same = {key(n): mark("production", n) for n in range(1500)}
    assert write(zone, "production", same)[1] == set()
    assert len(write(zone, "production", {**same, key(700): mark("production", 700, 1)})[1]) == 1
    assert len(write(zone, "production", {**same, key(700): None})[1]) == 1


def test_a_zone_with_one_set_of_any_length_keeps_its_lines_where_they_are() -> None:
    lines = [format_line(mark("production", n), ZONE) for n in range(400)]
    old = snapshot(RRset.of(*FIRST, 300, lines))
    zone, changed = write(old, "production", {key(n): mark("production", n) for n in range(401)})
    assert changed == {FIRST, registry_key(ZONE, 1)}
    assert set(lines) < set(zone.values(FIRST))
    assert zone.values(registry_key(ZONE, 1)) == (format_line(mark("production", 400), ZONE),)
    # A line that changes makes the long set shorter.
    less, changed = write(zone, "production", {key(n): mark("production", n, 1) for n in range(2)})
    assert changed == {FIRST, registry_key(ZONE, 1)}
    assert len(less.values(FIRST)) == len(zone.values(FIRST)) - 2


def test_a_set_has_room_for_so_many_octets() -> None:
    updates = {key(n): mark("production", n, share=b"x" * 400) for n in range(20)}
    zone, _ = write(snapshot(), "production", updates, room=1000)
    assert all(sum(map(len, rrset.values)) <= 1000 for rrset in sets(zone).values())
    assert marks_of(zone)["production"] == updates
    alone, _ = write(snapshot(), "production", {key(0): mark("production", 0, share=b"x" * 4000)}, room=1000)
    assert set(sets(alone)) == {FIRST}, "a line that is larger than a set's room has one of its own"


def test_what_looks_like_the_registry_and_is_none_marks_nothing() -> None:
    line = format_line(mark("production", 1), ZONE)
    names = ["_postseal-owner-0", "_postseal-owner-01", "_postseal-owner-x", "_postseal-owner.sub", "a._postseal-owner"]
    zone = snapshot(*(RRset.of(f"{name}.{ZONE}", "TXT", 300, [line]) for name in names))
    assert marks_of(zone) == {}


def test_an_emptied_registry_leaves_nothing_behind() -> None:
    zone, _ = write(snapshot(), "production", {key(n): mark("production", n) for n in range(100)})
    part, _ = write(zone, "production", {key(n): None for n in range(99)})
    assert b"v=postseal1 sets=3" in part.values(FIRST), "others may be writing to a set that is empty from here"
    gone, _ = write(part, "production", {key(99): None})
    assert sets(gone) == {}


def test_of_two_lines_about_one_set_the_one_whose_value_is_there_has_the_share() -> None:
    old, new = mark("production", 1, 0, b"old"), mark("production", 1, 1, b"new")
    for value, share in ((b"0", b"old"), (b"1", b"new"), (b"edited", b"old")):
        lines = [format_line(new, ZONE)], [format_line(old, ZONE)]
        for first, second in (lines, lines[::-1]):
            zone = snapshot(
                RRset.of(*key(1), 300, [value]),
                RRset.of(*FIRST, 300, [b"v=postseal1 sets=2", *first]),
                RRset.of(*registry_key(ZONE, 1), 300, second),
            )
            found = marks_of(zone)["production"][key(1)]
            assert found.digests == old.digests | new.digests
            assert found.share == share or value == b"edited"
            healed, _ = write(zone, "production", {key(1): new})
            assert marks_of(healed) == {"production": {key(1): new}}
            assert sum(len(rrset.values) for rrset in sets(healed).values()) == 2


UPDATES = st.dictionaries(
    st.integers(0, 30), st.none() | st.tuples(st.integers(0, 3), st.none() | st.binary(max_size=300)), min_size=1
)


@settings(deadline=None)  # a busy machine is no fault of the planner
@given(
    rounds=st.lists(st.tuples(st.sampled_from(OWNERS), UPDATES, st.integers(200, 900)), min_size=1, max_size=12),
    legacy=st.integers(0, 60),
)
def test_every_mark_can_be_read_after_any_history(
    rounds: list[tuple[str, dict[int, tuple[int, bytes | None] | None], int]], legacy: int
) -> None:
    model: dict[str, dict[Key, Mark]] = {
        "production": {key(n): mark("production", n) for n in range(1000, 1000 + legacy)}
    }
    lines = [format_line(one, ZONE) for one in model["production"].values()]
    zone = snapshot(RRset.of(*FIRST, 300, [*lines, b"somebody's note"]))
    for owner, wanted, room in rounds:
        updates: dict[Key, Mark | None] = {
            key(n): None if what is None else mark(owner, n, *what) for n, what in wanted.items()
        }
        zone, changed = write(zone, owner, updates, room)
        for place, one in updates.items():
            model.setdefault(owner, {}).pop(place, None)
            if one is not None:
                model[owner][place] = one
        assert marks_of(zone) == {name: marks for name, marks in model.items() if marks}
        assert b"somebody's note" in zone.values(FIRST)
        assert write(zone, owner, updates, room)[1] == set()
        assert len(changed) <= 2 * len(updates) + 1
        assert set(sets(set_by_set(zone))) == set(sets(zone))


def set_by_set(zone: Snapshot) -> Snapshot:
    """Return what is seen of the registry where a provider only answers for the sets that it is asked for."""
    memory = Memory({ZONE: Zone({**fresh(ZONE).rrsets, **zone.rrsets})}, by_set=True)
    return fetch(Job(memory, ZONE), "production")


@pytest.mark.parametrize("hint", [True, False])
def test_further_sets_are_found_set_by_set(hint: bool) -> None:
    zone, _ = write(snapshot(), "production", {key(n): mark("production", n) for n in range(400)})
    if not hint:
        lines = [line for line in zone.values(FIRST) if b"sets=" not in line]
        zone = after(zone, {FIRST: RRset.of(*FIRST, 300, lines)})
    assert marks_of(set_by_set(zone)) == marks_of(zone)
    assert len(sets(zone)) > 5
