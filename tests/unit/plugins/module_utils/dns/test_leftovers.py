# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What nobody claims any more, and what is taken over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim, Pending
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import OwnershipConflict
from ansible_collections.postseal.mail.plugins.module_utils.dns.leftovers import Leftovers
from ansible_collections.postseal.mail.plugins.module_utils.dns.plan import Rules, ZonePlan
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import RRset
from ansible_collections.postseal.mail.plugins.module_utils.dns.settle import plan_zone
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Snapshot
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.slots import SPF, SPF_MERGED, slot_of

from .zones import EVERYTHING, ZONE, applied, claim, snapshot, starts, values

ONE = starts("one")
A, B = claim(f"a.{ZONE}", "TXT", ONE, b"one=a"), claim(f"b.{ZONE}", "TXT", ONE, b"one=b")
PRUNE = Leftovers(remove=True, slot_of=slot_of)
OURS = b"v=spf1 ip4:192.0.2.1 -all"


def after(*claims: Claim, before: Snapshot | None = None) -> Snapshot:
    zone = before or snapshot()
    return applied(plan_zone(claims, zone, "production"), zone)


def sets(plan: ZonePlan) -> dict[str, tuple[object, ...]]:
    return {change.key[0]: change.after.values if change.after else () for change in plan.changes if change.guarded}


def test_without_prune_it_stays_and_is_told() -> None:
    plan = plan_zone([A], after(A, B), "production")
    assert plan.empty
    (note,) = plan.notes
    assert note == (
        f"zone {ZONE}: 1 value of ours that nobody claims any more would go with postseal_dns.prune: b.{ZONE} TXT"
    )


def test_with_prune_it_goes_and_its_mark_too() -> None:
    before = after(A, B)
    plan = plan_zone([A], before, "production", leftovers=PRUNE)
    assert sets(plan) == {f"b.{ZONE}": ()}
    assert sum(change.removed for change in plan.changes) == 1
    now = applied(plan, before)
    assert len(list(values(now, f"_postseal-owner.{ZONE}"))) == 1
    assert plan_zone([A], now, "production", leftovers=PRUNE).empty


def test_only_what_still_carries_what_we_wrote_goes() -> None:
    before = after(A, B)
    edited = {**before.rrsets, B.key: RRset.of(*B.key, 300, [b"one=edited", b"beside"])}
    plan = plan_zone([A], replace(before, rrsets=edited), "production", leftovers=PRUNE)
    assert sets(plan) == {}
    now = applied(plan, replace(before, rrsets=edited))
    assert values(now, B.name) == (b"beside", b"one=edited")


def test_what_others_wrote_beside_it_stays_with_its_ttl() -> None:
    before = after(A, B, before=snapshot(RRset.of(B.name, "TXT", 3600, [b"beside"])))
    (change,) = [c for c in plan_zone([A], before, "production", leftovers=PRUNE).changes if c.guarded]
    assert change.after == RRset.of(B.name, "TXT", 3600, [b"beside"])


def test_another_environment_keeps_its_own() -> None:
    before = applied(plan_zone([B], after(A), "staging"), after(A))
    assert sets(plan_zone([A], before, "production", leftovers=PRUNE)) == {}


@pytest.mark.parametrize(
    "waiting", [Pending(B.name, "TXT", "one", ZONE, "no key"), Pending(ZONE, "", "dkim", ZONE, "no key at all")]
)
def test_what_waits_for_a_key_stays(waiting: Pending) -> None:
    before = after(A, B)
    assert plan_zone([A], before, "production", pending=[waiting], leftovers=PRUNE).empty
    elsewhere = replace(PRUNE, pending=(waiting,))
    assert plan_zone([A], before, "production", leftovers=elsewhere).empty


def test_what_is_claimed_in_another_zone_of_the_run_stays() -> None:
    assert plan_zone([A], after(A, B), "production", leftovers=replace(PRUNE, claimed=frozenset([B.key]))).empty


def test_what_is_claimed_and_cannot_be_published_now_stays() -> None:
    tlsa = claim(f"_465._tcp.{ZONE}", "TLSA", EVERYTHING, "3 1 1 aa", requires_dnssec=True)
    signed = replace(after(A), signed=True)
    before = applied(plan_zone([A, tlsa], signed, "production"), signed)
    assert plan_zone([A, tlsa], replace(before, signed=False), "production", leftovers=PRUNE).empty


def test_our_share_of_a_united_value_goes_and_that_of_others_stays() -> None:
    spf = claim(ZONE, "TXT", SPF_MERGED, OURS)
    before = after(A, spf, before=snapshot(RRset.of(ZONE, "TXT", 60, [b"v=spf1 include:x.test -all", b"beside"])))
    assert b"v=spf1 ip4:192.0.2.1 include:x.test -all" in values(before, ZONE)
    plan = plan_zone([A], before, "production", leftovers=PRUNE)
    assert sets(plan) == {ZONE: (b"beside", b"v=spf1 include:x.test -all")}
    unknown = plan_zone([A], before, "production", leftovers=Leftovers(remove=True))
    assert unknown.empty
    assert "nobody knows how to take it apart" in unknown.notes[0]


def test_a_united_value_is_not_replaced_by_ours_alone() -> None:
    before = after(claim(ZONE, "TXT", SPF_MERGED, OURS), before=snapshot(RRset.of(ZONE, "TXT", 60, [b"v=spf1 a -all"])))
    with pytest.raises(OwnershipConflict, match=r"ip4:192\.0\.2\.1 a -all"):
        plan_zone([claim(ZONE, "TXT", SPF, OURS)], before, "production")


def test_an_alias_of_ours_makes_room_for_our_records_without_prune() -> None:
    alias = claim(A.name, "CNAME", EVERYTHING, "elsewhere.test.")
    plan = plan_zone([A], after(alias), "production")
    assert [(change.key[1], bool(change.after)) for change in plan.changes if change.guarded] == [
        ("CNAME", False),
        ("TXT", True),
    ]
    foreign = snapshot(RRset.of(A.name, "CNAME", 300, ["elsewhere.test."]))
    with pytest.raises(OwnershipConflict, match="CNAME to elsewhere"):
        plan_zone([A], foreign, "production", leftovers=PRUNE)


def test_a_slot_that_is_not_claimed_any_more_leaves_the_set() -> None:
    two = claim(A.name, "TXT", starts("two"), b"two=2")
    before = after(A, two)
    assert sets(plan_zone([A], before, "production", leftovers=PRUNE)) == {A.name: (b"one=a",)}
    assert plan_zone([A], before, "production").empty


def adopting(wanted: Claim) -> Claim:
    return replace(wanted, adopt=True)


def test_adopting_replaces_what_stands_in_the_slot_and_tells_so() -> None:
    before = snapshot(RRset.of(A.name, "TXT", 3600, [b"one=theirs", b"beside"]))
    plan = plan_zone([adopting(A)], before, "production")
    assert sets(plan) == {A.name: (b"beside", b"one=a")}
    assert plan.notes == (f'a.{ZONE} TXT: "one=theirs" gives way to domain {ZONE} (one, adopt)',)
    (change,) = [change for change in plan.changes if change.guarded]
    assert change.replaced == 1
    assert plan_zone([A], applied(plan, before), "production").empty


def test_adopting_an_equal_value_makes_it_ours() -> None:
    before = snapshot(RRset.of(A.name, "TXT", 300, [b"one=a"]))
    plan = plan_zone([adopting(A)], before, "production")
    assert sets(plan) == {}
    assert A.key in plan.marks
    beside = plan_zone([adopting(A)], before, "production", rules=Rules(registry=False))
    assert [(change.before, change.after) for change in beside.changes] == [(before.rrsets[A.key],) * 2]


def test_nobody_adopts_what_another_environment_wrote() -> None:
    before = applied(plan_zone([replace(A, value=b"one=x")], snapshot(), "staging"), snapshot())
    with pytest.raises(OwnershipConflict, match="environment staging wrote it"):
        plan_zone([adopting(A)], before, "production")
    same = applied(plan_zone([A], snapshot(), "staging"), snapshot())
    assert plan_zone([adopting(A)], same, "production").empty
