# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The way back, move by move; test_history does it at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim
from ansible_collections.postseal.mail.plugins.module_utils.dns.plan import ANY, ZonePlan
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Key, RRset, Value
from ansible_collections.postseal.mail.plugins.module_utils.dns.restore import SavedSet, plan_restore
from ansible_collections.postseal.mail.plugins.module_utils.dns.settle import plan_zone
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Snapshot
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.slots import DMARC, SPF_MERGED, slot_of

from .zones import EVERYTHING, ZONE, applied, claim, snapshot, values

NAME = f"_dmarc.{ZONE}"
NONE, REJECT = b"v=DMARC1; p=none", b"v=DMARC1; p=reject"


def dmarc(value: bytes) -> Claim:
    return claim(NAME, "TXT", DMARC, value)


def run(before: Snapshot, *claims: Claim) -> tuple[Snapshot, list[SavedSet]]:
    """Publish claims, and return the zone afterwards and what was saved."""
    plan = plan_zone(claims, before, "production")
    saved = [
        SavedSet(change.key, change.before, change.after, plan.held.get(change.key))
        for change in plan.changes
        if change.guarded
    ]
    return applied(plan, before), saved


def back(saved: Sequence[SavedSet], zone: Snapshot) -> tuple[ZonePlan, Snapshot]:
    plan = plan_restore(saved, zone, "production", ANY, slot_of)
    now = applied(plan, zone)
    again = plan_restore(saved, now, "production", ANY, slot_of)
    assert again.empty, again
    return plan, now


def edited(zone: Snapshot, name: str, *found: Value) -> Snapshot:
    key: Key = (name, "TXT")
    return replace(zone, rrsets={**zone.rrsets, key: RRset.of(*key, 300, found)})


def test_what_was_made_goes() -> None:
    zone, saved = run(snapshot(), dmarc(NONE), claim(ZONE, "MX", EVERYTHING, "10 mx.test."))
    plan, now = back(saved, zone)
    assert now.rrsets == snapshot().rrsets
    assert sum(change.removed for change in plan.changes) == 2


def test_what_was_replaced_returns_and_is_ours_again() -> None:
    first, _ = run(snapshot(), dmarc(NONE))
    second, saved = run(first, dmarc(REJECT))
    _, now = back(saved, second)
    assert now.rrsets == first.rrsets


def test_an_old_run_is_taken_back_over_newer_ones() -> None:
    first, _ = run(snapshot(), dmarc(NONE))
    second, saved = run(first, dmarc(REJECT))
    third, _ = run(second, dmarc(b"v=DMARC1; p=quarantine"))
    _, now = back(saved, third)
    assert now.rrsets == first.rrsets


def test_what_was_adopted_returns_to_its_owner() -> None:
    foreign = snapshot(RRset.of(NAME, "TXT", 3600, [b"v=DMARC1; p=none; rua=mailto:x@y.test"]))
    zone, saved = run(foreign, replace(dmarc(REJECT), adopt=True))
    _, now = back(saved, zone)
    assert now.rrsets == foreign.rrsets


def test_what_others_put_beside_it_meanwhile_stays() -> None:
    zone, saved = run(snapshot(), claim(ZONE, "TXT", SPF_MERGED, b"v=spf1 -all"))
    _, now = back(saved, edited(zone, ZONE, b"v=spf1 -all", b"google"))
    assert values(now, ZONE) == (b"google",)


def test_a_value_that_somebody_changed_since_stays_and_is_told() -> None:
    first, _ = run(snapshot(), dmarc(NONE))
    second, saved = run(first, dmarc(REJECT))
    plan, now = back(saved, edited(second, NAME, b"v=DMARC1; p=quarantine"))
    assert plan.empty
    assert values(now, NAME) == (b"v=DMARC1; p=quarantine",)
    assert plan.notes == (f'{NAME} TXT stays as it is: "v=DMARC1; p=quarantine" stands there now and is not ours',)


def test_a_foreign_value_that_went_since_does_not_rise_again() -> None:
    foreign = snapshot(RRset.of(ZONE, "TXT", 300, [b"google"]))
    zone, saved = run(foreign, claim(ZONE, "TXT", SPF_MERGED, b"v=spf1 -all"))
    _, now = back(saved, edited(zone, ZONE, b"v=spf1 -all"))
    assert (ZONE, "TXT") not in now.rrsets


def test_of_a_united_value_only_our_share_is_taken_back() -> None:
    foreign = snapshot(RRset.of(ZONE, "TXT", 300, [b"v=spf1 include:x.test -all"]))
    zone, saved = run(foreign, claim(ZONE, "TXT", SPF_MERGED, b"v=spf1 ip4:192.0.2.1 -all"))
    _, untouched = back(saved, zone)
    assert values(untouched, ZONE) == (b"v=spf1 include:x.test -all",)
    more = edited(zone, ZONE, b"v=spf1 ip4:192.0.2.1 include:x.test include:y.test -all")
    newer, _ = run(more, claim(ZONE, "TXT", SPF_MERGED, b"v=spf1 ip4:192.0.2.2 -all"))
    _, now = back(saved, newer)
    assert values(now, ZONE) == (b"v=spf1 include:x.test include:y.test -all",)


def test_a_place_that_is_taken_is_told() -> None:
    host = claim(f"h.{ZONE}", "A", EVERYTHING, "192.0.2.1")
    first, _ = run(snapshot(), host)
    saved = [SavedSet(host.key, first.rrsets[host.key], None, None)]
    alias = snapshot(RRset.of(host.name, "CNAME", 300, ["elsewhere.test."]))
    plan, _ = back(saved, alias)
    assert plan.empty
    assert "holds a CNAME to elsewhere.test." in plan.notes[0]


def test_another_environments_value_is_not_touched() -> None:
    first, _ = run(snapshot(), dmarc(NONE))
    _, saved = run(first, dmarc(REJECT))
    theirs = applied(plan_zone([dmarc(NONE)], snapshot(), "staging"), snapshot())
    plan, _ = back(saved, theirs)
    assert plan.empty
    assert "environment staging has written there since" in plan.notes[0]
