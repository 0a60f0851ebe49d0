# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is particular about Cloudflare: calls, comments, proxies, locks, quotes, pages, zones."""

from __future__ import annotations

from typing import Any

import dns.resolver
import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import (
    ConflictError,
    InvalidRecord,
    ProviderError,
    ZoneNotFound,
)
from ansible_collections.postseal.mail.plugins.module_utils.dns.execute import execute
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers import cloudflare as module
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.factory import build

from ..suite import EVERYTHING, LONG, Bench, starts
from .backend import Cloudflare, spf
from .store import Zone


class TestCalls:
    def test_two_a_zone_for_the_first_run_one_for_the_next(self, cloudflare: Cloudflare, bench: Bench) -> None:
        claims = [bench.claim(f"h{number}", "TXT", EVERYTHING, LONG) for number in range(20)]
        prepared = bench.prepare(*claims)
        assert (prepared.zones[0].calls, prepared.zones[0].atomic) == (1, True)
        assert execute(prepared, bench.policy)[0].error == ""
        assert cloudflare.calls() == ["/zones", "/zones/ID/dns_records", "/zones/ID/dns_records/batch"]
        assert bench.publish(*claims).state == "unchanged"
        assert cloudflare.calls() == ["/zones/ID/dns_records"]

    def test_a_second_look_before_records_that_exist_are_touched(self, cloudflare: Cloudflare, bench: Bench) -> None:
        assert bench.publish(bench.claim("a", "TXT", EVERYTHING, b"one")).error == ""
        cloudflare.calls()
        prepared = bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"two"))
        assert prepared.zones[0].calls == 2
        assert execute(prepared, bench.policy)[0].error == ""
        assert cloudflare.calls() == ["/zones/ID/dns_records"] * 2 + ["/zones/ID/dns_records/batch"]

    def test_whether_a_zone_is_signed_is_asked_where_it_matters(self, cloudflare: Cloudflare, bench: Bench) -> None:
        tlsa = bench.claim("_465._tcp", "TLSA", EVERYTHING, "3 1 1 " + "ab" * 32)
        for status, signed in (("disabled", False), ("pending", True), ("active", True)):
            cloudflare.stored.dnssec = status
            assert bench.provider.fetch(bench.zone, {tlsa.key}).signed is signed
        assert cloudflare.calls().count("/zones/ID/dnssec") == 3

    def test_an_identical_record_made_meanwhile_is_found(self, cloudflare: Cloudflare, bench: Bench) -> None:
        """81058 fails the whole batch; the new plan keeps what stands there, and it stays theirs."""
        claims = [bench.claim(label, "TXT", EVERYTHING, b"x") for label in ("a", "b")]
        prepared = bench.prepare(*claims)
        cloudflare.put(bench.at("a"), "TXT", 300, [b"x"])
        report = execute(prepared, bench.policy)[0]
        assert (report.state, report.error) == ("changed", "")
        assert [record["comment"] for record in cloudflare.records(bench.at("a"), "TXT")] == [None]
        assert len(cloudflare.records(bench.at("b"), "TXT")) == 1

    def test_a_record_that_went_meanwhile_fails_the_batch(self, cloudflare: Cloudflare, bench: Bench) -> None:
        assert bench.publish(*(bench.claim(label, "TXT", EVERYTHING, b"old") for label in "ab")).error == ""
        batch = bench.prepare(*(bench.claim(label, "TXT", EVERYTHING, b"new") for label in "ab")).zones[0].batches[0]
        cloudflare.remove(bench.at("b"), "TXT")
        with pytest.raises(ConflictError, match=f"b.{bench.zone} TXT changed while we looked"):
            bench.provider.apply(bench.zone, batch)
        assert bench.values("a") == {b"old"}


class TestBatches:
    def test_large_plans_are_cut_between_names(self, cloudflare: Cloudflare, bench: Bench) -> None:
        cloudflare.stored.plan = "pro"
        sets = [bench.claim(f"h{n}", "A", EVERYTHING, f"192.0.2.{v}") for n in range(60) for v in range(1, 5)]
        prepared = bench.prepare(*sets).zones[0]
        assert [len(batch.body) for batch in prepared.batches] == [200, 40]  # type: ignore[arg-type]
        assert not prepared.atomic
        for batch in prepared.batches:
            assert all(
                sum(post["name"] == name for post in batch.body.posts) == 4  # type: ignore[attr-defined]
                for name in {post["name"] for post in batch.body.posts}  # type: ignore[attr-defined]
            )
        assert bench.publish(*sets).error == ""
        assert bench.prepare(*sets).zones[0].plan.empty

    def test_a_replacement_is_a_patch(self, cloudflare: Cloudflare, bench: Bench) -> None:
        """So there is no moment at which neither is answered, and the record keeps its tags."""
        assert bench.publish(bench.claim("a", "TXT", EVERYTHING, b"one")).error == ""
        (before,) = cloudflare.records(bench.at("a"), "TXT")
        before["tags"] = ["team:mail"]
        assert bench.publish(bench.claim("a", "TXT", EVERYTHING, b"two")).error == ""
        (after,) = cloudflare.records(bench.at("a"), "TXT")
        assert (after["id"], after["tags"]) == (before["id"], ["team:mail"])

    @pytest.mark.parametrize(
        ("values", "limit"), [([b"x" * 4080], "4096"), ([bytes([v]) * 2800 for v in b"abc"], "8192")]
    )
    def test_what_is_too_large_is_refused_before_writing(self, bench: Bench, values: list[bytes], limit: str) -> None:
        with pytest.raises(InvalidRecord, match=f"big.{bench.zone} TXT do not fit.*limit is {limit}"):
            bench.prepare(*(bench.claim("big", "TXT", EVERYTHING, value) for value in values))

    @pytest.mark.parametrize(("asked", "written"), [(1, 60), (30, 60), (600, 600), (604800, 86400)])
    def test_ttls_are_kept_in_range(self, cloudflare: Cloudflare, bench: Bench, asked: int, written: int) -> None:
        claim = bench.claim("a", "TXT", EVERYTHING, b"x", ttl=asked)
        assert bench.publish(claim).error == ""
        assert [record["ttl"] for record in cloudflare.records(bench.at("a"), "TXT")] == [written]
        assert bench.prepare(claim).zones[0].plan.empty


class TestProxy:
    def test_a_proxied_name_is_refused_where_mail_needs_it(self, cloudflare: Cloudflare, bench: Bench) -> None:
        cloudflare.put(bench.at("mail"), "A", 1, ["192.0.2.1"], proxied=True)
        with pytest.raises(InvalidRecord, match=f"mail.{bench.zone} A is proxied.*'DNS only'"):
            bench.prepare(bench.claim("mail", "A", EVERYTHING, "192.0.2.1"))

    @pytest.mark.parametrize(("rrtype", "value"), [("MX", "10 mail.{}."), ("SRV", "0 1 465 mail.{}.")])
    def test_so_is_one_that_records_lead_to(
        self, cloudflare: Cloudflare, bench: Bench, rrtype: str, value: str
    ) -> None:
        cloudflare.put(bench.at("mail"), "AAAA", 1, ["2001:db8::1"], proxied=True)
        with pytest.raises(InvalidRecord, match=f"mail.{bench.zone} AAAA is proxied.*{rrtype}"):
            bench.prepare(bench.claim("", rrtype, EVERYTHING, value.format(bench.zone)))

    def test_ours_are_put_right(self, cloudflare: Cloudflare, bench: Bench) -> None:
        claim = bench.claim("mail", "A", EVERYTHING, "192.0.2.1")
        assert bench.publish(claim).error == ""
        (record,) = cloudflare.records(bench.at("mail"), "A")
        assert record["proxied"] is False
        cloudflare.fake.store.one(cloudflare.stored.id, "patches", {"id": record["id"], "proxied": True})
        report = bench.publish(claim)
        assert (report.state, report.error) == ("changed", "")
        (record,) = cloudflare.records(bench.at("mail"), "A")
        assert (record["proxied"], record["ttl"]) == (False, 300)

    def test_other_names_may_be_proxied(self, cloudflare: Cloudflare, bench: Bench) -> None:
        cloudflare.put(bench.zone, "A", 1, ["192.0.2.80"], proxied=True)
        assert bench.publish(bench.claim("", "TXT", EVERYTHING, b"x")).error == ""
        assert cloudflare.records(bench.zone, "A")[0]["proxied"] is True


class TestLocked:
    """Records of Email Routing: DOCS/email-routing/setup/email-routing-dns-records, DNSControl/dnscontrol#3850."""

    def test_stay_where_they_are_not_in_the_way(self, cloudflare: Cloudflare, bench: Bench) -> None:
        locked = {"read_only": True, "email_routing": True}
        cloudflare.put(bench.at("cf2024-1._domainkey"), "TXT", 1, [b"v=DKIM1; p=A"], meta=locked)
        cloudflare.put(bench.zone, "TXT", 1, [b"v=spf1 include:_spf.mx.cloudflare.net ~all"], meta=locked)
        assert bench.publish(bench.claim("", "TXT", starts("other"), b"other")).error == ""
        assert len(bench.values("")) == 2

    def test_are_named_where_they_are(self, cloudflare: Cloudflare, bench: Bench) -> None:
        locked = {"read_only": True, "email_routing": True}
        cloudflare.put(bench.zone, "TXT", 1, [b"v=spf1 include:_spf.mx.cloudflare.net ~all"], meta=locked)
        with pytest.raises(InvalidRecord, match=r"_spf\.mx\.cloudflare\.net.* is locked\. .*Email Routing"):
            bench.prepare(spf(bench, b"v=spf1 ip4:192.0.2.1 -all"))


class TestText:
    @pytest.mark.parametrize("form", ["bare", "one", "short", "escaped"])
    def test_another_way_to_write_it_is_no_change(self, cloudflare: Cloudflare, bench: Bench, form: str) -> None:
        """The dashboard and other programs write the same octets in other ways (octodns/octodns-cloudflare#134)."""
        claim = bench.claim("s1._domainkey", "TXT", EVERYTHING, LONG)
        assert bench.publish(claim).error == ""
        (record,) = cloudflare.records(bench.at("s1._domainkey"), "TXT")
        text = LONG.decode()
        record["content"] = {
            "bare": text,
            "one": f'"{text}"',
            "short": " ".join(f'"{text[start : start + 100]}"' for start in range(0, len(text), 100)),
            "escaped": '"' + text.replace(";", "\\;") + '"',
        }[form]
        assert bench.prepare(claim).zones[0].plan.empty

    def test_bare_text_with_quotes_of_its_own_is_itself(self, cloudflare: Cloudflare, bench: Bench) -> None:
        cloudflare.put(bench.at("a"), "TXT", 300, [b'say "hello"'])
        assert bench.values("a") == {b'say "hello"'}


class TestPages:
    def test_a_listing_in_pages_is_whole(self, cloudflare: Cloudflare, bench: Bench) -> None:
        """An API that gives less at once than it was asked for."""
        cloudflare.fake.pages = 7
        claims = [bench.claim(f"h{number}", "TXT", EVERYTHING, b"x") for number in range(21)]
        assert bench.publish(*claims).error == ""
        cloudflare.calls()
        assert bench.prepare(*claims).zones[0].plan.empty
        assert len(cloudflare.calls()) == 3

    def test_all_zones_are_found(self, cloudflare: Cloudflare) -> None:
        for number in range(120):
            cloudflare.fake.store.add(Zone(f"other{number}.example"))
        assert cloudflare.provider().zone_of("mail.other119.example") == "other119.example"
        assert cloudflare.calls() == ["/zones"] * 3


class TestZones:
    def test_the_longest_one_that_holds_the_name(self, cloudflare: Cloudflare) -> None:
        for name in ("example.com", "deep.example.com"):
            cloudflare.fake.store.add(Zone(name))
        provider = cloudflare.provider()
        assert provider.zone_of("a.deep.example.com") == "deep.example.com"
        assert provider.zone_of("notdeep.example.com") == "example.com"
        with pytest.raises(ZoneNotFound, match=r"notexample\.com"):
            provider.zone_of("notexample.com")

    def test_two_of_one_name_are_ambiguous(self, cloudflare: Cloudflare) -> None:
        ids = [cloudflare.fake.store.add(Zone("twice.example", status="pending")).id for _ in range(2)]
        with pytest.raises(ProviderError, match=f"(?s){min(ids)}, {max(ids)}.*zone_ids"):
            cloudflare.provider().fetch("twice.example", ())

    def test_the_active_one_counts(self, cloudflare: Cloudflare) -> None:
        cloudflare.fake.store.add(Zone(cloudflare.zone, status="moved"))
        bench = Bench(cloudflare, cloudflare.provider())
        assert bench.publish(bench.claim("a", "TXT", EVERYTHING, b"x")).error == ""
        assert cloudflare.records(bench.at("a"), "TXT")

    @pytest.mark.parametrize("kind", ["partial", "secondary"])
    def test_one_that_is_answered_for_elsewhere(self, cloudflare: Cloudflare, kind: str) -> None:
        cloudflare.fake.store.add(Zone("elsewhere.example", kind=kind))
        with pytest.raises(ProviderError, match=kind):
            cloudflare.provider().fetch("elsewhere.example", ())

    def test_by_id_without_listing(self, cloudflare: Cloudflare, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its name servers are then looked up, once."""
        provider = cloudflare.provider(zone_ids=((cloudflare.zone, cloudflare.stored.id),))
        provider._resolvers = ("127.0.0.1",)
        asked: list[str] = []

        def resolver(_: object) -> Any:
            made = dns.resolver.Resolver(configure=False)
            made.nameservers = ["127.0.0.1"]
            made.port = cloudflare.mirror.knot.port
            asked.append("NS")
            return made

        monkeypatch.setattr(module, "resolver", resolver)
        for _ in range(2):
            snapshot = provider.fetch(cloudflare.zone, ())
            assert snapshot.values((cloudflare.zone, "NS")) == (f"ns1.{cloudflare.zone}.",)
        assert (asked, cloudflare.calls()) == (["NS"], ["/zones/ID/dns_records"] * 2)

    def test_by_a_wrong_id(self, cloudflare: Cloudflare) -> None:
        provider = cloudflare.provider(zone_ids=((cloudflare.zone, "0" * 32),))
        with pytest.raises(ZoneNotFound, match=r"7003.*postseal_dns\.providers\.cf\.zone_ids"):
            provider.fetch(cloudflare.zone, ())


def test_what_never_reaches_the_name_servers_is_noticed(cloudflare: Cloudflare) -> None:
    bench = Bench(cloudflare, cloudflare.provider(), wait=0.3)
    cloudflare.mirror.deaf.add("CNAME")
    report = bench.publish(bench.claim("alias", "CNAME", EVERYTHING, "host.example.test."))
    assert (report.state, report.written) == ("failed", True)
    assert f"alias.{bench.zone} CNAME lacks host.example.test." in report.error


def test_the_inventory_leads_to_it(cloudflare: Cloudflare) -> None:
    assert build(cloudflare.settings()).zone_of(cloudflare.zone) == cloudflare.zone
