# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What every DNS provider must do, whatever it speaks. A provider's tests inherit this and supply ``backend``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.authority import WaitPolicy
from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim, Slot
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import (
    ConflictError,
    InvalidRecord,
    OwnershipConflict,
    ZoneNotFound,
)
from ansible_collections.postseal.mail.plugins.module_utils.dns.execute import Policy, ZoneReport, execute
from ansible_collections.postseal.mail.plugins.module_utils.dns.limits import Limits
from ansible_collections.postseal.mail.plugins.module_utils.dns.prepare import Options, Preparation, prepare
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.base import Provider
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value

GOOGLE = b"google-site-verification=x1"
LONG = b"v=DKIM1; k=rsa; p=" + b"A" * 392
TXT_SHAPES = [
    b"",
    b"plain",
    b'with "quotes" and \\backslash\\',
    b"semi;colon; and  two spaces",
    b"trailing space ",
    "übergröße €".encode(),
    bytes(range(256)),
    b"x" * 255,
    b"x" * 256,
    b"x" * 510,
    b"x" * 511,
    LONG,
    b"%C3%BC $ORIGIN @ ( ) ;",
]


def starts(label: str) -> Slot:
    return Slot(label, lambda value: isinstance(value, bytes) and value.startswith(label.encode()))


EVERYTHING = Slot("everything", lambda _: True, single=False)


class Backend(Protocol):
    """A server with a zone of the test's own, and the hand of somebody else who edits it too."""

    zone: str

    def provider(self) -> Provider: ...

    def put(self, name: str, rrtype: str, ttl: int, values: Sequence[Value]) -> None: ...

    def remove(self, name: str, rrtype: str) -> None: ...


class Bench:
    """Claims on the backend's zone, planned and applied the way the product does it."""

    def __init__(self, backend: Backend, provider: Provider, owner: str = "production", wait: float = 10) -> None:
        self.backend, self.provider, self.owner, self.zone = backend, provider, owner, backend.zone
        self.limits = Limits(1000, 100)
        self.told: list[str] = []
        self.policy = Policy(WaitPolicy(wait, first=0.02), self.limits, self.told.append)

    def at(self, label: str) -> str:
        return f"{label}.{self.zone}" if label else self.zone

    def claim(self, label: str, rrtype: str, slot: Slot, value: Value, ttl: int = 300) -> Claim:
        return Claim(self.at(label), rrtype, slot, value, ttl, self.zone, f"domain {self.zone}")

    def prepare(self, *claims: Claim, prune: bool = False) -> Preparation:
        options = Options(prune=prune)
        return prepare(claims, (), lambda _: self.provider, self.owner, self.limits, options=options)

    def publish(self, *claims: Claim) -> ZoneReport:
        (report,) = execute(self.prepare(*claims), self.policy)
        return report

    def send(self, preparation: Preparation) -> None:
        """Write the one zone of a preparation the way the engine does, and nothing more."""
        for batch in preparation.zones[0].batches:
            self.provider.apply(self.zone, batch)

    def values(self, label: str, rrtype: str = "TXT") -> set[Value]:
        name = self.at(label)
        return set(self.provider.fetch(self.zone, {(name, rrtype)}).values((name, rrtype)))


class ProviderContract:
    """Inherit, and supply a ``backend`` fixture.

    ``serials``: the provider tells the zone's serial number; ``large``: record sets of a zone that is large for it;
    ``parts``: requests that a small change takes.
    """

    serials = True
    large = 150
    parts = 1

    @pytest.fixture
    def bench(self, backend: Backend) -> Bench:
        return Bench(backend, backend.provider())

    def test_publishes_every_type_and_then_plans_nothing(self, bench: Bench) -> None:
        claims = [
            bench.claim("host", "A", EVERYTHING, "192.0.2.1"),
            bench.claim("host", "A", EVERYTHING, "192.0.2.2"),
            bench.claim("host", "AAAA", EVERYTHING, "2001:db8::1"),
            bench.claim("", "MX", EVERYTHING, "10 mail.example.test."),
            bench.claim("", "TXT", starts("v=spf1"), b"v=spf1 -all"),
            bench.claim("s1._domainkey", "TXT", EVERYTHING, LONG),
            bench.claim("_465._tcp.host", "TLSA", EVERYTHING, "3 1 1 " + "ab" * 32),
            bench.claim("_submissions._tcp", "SRV", EVERYTHING, "0 1 465 smtp.example.test."),
            bench.claim("alias", "CNAME", EVERYTHING, "host.example.test."),
        ]
        report = bench.publish(*claims)
        assert (report.state, report.written, report.error) == ("changed", True, "")
        again = bench.prepare(*claims)
        assert again.zones[0].plan.empty
        assert execute(again, bench.policy)[0].state == "unchanged"

    @pytest.mark.parametrize("shape", TXT_SHAPES, ids=[f"{number}-{len(s)}" for number, s in enumerate(TXT_SHAPES)])
    def test_txt_data_of_any_shape_comes_back_and_is_no_change(self, bench: Bench, shape: bytes) -> None:
        claim = bench.claim("shape", "TXT", EVERYTHING, shape)
        assert bench.publish(claim).error == ""
        assert bench.values("shape") == {shape}
        assert bench.prepare(claim).zones[0].plan.empty

    def test_foreign_values_survive_create_change_and_ttl(self, bench: Bench) -> None:
        bench.backend.put(bench.zone, "TXT", 3600, [GOOGLE])
        bench.backend.put(bench.zone, "CAA", 3600, ['0 issue "ca.example.net"'])
        for value, ttl in ((b"v=spf1 -all", 300), (b"v=spf1 a -all", 300), (b"v=spf1 a -all", 60)):
            assert bench.publish(bench.claim("", "TXT", starts("v=spf1"), value, ttl)).error == ""
            assert bench.values("") == {GOOGLE, value}
        assert bench.values("", "CAA") == {'0 issue "ca.example.net"'}

    def test_a_foreign_value_in_the_slot_stops_everything(self, bench: Bench) -> None:
        bench.backend.put(bench.at("_dmarc"), "TXT", 300, [b"v=DMARC1; p=reject"])
        claims = [
            bench.claim("", "TXT", starts("v=spf1"), b"v=spf1 -all"),
            bench.claim("_dmarc", "TXT", starts("v=DMARC1"), b"v=DMARC1; p=none"),
        ]
        with pytest.raises(OwnershipConflict, match="p=reject"):
            bench.publish(*claims)
        assert bench.values("") == set()

    def test_a_new_ttl_is_written(self, bench: Bench) -> None:
        for ttl in (300, 600):
            assert bench.publish(bench.claim("host", "A", EVERYTHING, "192.0.2.1", ttl)).error == ""
        key = (bench.at("host"), "A")
        assert bench.provider.fetch(bench.zone, {key}).rrsets[key].ttl == 600

    def test_a_smaller_set_loses_only_our_values(self, bench: Bench) -> None:
        both = [bench.claim("host", "TLSA", EVERYTHING, f"3 1 1 {digit * 64}") for digit in "ab"]
        assert bench.publish(*both).error == ""
        assert bench.publish(both[0]).error == ""
        assert bench.values("host", "TLSA") == {"3 1 1 " + "a" * 64}

    def test_who_comes_second_writes_nothing(self, bench: Bench) -> None:
        prepared = bench.prepare(
            bench.claim("a", "TXT", EVERYTHING, b"ours"), bench.claim("b", "TXT", EVERYTHING, b"ours")
        )
        bench.backend.put(bench.at("b"), "TXT", 300, [b"somebody was faster"])
        with pytest.raises(ConflictError, match="changed while we looked"):
            bench.send(prepared)
        assert bench.values("a") == set()
        assert bench.values("b") == {b"somebody was faster"}

    def test_a_set_that_grew_meanwhile_is_not_written(self, bench: Bench) -> None:
        bench.backend.put(bench.zone, "TXT", 300, [GOOGLE])
        prepared = bench.prepare(bench.claim("", "TXT", starts("v=spf1"), b"v=spf1 -all"))
        bench.backend.put(bench.zone, "TXT", 300, [b"v=spf1 +all"])
        with pytest.raises(ConflictError, match="changed while we looked"):
            bench.send(prepared)
        assert bench.values("") == {GOOGLE, b"v=spf1 +all"}

    def test_a_change_meanwhile_leads_to_a_new_plan(self, bench: Bench) -> None:
        prepared = bench.prepare(bench.claim("", "TXT", starts("v=spf1"), b"v=spf1 -all"))
        bench.backend.put(bench.zone, "TXT", 300, [GOOGLE])
        (report,) = execute(prepared, bench.policy)
        assert (report.state, report.error) == ("changed", "")
        assert bench.values("") == {GOOGLE, b"v=spf1 -all"}
        assert any("trying again from what is there now" in line for line in bench.told)

    def test_two_environments_share_a_zone(self, bench: Bench) -> None:
        staging = Bench(bench.backend, bench.backend.provider(), owner="staging")
        mine, theirs = (each.claim("", "TXT", starts(each.owner), each.owner.encode()) for each in (bench, staging))
        assert bench.publish(mine).error == ""
        assert staging.publish(theirs).error == ""
        assert bench.prepare(mine).zones[0].plan.empty
        assert staging.prepare(theirs).zones[0].plan.empty
        with pytest.raises(OwnershipConflict, match="environment production wrote it"):
            staging.publish(theirs, staging.claim("", "TXT", starts("production"), b"production of staging"))

    def test_a_set_can_be_removed(self, bench: Bench) -> None:
        assert bench.publish(bench.claim("gone", "A", EVERYTHING, "192.0.2.1")).error == ""
        bench.backend.remove(bench.at("gone"), "A")
        assert bench.values("gone", "A") == set()
        assert bench.publish(bench.claim("gone", "A", EVERYTHING, "192.0.2.1")).state == "changed"

    def test_reads_all_that_is_there(self, bench: Bench) -> None:
        names: Iterable[str] = [f"n{number}" for number in range(120)]
        for name in names:
            bench.backend.put(bench.at(name), "TXT", 300, [name.encode() * 40])
        found = bench.provider.fetch(bench.zone, {(bench.at(name), "TXT") for name in names})
        assert all(found.values((bench.at(name), "TXT")) == (name.encode() * 40,) for name in names)
        assert found.values((bench.zone, "NS"))
        assert found.serial > 0 or not self.serials

    def test_finds_the_zone_of_a_name_and_no_lookalike(self, bench: Bench) -> None:
        assert bench.provider.zone_of(bench.zone) == bench.zone
        assert bench.provider.zone_of(bench.at("deep.below")) == bench.zone
        for name in ("not" + bench.zone, "elsewhere.example"):
            with pytest.raises(ZoneNotFound, match=name):
                bench.provider.zone_of(name)

    def test_an_alias_belongs_to_the_zone_it_stands_in(self, bench: Bench) -> None:
        bench.backend.put(bench.at("alias"), "CNAME", 300, ["host.elsewhere.example."])
        assert bench.provider.zone_of(bench.at("alias")) == bench.zone

    def test_what_cannot_be_held_is_refused_before_writing(self, bench: Bench) -> None:
        with pytest.raises(InvalidRecord, match="host"):
            bench.prepare(
                bench.claim("ok", "TXT", EVERYTHING, b"x"), bench.claim("host", "A", EVERYTHING, "not an address")
            )
        with pytest.raises(InvalidRecord, match="do not fit"):
            bench.prepare(bench.claim("host", "TXT", EVERYTHING, b"x" * 65000))
        assert bench.values("ok") == set()

    def test_what_nobody_claims_any_more_goes_when_asked_to(self, bench: Bench) -> None:
        bench.backend.put(bench.at("host"), "TXT", 300, [GOOGLE])
        both = [
            bench.claim("host", "A", EVERYTHING, "192.0.2.1"),
            bench.claim("host", "TXT", starts("ours"), b"ours"),
            bench.claim("left", "A", EVERYTHING, "192.0.2.2"),
        ]
        assert bench.publish(*both).error == ""
        assert bench.prepare(both[2]).zones[0].plan.empty
        (report,) = execute(bench.prepare(both[2], prune=True), bench.policy)
        assert (report.state, report.error) == ("changed", "")
        assert (bench.values("host", "A"), bench.values("host"), bench.values("left", "A")) == (
            set(),
            {GOOGLE},
            {"192.0.2.2"},
        )
        assert bench.prepare(both[2], prune=True).zones[0].plan.empty

    def test_what_is_adopted_is_replaced_and_then_ours(self, bench: Bench) -> None:
        bench.backend.put(bench.at("host"), "TXT", 300, [b"v=x theirs", GOOGLE])
        bench.backend.put(bench.at("same"), "TXT", 300, [b"v=x same"])
        claims = [
            replace(bench.claim("host", "TXT", starts("v=x"), b"v=x ours"), adopt=True),
            replace(bench.claim("same", "TXT", starts("v=x"), b"v=x same"), adopt=True),
        ]
        assert bench.publish(*claims).error == ""
        assert bench.values("host") == {b"v=x ours", GOOGLE}
        (item,) = bench.prepare(*claims).zones
        assert (item.plan.empty, item.plan.owned) == (True, 2)

    def test_an_alias_of_ours_makes_room_for_records_and_back(self, bench: Bench) -> None:
        alias = bench.claim("turn", "CNAME", EVERYTHING, "elsewhere.example.")
        record = bench.claim("turn", "TXT", EVERYTHING, b"here")
        for claim in (alias, record, alias):
            assert bench.publish(claim).error == ""
            assert bench.values("turn", claim.type) == {claim.value}
            assert bench.prepare(claim).zones[0].plan.empty

    def test_a_zone_of_any_size_keeps_who_owns_what(self, bench: Bench) -> None:
        """Ownership must not outgrow what a set or a request can hold, nor cost more for more of it."""
        claims = [bench.claim(f"n{number:04d}", "TXT", EVERYTHING, b"ours %d" % number) for number in range(self.large)]
        assert bench.publish(*claims).error == ""
        (item,) = bench.prepare(*claims).zones
        assert (item.plan.empty, item.plan.owned) == (True, self.large)
        claims[self.large // 2] = bench.claim(f"n{self.large // 2:04d}", "TXT", EVERYTHING, b"other")
        changed = bench.prepare(*claims)
        assert len(changed.zones[0].batches) == self.parts
        assert execute(changed, bench.policy)[0].error == ""
        (report,) = execute(bench.prepare(*claims[1:], prune=True), bench.policy)
        assert (report.state, report.error) == ("changed", "")
        assert bench.values("n0000") == set()
        assert bench.prepare(*claims[1:], prune=True).zones[0].plan.owned == self.large - 1
