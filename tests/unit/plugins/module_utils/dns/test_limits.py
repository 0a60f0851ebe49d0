# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.limits import Limits, refusals
from ansible_collections.postseal.mail.plugins.module_utils.dns.plan import ZonePlan
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import RRset
from ansible_collections.postseal.mail.plugins.module_utils.dns.settle import plan_zone
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Change, Snapshot

from .zones import EVERYTHING, NS, SOA, ZONE, applied, claim, snapshot, starts

ONE = starts("one")


def many(count: int, value: bytes) -> list:
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
