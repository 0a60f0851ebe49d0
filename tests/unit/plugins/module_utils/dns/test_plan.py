# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim, Merged, Pending, Slot
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import OwnershipConflict, PlanError, Several
from ansible_collections.postseal.mail.plugins.module_utils.dns.plan import Rules, ZonePlan, fingerprint
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import RRset, Value
from ansible_collections.postseal.mail.plugins.module_utils.dns.settle import plan_zone
from ansible_collections.postseal.mail.plugins.module_utils.dns.zonetext import before_and_after
from hypothesis import given, settings
from hypothesis import strategies as st

from .zones import EVERYTHING, ZONE, applied, claim, snapshot, starts, values

ONE, TWO = starts("one"), starts("two")
GOOGLE = b"google-site-verification=abc"
REGISTRY = f"_postseal-owner.{ZONE}"


def ttl_of(plan: ZonePlan) -> int | None:
    found = plan.expected[ZONE, "TXT"]
    return found.ttl if found else None


def test_creates_what_is_missing_and_leaves_the_neighbours() -> None:
    before = snapshot(RRset.of(ZONE, "TXT", 3600, [GOOGLE]))
    plan = plan_zone([claim(ZONE, "TXT", ONE, b"one=1")], before, "production")
    assert values(applied(plan, before), ZONE) == (GOOGLE, b"one=1")
    assert ttl_of(plan) == 3600, "the TTL of a shared set is not ours to change"


def test_marks_what_it_writes_in_the_registry() -> None:
    plan = plan_zone([claim(ZONE, "TXT", ONE, b"one=1")], snapshot(), "production")
    (line,) = values(applied(plan, snapshot()), REGISTRY)
    assert isinstance(line, bytes)
    assert re.fullmatch(rb"v=postseal1 owner=production name=@ type=TXT wrote=[0-9a-f]{16}", line)


def test_replaces_its_own_value() -> None:
    first = snapshot()
    second = applied(plan_zone([claim(ZONE, "TXT", ONE, b"one=1")], first, "production"), first)
    plan = plan_zone([claim(ZONE, "TXT", ONE, b"one=2")], second, "production")
    assert values(applied(plan, second), ZONE) == (b"one=2",)
    assert (plan.owned, plan.changes[0].replaced, plan.changes[0].removed) == (1, 1, 0)


def test_a_foreign_value_in_the_slot_is_a_conflict_that_names_everything() -> None:
    before = snapshot(RRset.of(ZONE, "TXT", 300, [b"one=foreign"]))
    with pytest.raises(OwnershipConflict) as caught:
        plan_zone([claim(ZONE, "TXT", ONE, b"one=1")], before, "production")
    for part in (ZONE, "TXT", "one=foreign", "one=1", f"domain {ZONE}", "Delete it at the provider"):
        assert part in str(caught.value)


def test_a_value_of_another_environment_is_a_conflict_that_names_it() -> None:
    before = applied(plan_zone([claim(ZONE, "TXT", ONE, b"one=1")], snapshot(), "staging"), snapshot())
    with pytest.raises(OwnershipConflict, match="environment staging wrote it"):
        plan_zone([claim(ZONE, "TXT", ONE, b"one=2")], before, "production")


def test_our_value_that_somebody_changed_is_nobodys() -> None:
    ours = applied(plan_zone([claim(ZONE, "TXT", ONE, b"one=1")], snapshot(), "production"), snapshot())
    edited = snapshot(RRset.of(ZONE, "TXT", 300, [b"one=edited"]), ours.rrsets[REGISTRY, "TXT"])
    with pytest.raises(OwnershipConflict, match="did not write it"):
        plan_zone([claim(ZONE, "TXT", ONE, b"one=2")], edited, "production")


def test_an_equal_foreign_value_satisfies_the_claim_and_stays_foreign() -> None:
    before = snapshot(RRset.of(ZONE, "TXT", 3600, [b"one=1"]))
    plan = plan_zone([claim(ZONE, "TXT", ONE, b"one=1")], before, "production")
    assert plan.empty
    assert not plan.marks


def test_all_that_is_wrong_is_told_at_once() -> None:
    before = snapshot(
        RRset.of(ZONE, "TXT", 300, [b"one=foreign"]), RRset.of(f"a.{ZONE}", "CNAME", 300, ["elsewhere.test."])
    )
    claims = [claim(ZONE, "TXT", ONE, b"one=1"), claim(f"a.{ZONE}", "TXT", ONE, b"one=1")]
    with pytest.raises(Several) as caught:
        plan_zone(claims, before, "production")
    assert len(caught.value.errors) == 2
    assert "CNAME to elsewhere.test." in str(caught.value)


def test_a_cname_is_not_put_beside_records() -> None:
    before = snapshot(RRset.of(f"a.{ZONE}", "TXT", 300, [b"x"]))
    with pytest.raises(OwnershipConflict, match="other records"):
        plan_zone([claim(f"a.{ZONE}", "CNAME", EVERYTHING, "elsewhere.test.")], before, "production")


def test_a_delegated_name_is_refused() -> None:
    before = snapshot(RRset.of(f"sub.{ZONE}", "NS", 300, ["ns.elsewhere.test."]))
    with pytest.raises(PlanError, match=rf"sub\.{ZONE} is delegated"):
        plan_zone([claim(f"deep.sub.{ZONE}", "TXT", ONE, b"one=1")], before, "production")


def test_two_claims_on_one_slot_are_refused() -> None:
    with pytest.raises(PlanError, match="room for one one value"):
        plan_zone([claim(ZONE, "TXT", ONE, b"one=1"), claim(ZONE, "TXT", ONE, b"one=2")], snapshot(), "production")


def test_what_needs_dnssec_is_noted_and_left_out_of_an_unsigned_zone() -> None:
    needs = claim(f"_465._tcp.{ZONE}", "TLSA", EVERYTHING, "3 1 1 aa", requires_dnssec=True)
    plan = plan_zone([needs, needs], snapshot(), "production")
    assert plan.empty
    assert plan.notes == (f"zone {ZONE} is not signed: no TLSA record for {ZONE}",)
    assert not plan_zone([needs], snapshot(signed=True), "production").empty


def test_nothing_of_ours_leaves_a_slot_that_waits_for_a_key() -> None:
    both = [claim(ZONE, "TLSA", EVERYTHING, value) for value in ("3 1 1 aa", "3 1 1 bb")]
    before = applied(plan_zone(both, snapshot(), "production"), snapshot())
    waiting = Pending(ZONE, "TLSA", "everything", ZONE, "the key of b is not known yet")
    assert plan_zone(both[:1], before, "production", pending=[waiting]).empty
    smaller = plan_zone(both[:1], before, "production")
    assert [change.removed for change in smaller.changes if change.guarded] == [1]


def test_ttls_stay_in_the_providers_range() -> None:
    plan = plan_zone([claim(ZONE, "TXT", ONE, b"one=1", ttl=5)], snapshot(), "production", rules=Rules(min_ttl=60))
    assert ttl_of(plan) == 60


def test_a_changed_ttl_alone_is_a_change_and_removes_nothing() -> None:
    before = applied(plan_zone([claim(ZONE, "TXT", ONE, b"one=1")], snapshot(), "production"), snapshot())
    plan = plan_zone([claim(ZONE, "TXT", ONE, b"one=1", ttl=60)], before, "production")
    (change,) = plan.changes
    assert (change.ttl_changes, change.adds, change.deletes, change.replaced) == (True, (), (), 0)


def test_providers_with_marks_of_their_own_need_no_registry() -> None:
    plan = plan_zone([claim(ZONE, "TXT", ONE, b"one=1")], snapshot(), "production", rules=Rules(registry=False))
    assert [change.key for change in plan.changes] == [(ZONE, "TXT")]
    assert (ZONE, "TXT") in plan.marks


def test_merging_keeps_the_foreign_part_and_remembers_ours() -> None:
    def words(value: Value | None) -> set[bytes]:
        return set(value.removeprefix(b"list=").split()) if isinstance(value, bytes) else set()

    def merge(asked: Value, found: Sequence[Value], share: Value | None, _: Sequence[Value]) -> Merged:
        foreign = {word for value in found for word in words(value)} - words(share)
        return Merged(b"list=" + b" ".join(sorted(foreign | words(asked))), b" ".join(sorted(words(asked))))

    slot = Slot("list", lambda value: isinstance(value, bytes) and value.startswith(b"list="), merge=merge)
    before = snapshot(RRset.of(ZONE, "TXT", 300, [b"list=foreign"]))
    second = applied(plan_zone([claim(ZONE, "TXT", slot, b"list=a b")], before, "production"), before)
    assert values(second, ZONE) == (b"list=a b foreign",)
    assert plan_zone([claim(ZONE, "TXT", slot, b"list=a b")], second, "production").empty
    third = applied(plan_zone([claim(ZONE, "TXT", slot, b"list=b c")], second, "production"), second)
    assert values(third, ZONE) == (b"list=b c foreign",)


def test_the_diff_is_zone_text_that_shows_what_is_ours() -> None:
    before = snapshot(RRset.of(ZONE, "TXT", 300, [GOOGLE]))
    old, new = before_and_after(plan_zone([claim(ZONE, "TXT", ONE, b"one=1")], before, "production"))
    assert old == f'{ZONE}. 300 IN TXT "google-site-verification=abc"\n'
    assert f'{ZONE}. 300 IN TXT "google-site-verification=abc"\n' in new
    assert f'{ZONE}. 300 IN TXT "one=1" ; production\n' in new


# Random zones: foreign values around our slots, two environments that each have a slot of their own.
LABELS = st.sampled_from([ZONE, f"_dmarc.{ZONE}", f"a.{ZONE}", f"b.{ZONE}"])
FOREIGN = st.dictionaries(
    LABELS, st.sets(st.binary(min_size=1, max_size=300).map(lambda data: b"f" + data), min_size=1)
)


def desires(slot: Slot) -> st.SearchStrategy[list[Claim]]:
    wanted = st.dictionaries(LABELS, st.binary(max_size=40))
    head = slot.label.encode() + b"="
    return wanted.map(lambda found: [claim(name, "TXT", slot, head + data) for name, data in found.items()])


@settings(deadline=None)  # a busy machine is no fault of the planner
@given(foreign=FOREIGN, rounds=st.lists(st.tuples(desires(ONE), desires(TWO)), min_size=1, max_size=4))
def test_foreign_values_and_other_environments_survive_any_history(
    foreign: dict[str, set[bytes]], rounds: list[tuple[list[Claim], list[Claim]]]
) -> None:
    zone = snapshot(*(RRset.of(name, "TXT", 3600, found) for name, found in foreign.items()))
    for mine, theirs in rounds:
        for owner, wanted in (("production", mine), ("staging", theirs)):
            others = {
                (name, value)
                for (name, rrtype), rrset in zone.rrsets.items()
                for value in rrset.values
                if rrtype == "TXT" and name != REGISTRY and not any(one.slot.holds(value) for one in wanted)
            }
            plan = plan_zone(wanted, zone, owner)
            assert fingerprint([plan]) == fingerprint([plan_zone(list(reversed(wanted)), zone, owner)])
            zone = applied(plan, zone)
            for one in wanted:
                inside = [value for value in values(zone, one.name) if one.slot.holds(value)]
                assert inside == [one.value]
            assert all(value in values(zone, name) for name, value in others)
            assert plan_zone(wanted, zone, owner).empty
            assert {rrset.key for rrset in zone.rrsets.values()} == set(zone.rrsets)
