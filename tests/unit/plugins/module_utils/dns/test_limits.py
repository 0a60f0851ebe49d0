# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim
from ansible_collections.postseal.mail.plugins.module_utils.dns.leftovers import Leftovers
from ansible_collections.postseal.mail.plugins.module_utils.dns.limits import Limits, refusals
from ansible_collections.postseal.mail.plugins.module_utils.dns.plan import ZonePlan
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import RRset
from ansible_collections.postseal.mail.plugins.module_utils.dns.settle import plan_zone
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Change, Snapshot

from .zones import EVERYTHING, NS, SOA, ZONE, applied, claim, snapshot, starts

ONE = starts("one")


def many(count: int, value: bytes) -> list[Claim]:
    return [claim(f"n{number}.{ZONE}", "TXT", ONE, b"one=" + value) for number in range(count)]


def only(change: Change) -> ZonePlan:
    return ZonePlan(ZONE, "production", (change,), {}, 1, {}, {})


def told(plan: ZonePlan, before: Snapshot, limits: Limits = Limits()) -> list[str]:  # noqa: B008
    return [str(error) for error in refusals(plan, before, limits)]


def test_creating_any_number_is_allowed() -> None:
    assert told(plan_zone(many(50, b"1"), snapshot(), "production"), snapshot()) == []


@pytest.mark.parametrize(("changed", "allowed"), [(5, True), (6, False)])
def test_the_share_counts_above_the_number(changed: int, allowed: bool) -> None:
    before = applied(plan_zone(many(10, b"1"), snapshot(), "production"), snapshot())
    plan = plan_zone(many(10, b"1")[changed:] + many(changed, b"2"), before, "production")
    reasons = told(plan, before)
    assert reasons == [] if allowed else "changes 6 of our 10 values" in reasons[0]


def test_removing_more_than_the_limit_is_refused_whatever_the_share() -> None:
    full = [claim(ZONE, "A", EVERYTHING, f"192.0.2.{number}") for number in range(100)]
    before = applied(plan_zone(full, snapshot(), "production"), snapshot())
    plan = plan_zone(full[3:], before, "production")
    assert told(plan, before) == []
    assert "removes 3 values, postseal_dns.limits.max_deletes is 2" in told(plan, before, Limits(max_deletes=2))[0]


def test_apex_ns_and_soa_are_never_changed() -> None:
    for rrset in (NS, SOA):
        assert "belongs to whoever runs the zone" in told(only(Change(rrset.key, rrset, None)), snapshot())[0]


def test_the_last_mx_is_never_removed() -> None:
    mx = RRset.of(ZONE, "MX", 300, ["10 mail.test."])
    assert "last MX" in told(only(Change(mx.key, mx, None)), snapshot(mx))[0]


@pytest.mark.parametrize("missing", [SOA, NS])
def test_a_listing_that_cannot_be_whole_is_not_written_to(missing: RRset) -> None:
    whole = snapshot()
    part = Snapshot(ZONE, 7, {key: rrset for key, rrset in whole.rrsets.items() if rrset != missing}, signed=False)
    assert "not the whole zone" in told(plan_zone(many(1, b"1"), part, "production"), part)[0]


MX = RRset.of(ZONE, "MX", 300, ["10 mail.test."])
SPF = RRset.of(ZONE, "TXT", 300, [b"v=spf1 -all", b"google"])
DMARC = RRset.of(f"_dmarc.{ZONE}", "TXT", 300, [b"v=DMARC1; p=none"])
KEY = RRset.of(f"s1._domainkey.{ZONE}", "TXT", 300, [b"v=DKIM1; p=x"])


def without(rrset: RRset, value: bytes) -> Change:
    left = [other for other in rrset.values if other != value]
    return Change(rrset.key, rrset, RRset.of(*rrset.key, rrset.ttl, left) if left else None)


def test_policies_of_a_name_that_gets_mail_stay() -> None:
    mail = snapshot(MX, SPF, DMARC)
    assert "removes SPF of shop.test" in told(only(without(SPF, b"v=spf1 -all")), mail)[0]
    assert "removes DMARC of shop.test" in told(only(without(DMARC, b"v=DMARC1; p=none")), mail)[0]
    assert told(only(without(SPF, b"google")), mail) == []
    for quiet in (snapshot(SPF, DMARC), snapshot(RRset.of(ZONE, "MX", 300, ["0 ."]), SPF, DMARC)):
        assert told(only(without(SPF, b"v=spf1 -all")), quiet) == []
        assert told(only(without(DMARC, b"v=DMARC1; p=none")), quiet) == []


def test_a_dkim_key_goes_only_with_approval_unless_an_alias_takes_its_place() -> None:
    gone = Change(KEY.key, KEY, None)
    assert "removes the DKIM key s1._domainkey.shop.test" in told(only(gone), snapshot(KEY))[0]
    alias = RRset.of(KEY.name, "CNAME", 300, ["s1.elsewhere.test."])
    both = ZonePlan(ZONE, "production", (gone, Change(alias.key, None, alias)), {}, 1, {}, {})
    assert told(both, snapshot(KEY)) == []


def test_the_last_of_ours_in_a_zone_goes_only_with_approval() -> None:
    before = applied(plan_zone(many(1, b"1"), snapshot(), "production"), snapshot())
    plan = plan_zone([], before, "production", leftovers=Leftovers(remove=True))
    assert "the inventory wants nothing there any more" in told(plan, before)[0]


@pytest.mark.parametrize(
    ("last", "reason"),
    [(0, ""), (10, ""), (12, ""), (20, "has 10 values of ours, and 20 were there last time")],
)
def test_a_listing_that_has_become_much_shorter_is_suspicious(last: int, reason: str) -> None:
    before = applied(plan_zone(many(10, b"1"), snapshot(), "production"), snapshot())
    plan = plan_zone([*many(10, b"1"), claim(f"more.{ZONE}", "TXT", ONE, b"one=1")], before, "production")
    reasons = [str(error) for error in refusals(plan, before, Limits(), last)]
    assert reason in reasons[0] if reason else reasons == []


def test_a_listing_without_any_of_ours_is_suspicious_however_few_there_were() -> None:
    plan = plan_zone(many(1, b"1"), snapshot(), "production")
    (reason,) = refusals(plan, snapshot(), Limits(), 1)
    assert "none of the 1 values of ours that were there last time" in str(reason)
    assert not reason.final


def test_a_listing_that_lacks_what_the_registry_names_is_suspicious() -> None:
    before = applied(plan_zone(many(20, b"1"), snapshot(), "production"), snapshot())
    half = {
        key: rrset
        for number, (key, rrset) in enumerate(sorted(before.rrsets.items()))
        if number % 2 or key[1] != "TXT" or key[0].startswith("_")
    }
    part = Snapshot(ZONE, 7, half, signed=False)
    reasons = told(plan_zone(many(20, b"1"), part, "production"), part)
    assert "lacks 10 values that we wrote, and has 10" in reasons[0]


def test_no_approval_helps_a_listing_that_is_not_a_zone() -> None:
    part = Snapshot(ZONE, 7, {NS.key: NS}, signed=False)
    assert [error.final for error in refusals(plan_zone(many(1, b"1"), part, "production"), part, Limits())] == [True]


def test_a_key_that_is_known_to_be_over_may_go_and_counts_for_nothing() -> None:
    keys = [claim(f"s{number}._domainkey.{ZONE}", "TXT", ONE, b"one=key") for number in range(6)]
    before = applied(plan_zone([*keys, *many(1, b"1")], snapshot(), "production"), snapshot())
    ended = frozenset(key.key for key in keys)
    plan = plan_zone(many(1, b"1"), before, "production", leftovers=Leftovers(ended=ended))
    assert {change.key for change in plan.changes if change.guarded} == ended
    assert any("on its way" in reason for reason in told(plan, before))
    assert [str(error) for error in refusals(plan, before, Limits(), ended=ended)] == []
