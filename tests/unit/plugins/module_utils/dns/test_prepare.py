# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim, Pending
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import (
    LimitExceeded,
    PlanError,
    Several,
    TransportError,
    ZoneNotFound,
)
from ansible_collections.postseal.mail.plugins.module_utils.dns.limits import Limits
from ansible_collections.postseal.mail.plugins.module_utils.dns.plan import ZonePlan
from ansible_collections.postseal.mail.plugins.module_utils.dns.prepare import Preparation, prepare
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.base import Batch, Capabilities, Server
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Key, RRset, within
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Snapshot

from .zones import EVERYTHING


@dataclass(eq=False)
class Listed:
    """A provider with zones in memory; enough to plan, nothing is ever written."""

    zones: dict[str, tuple[RRset, ...]]
    name: str = "memory"
    broken: str = ""
    caps: Capabilities = field(default_factory=lambda: Capabilities("zone"))

    def zone_of(self, name: str) -> str:
        if self.broken:
            raise TransportError(self.name, "", self.broken)
        found = [zone for zone in self.zones if within(name, zone)]
        if not found:
            raise ZoneNotFound(self.name, "", f"nothing is known of {name}", "Serve it")
        return max(found, key=len)

    def fetch(self, zone: str, keys: Collection[Key]) -> Snapshot:
        apex = (RRset.of(zone, "SOA", 300, ["a. b. 1 2 3 4 5"]), RRset.of(zone, "NS", 300, ["ns.test."]))
        return Snapshot(zone, 1, {rrset.key: rrset for rrset in (*apex, *self.zones[zone])}, signed=False)

    def render(self, plan: ZonePlan, snapshot: Snapshot) -> Sequence[Batch]:
        return [Batch(plan.changes, None)]

    def apply(self, zone: str, batch: Batch) -> None:
        raise AssertionError("planning writes nothing")

    def authorities(self, snapshot: Snapshot) -> Sequence[Server]:
        return ()


def claim(name: str, anchor: str, required: bool = True) -> Claim:
    return Claim(name, "TXT", EVERYTHING, b"x", 300, anchor, f"domain {anchor}", required)


def planned(preparation: Preparation) -> dict[str, set[str]]:
    return {
        item.snapshot.zone: {change.key[0] for change in item.plan.changes if change.guarded}
        for item in preparation.zones
    }


def test_every_claim_goes_into_its_own_zone() -> None:
    zones = {"shop.test": (), "sender.test": (), "sub.shop.test": ()}
    anchors = ["shop.test", "a.sender.test", "b.sender.test", "sub.shop.test"]
    # A route may well make a provider anew for each name; what counts is its name.
    preparation = prepare([claim(f"x.{a}", a) for a in anchors], (), lambda _: Listed(dict(zones)), "me", Limits())
    assert planned(preparation) == {
        "shop.test": {"x.shop.test"},
        "sender.test": {"x.a.sender.test", "x.b.sender.test"},
        "sub.shop.test": {"x.sub.shop.test"},
    }


def test_names_below_a_delegation_go_into_the_zone_that_has_them() -> None:
    cut = RRset.of("_domainkey.shop.test", "NS", 300, ["ns.test."])
    provider = Listed({"shop.test": (cut,), "_domainkey.shop.test": ()})
    claims = [claim("s1._domainkey.shop.test", "shop.test"), claim("_dmarc.shop.test", "shop.test")]
    assert planned(prepare(claims, (), lambda _: provider, "me", Limits())) == {
        "shop.test": {"_dmarc.shop.test"},
        "_domainkey.shop.test": {"s1._domainkey.shop.test"},
    }


def test_a_delegation_to_elsewhere_is_an_error() -> None:
    provider = Listed({"shop.test": (RRset.of("_domainkey.shop.test", "NS", 300, ["ns.elsewhere."]),)})
    provider.zone_of = lambda name: Listed.zone_of(provider, name) if name == "shop.test" else refuse(name)  # type: ignore[method-assign]

    def refuse(name: str) -> str:
        raise ZoneNotFound("memory", "", name)

    with pytest.raises(PlanError, match=r"_domainkey\.shop\.test is delegated away"):
        prepare([claim("s1._domainkey.shop.test", "shop.test")], (), lambda _: provider, "me", Limits())


def test_optional_claims_outside_all_zones_are_noted_and_required_ones_are_errors() -> None:
    provider = Listed({"shop.test": ()})
    optional = claim("mail.elsewhere.test", "mail.elsewhere.test", required=False)
    preparation = prepare([claim("shop.test", "shop.test"), optional], (), lambda _: provider, "me", Limits())
    assert planned(preparation) == {"shop.test": {"shop.test"}}
    assert preparation.notes == (
        "the records of mail.elsewhere.test are left to whoever runs its zone: "
        "DNS provider memory: nothing is known of mail.elsewhere.test",
    )
    with pytest.raises(ZoneNotFound, match=r"nothing is known of mail\.elsewhere\.test\. Serve it"):
        prepare([claim("mail.elsewhere.test", "mail.elsewhere.test")], (), lambda _: provider, "me", Limits())


def test_names_without_provider_are_told_with_the_variable() -> None:
    with pytest.raises(PlanError, match=r"domain shop\.test: no DNS provider.*postseal_dns\.zones"):
        prepare([claim("shop.test", "shop.test")], (), lambda _: None, "me", Limits())


def test_every_error_is_told_once() -> None:
    with pytest.raises(TransportError, match="down") as caught:
        prepare(
            [claim(f"{n}.test", f"{n}.test") for n in "abc"], (), lambda _: Listed({}, broken="down"), "me", Limits()
        )
    assert not isinstance(caught.value, Several)
    with pytest.raises(Several) as several:
        prepare([claim(f"{n}.test", f"{n}.test") for n in "abc"], (), lambda _: Listed({}), "me", Limits())
    assert len(several.value.errors) == 3


def test_what_waits_is_noted_and_may_forbid_to_write() -> None:
    def with_remedy(remedy: str) -> Preparation:
        waiting = Pending("_domainkey.shop.test", "", "dkim", "shop.test", "no key yet", remedy)
        return prepare(
            [claim("shop.test", "shop.test")], [waiting], lambda _: Listed({"shop.test": ()}), "me", Limits()
        )

    assert with_remedy("").notes == ("no key yet: _domainkey.shop.test must wait",)
    with_remedy("").complete()
    with pytest.raises(PlanError, match=r"no key yet: _domainkey\.shop\.test must wait\. Make one"):
        with_remedy("Make one").complete()


def test_a_plan_beyond_the_limits_needs_its_own_fingerprint() -> None:
    provider = Listed({"shop.test": ()})
    ns = Claim("shop.test", "NS", EVERYTHING, "other.test.", 300, "shop.test", "domain shop.test")
    with pytest.raises(PlanError, match="stands where"):
        prepare([ns], (), lambda _: provider, "me", Limits())
    both = [ns, Claim("shop.test", "NS", EVERYTHING, "ns.test.", 300, "shop.test", "domain shop.test")]
    preparation = prepare(both, (), lambda _: provider, "me", Limits())
    with pytest.raises(LimitExceeded, match=rf"NS at the apex.*-e plan={preparation.fingerprint}"):
        preparation.check()
    preparation.check(preparation.fingerprint)
    with pytest.raises(PlanError, match="not 1234"):
        preparation.check("1234")


def test_what_cannot_be_planned_names_domains_zone_provider_and_fix() -> None:
    zones = {"shop.test": (), "news.test": (RRset.of("news.test", "TXT", 300, [b"foreign"]),)}
    one_slot = replace(EVERYTHING, single=True)
    rivals = [
        Claim("shop.test", "TXT", one_slot, value, 300, "shop.test", f"domain {name}")
        for name, value in (("a.shop.test", b"a"), ("b.shop.test", b"b"))
    ]
    with pytest.raises(Several) as caught:
        prepare([*rivals, claim("news.test", "news.test")], (), lambda _: Listed(zones), "me", Limits())
    assert sorted(map(str, caught.value.errors)) == [
        'DNS provider memory, zone news.test: news.test TXT: "foreign" stands where domain news.test wants "x" '
        "(everything), and this environment did not write it. Delete it at the provider if nobody needs it, or make "
        "the inventory ask for the same, or let adopt: true replace it",
        "DNS provider memory, zone shop.test: shop.test TXT has room for one everything value, and domain a.shop.test "
        'and domain b.shop.test each want their own: "a", "b". Say it once in the inventory',
    ]
