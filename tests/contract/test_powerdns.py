# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.authority import serial
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import (
    AuthError,
    ConflictError,
    InvalidRecord,
    ProviderError,
    Refused,
    TransportError,
    ZoneNotFound,
)
from ansible_collections.postseal.mail.plugins.module_utils.dns.execute import execute
from ansible_collections.postseal.mail.plugins.module_utils.dns.plan import Rules
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers import base
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.powerdns_http import Http
from ansible_collections.postseal.mail.plugins.module_utils.dns.settle import plan_zone
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Snapshot
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Secret

from .gateway import Gateway, self_signed
from .knot import HOST, free_port
from .powerdns import PowerDnsBackend, Server
from .suite import EVERYTHING, LONG, Bench, ProviderContract, starts


@pytest.fixture
def backend(pdns: Server, pdns_zones: Iterator[str]) -> PowerDnsBackend:
    return PowerDnsBackend(pdns, next(pdns_zones))


@pytest.fixture
def bench(backend: PowerDnsBackend) -> Bench:
    return Bench(backend, backend.provider())


class TestPowerDns(ProviderContract):
    pass


def test_one_call_reads_a_zone_and_two_write_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    sent = Http._send

    def counted(self: Http, method: str, path: str, body: str | None, zone: str) -> tuple[int, str]:
        calls.append(f"{method} {path}")
        return sent(self, method, path, body, zone)

    monkeypatch.setattr(Http, "_send", counted)
    zone = f"/zones/{bench.zone}."
    prepared = bench.prepare(*(bench.claim(f"n{number}", "TXT", EVERYTHING, LONG) for number in range(100)))
    assert calls == ["GET /zones?dnssec=false", f"GET {zone}"]
    assert [batch.calls for batch in prepared.zones[0].batches] == [2]
    del calls[:]
    (report,) = execute(prepared, bench.policy)
    assert (report.state, report.error) == ("changed", "")
    assert calls[:2] == [f"GET {zone}", f"PATCH {zone}"]
    assert set(calls[2:]) == {f"GET {zone}"}


def test_marks_are_comments_beside_those_of_others_and_take_no_record(bench: Bench, backend: PowerDnsBackend) -> None:
    comment = {"content": "ask Ms Grün before you touch this €", "account": "admin", "modified_at": 1700000000}
    records = [{"content": '"kept"', "disabled": False}]
    backend.server.change(bench.zone, bench.zone, "TXT", ttl=300, records=records, comments=[comment])
    for value in (b"v=spf1 -all", b"v=spf1 a -all"):
        assert bench.publish(bench.claim("", "TXT", starts("v=spf1"), value)).error == ""
    rrset = backend.server.rrset(bench.zone, bench.zone, "TXT")
    assert rrset is not None
    mine = [entry for entry in rrset["comments"] if entry["account"] == "postseal"]
    assert [entry["content"].split(" wrote=")[0] for entry in mine] == ["v=postseal1 owner=production name=@ type=TXT"]
    assert comment in rrset["comments"]
    assert len(rrset["comments"]) == 2
    assert backend.server.rrset(bench.zone, f"_postseal-owner.{bench.zone}", "TXT") is None


def test_a_mark_goes_with_its_set(bench: Bench, backend: PowerDnsBackend) -> None:
    assert bench.publish(bench.claim("gone", "A", EVERYTHING, "192.0.2.1")).error == ""
    backend.remove(bench.at("gone"), "A")
    backend.put(bench.at("gone"), "A", 300, ["192.0.2.1"])
    assert bench.provider.fetch(bench.zone, ()).marks == ()


def test_a_comment_that_was_copied_to_another_set_marks_nothing(bench: Bench, backend: PowerDnsBackend) -> None:
    assert bench.publish(bench.claim("a", "TXT", EVERYTHING, b"x")).error == ""
    rrset = backend.server.rrset(bench.zone, bench.at("a"), "TXT")
    assert rrset is not None
    records = [{"content": '"x"', "disabled": False}]
    backend.server.change(
        bench.zone,
        bench.at("b"),
        "TXT",
        ttl=300,
        records=records,
        comments=[{"content": rrset["comments"][0]["content"], "account": "postseal"}],
    )
    assert [mark.key for mark in bench.provider.fetch(bench.zone, ()).marks] == [(bench.at("a"), "TXT")]


def test_records_that_are_switched_off_are_neither_seen_nor_lost(bench: Bench, backend: PowerDnsBackend) -> None:
    off = {"content": '"switched off"', "disabled": True}
    for name in (bench.zone, bench.at("only")):
        backend.server.change(bench.zone, name, "TXT", ttl=300, records=[off])
    assert bench.values("") == set()
    claims = [bench.claim(label, "TXT", EVERYTHING, b"on") for label in ("", "only")]
    assert bench.publish(*claims).error == ""
    for name in (bench.zone, bench.at("only")):
        rrset = backend.server.rrset(bench.zone, name, "TXT")
        assert rrset is not None
        assert {(entry["content"], entry["disabled"]) for entry in rrset["records"]} == {
            ('"on"', False),
            ('"switched off"', True),
        }


def test_foreign_txt_is_kept_the_way_it_was_cut(bench: Bench, backend: PowerDnsBackend) -> None:
    cut = {"content": '"cut" "in" "pieces"', "disabled": False}
    backend.server.change(bench.zone, bench.zone, "TXT", ttl=300, records=[cut])
    assert bench.publish(bench.claim("", "TXT", starts("v=spf1"), b"v=spf1 -all")).error == ""
    rrset = backend.server.rrset(bench.zone, bench.zone, "TXT")
    assert rrset is not None
    assert cut in rrset["records"]


def test_types_that_only_the_server_knows_stay(bench: Bench, backend: PowerDnsBackend) -> None:
    record = {"content": "A \"ifportup(443, {'192.0.2.1', '192.0.2.2'})\"", "disabled": False}
    backend.server.change(bench.zone, bench.at("www"), "LUA", ttl=60, records=[record])
    assert bench.publish(bench.claim("", "TXT", EVERYTHING, b"x")).error == ""
    rrset = backend.server.rrset(bench.zone, bench.at("www"), "LUA")
    assert rrset is not None
    assert rrset["records"] == [record]


def test_a_cname_that_came_meanwhile_is_a_conflict(bench: Bench, backend: PowerDnsBackend) -> None:
    prepared = bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"x"), bench.claim("b", "TXT", EVERYTHING, b"x"))
    backend.put(bench.at("a"), "CNAME", 300, ["elsewhere.example."])
    with pytest.raises(ConflictError, match=rf"a\.{bench.zone} CNAME"):
        bench.provider.apply(bench.zone, prepared.zones[0].batches[0])
    assert bench.values("b") == set()


def test_what_the_server_refuses_leaves_the_zone_as_it_was(bench: Bench, backend: PowerDnsBackend) -> None:
    backend.put(bench.at("alias"), "A", 300, ["192.0.2.1"])
    snapshot = bench.provider.fetch(bench.zone, ())
    claims = [bench.claim("b", "TXT", EVERYTHING, b"x"), bench.claim("alias", "CNAME", EVERYTHING, "host.example.")]
    blind = Snapshot(snapshot.zone, snapshot.serial, {}, signed=False)
    plan = plan_zone(claims, blind, "production", rules=Rules(registry=False))
    (batch,) = bench.provider.render(plan, blind)
    with pytest.raises(InvalidRecord, match=r"refuses it: .*[Cc]onflicts"):
        bench.provider.apply(bench.zone, batch)
    assert bench.values("b") == set()


def test_a_signed_zone_is_seen(pdns: Server) -> None:
    # The serial in answers is then another than the stored one.
    pdns.create("signed.test", dnssec=True, soa_edit="INCEPTION-INCREMENT", soa_edit_api="INCREASE")
    provider = PowerDnsBackend(pdns, "signed.test").provider()
    snapshot = provider.fetch("signed.test", ())
    assert snapshot.signed
    assert serial(base.Server("ns1", HOST, pdns.port), "signed.test") == snapshot.serial


def test_a_zone_whose_serial_would_stand_still_is_not_changed(pdns: Server) -> None:
    pdns.create("standing.test", kind="Master", soa_edit_api="")
    bench = Bench(PowerDnsBackend(pdns, "standing.test"), PowerDnsBackend(pdns, "standing.test").provider())
    with pytest.raises(Refused, match=r"pdnsutil set-meta standing\.test SOA-EDIT-API DEFAULT"):
        bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"x"))


def test_a_secondary_is_not_written_to(pdns: Server) -> None:
    pdns.call("POST", "/zones", {"name": "second.test.", "kind": "Slave", "masters": ["192.0.2.1"]})
    with pytest.raises(Refused, match="only a secondary"):
        PowerDnsBackend(pdns, "second.test").provider().zone_of("a.second.test")


def test_a_zone_inside_another_is_the_one_that_counts(backend: PowerDnsBackend) -> None:
    backend.server.create(f"child.{backend.zone}")
    assert backend.provider().zone_of(f"a.child.{backend.zone}") == f"child.{backend.zone}"
    assert backend.provider().zone_of(f"grandchild.{backend.zone}") == backend.zone


def test_a_zone_that_is_gone_is_told(backend: PowerDnsBackend) -> None:
    provider = backend.provider()
    provider.zone_of(backend.zone)
    backend.server.call("DELETE", f"/zones/{backend.zone}.")
    with pytest.raises(ZoneNotFound, match="no longer"):
        provider.fetch(backend.zone, ())
    with pytest.raises(ZoneNotFound, match="does not have it"):
        provider.fetch("never.example", ())


@pytest.mark.parametrize("key", ["not the key", "ümlaut", "two\nlines"])
def test_a_wrong_key_is_told_without_showing_it(backend: PowerDnsBackend, key: str) -> None:
    with pytest.raises(AuthError, match=r"Correct postseal_dns\.providers\.pdns\.api_key") as caught:
        backend.provider(api_key=Secret(key)).zone_of(backend.zone)
    assert key not in str(caught.value)


def test_a_wrong_server_id_is_told(backend: PowerDnsBackend) -> None:
    with pytest.raises(ProviderError, match=r"knows no server elsewhere.*server_id"):
        backend.provider(server_id="elsewhere").zone_of(backend.zone)


def test_a_server_that_is_not_there_is_told(backend: PowerDnsBackend) -> None:
    port = free_port()
    with pytest.raises(TransportError, match=rf"cannot talk to http://{HOST}:{port}.*pdns\.url") as caught:
        backend.provider(url=f"http://{HOST}:{port}").zone_of(backend.zone)
    assert not caught.value.maybe_applied


def test_a_change_whose_answer_is_lost_may_have_been_made(backend: PowerDnsBackend) -> None:
    direct = Bench(backend, backend.provider())
    with Gateway(backend.server.api_port) as gateway:
        bench = Bench(backend, backend.provider(url=gateway.url))
        prepared = bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"x"))
        gateway.lose.add("PATCH")
        with pytest.raises(TransportError) as caught:
            bench.provider.apply(bench.zone, prepared.zones[0].batches[0])
        assert caught.value.maybe_applied
        assert direct.values("a") == {b"x"}
        (report,) = execute(bench.prepare(bench.claim("b", "TXT", EVERYTHING, b"y")), bench.policy)
    assert (report.state, report.written, report.error) == ("changed", True, "")
    assert gateway.seen.count("PATCH") == 2
    assert direct.values("b") == {b"y"}


@pytest.mark.parametrize("status", [302, 403, 500, 502])
def test_what_a_gateway_says_is_told_and_never_followed(backend: PowerDnsBackend, status: int) -> None:
    with Gateway(backend.server.api_port) as gateway:
        bench = Bench(backend, backend.provider(url=gateway.url))
        prepared = bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"x"))
        gateway.answer["PATCH"] = status
        with pytest.raises(ProviderError, match=rf"{status}|does not let us in") as caught:
            bench.provider.apply(bench.zone, prepared.zones[0].batches[0])
        assert gateway.seen.count("PATCH") == 1
    assert getattr(caught.value, "maybe_applied", False) == (status >= 500)


@pytest.mark.parametrize("body", ["not json", "[]", '{"rrsets": null}'])
def test_a_listing_that_is_none_is_an_error(backend: PowerDnsBackend, body: str) -> None:
    provider = backend.provider()
    provider.zone_of(backend.zone)
    provider._http._send = lambda *_: (200, body)  # type: ignore[method-assign]
    with pytest.raises(TransportError, match=r"JSON|does not list"):
        provider.fetch(backend.zone, ())


def test_the_certificate_is_checked(backend: PowerDnsBackend, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    with Gateway(backend.server.api_port, certificate=certificate, key=key) as gateway:
        with pytest.raises(TransportError, match=r"certificate of https://.* does not hold.*pdns\.ca"):
            backend.provider(url=gateway.url).zone_of(backend.zone)
        assert gateway.seen == []
        assert backend.provider(url=gateway.url, ca=str(certificate)).zone_of(backend.zone) == backend.zone
    with pytest.raises(ProviderError, match=r"CA bundle /nowhere cannot be used.*Correct .*\.ca"):
        backend.provider(url=gateway.url, ca="/nowhere").zone_of(backend.zone)
