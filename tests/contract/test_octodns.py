# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The bridge to octoDNS: a real provider class of it, against a real PowerDNS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.authority import ask
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import (
    ConflictError,
    InvalidRecord,
    MissingLibrary,
    ProviderError,
    Refused,
    TransportError,
    ZoneNotFound,
)
from ansible_collections.postseal.mail.plugins.module_utils.dns.execute import execute
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.base import Server as NameServer
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.octodns import OctoDnsProvider
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.octodns_records import writable
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import RRset
from ansible_collections.postseal.mail.plugins.module_utils.model.types import OctoDns, Secret

from .gateway import Gateway
from .knot import HOST
from .powerdns import PowerDnsBackend, Server
from .suite import EVERYTHING, GOOGLE, LONG, TXT_SHAPES, Bench, ProviderContract, starts

CLASS = "octodns_powerdns.PowerDnsProvider"


class OctoDnsBackend(PowerDnsBackend):
    """Somebody else edits the server behind octoDNS's back."""

    def provider(self, provider_class: str = CLASS, **changes: Any) -> OctoDnsProvider:  # type: ignore[override]
        options = {"host": HOST, "port": self.server.api_port, "api_key": self.server.key, **changes}
        wrapped = tuple((key, Secret(value) if isinstance(value, str) else value) for key, value in options.items())
        return OctoDnsProvider(OctoDns("bridge", provider_class, wrapped), locate=self.servers, apex=self.apex)

    def apex(self, zone: str, rrtype: str) -> RRset | None:
        return ask(NameServer("ns1", HOST, self.server.port), (zone, rrtype))


@pytest.fixture
def backend(pdns: Server, pdns_zones: Iterator[str]) -> OctoDnsBackend:
    return OctoDnsBackend(pdns, next(pdns_zones))


@pytest.fixture
def bench(backend: OctoDnsBackend) -> Bench:
    return Bench(backend, backend.provider())


class TestOctoDns(ProviderContract):
    parts = 3  # the registry, the records, the registry

    @pytest.mark.parametrize("shape", TXT_SHAPES, ids=[f"{number}-{len(s)}" for number, s in enumerate(TXT_SHAPES)])
    def test_txt_data_of_any_shape_comes_back_and_is_no_change(self, bench: Bench, shape: bytes) -> None:
        """What classes of octoDNS write in different ways is refused before anything is written."""
        if writable(shape):
            super().test_txt_data_of_any_shape_comes_back_and_is_no_change(bench, shape)
            return
        claims = [bench.claim("ok", "TXT", EVERYTHING, b"x"), bench.claim("shape", "TXT", EVERYTHING, shape)]
        with pytest.raises(InvalidRecord, match="disagree on how to write"):
            bench.prepare(*claims)
        assert bench.values("ok") == set()


def test_foreign_values_of_any_shape_are_handed_back(bench: Bench, backend: OctoDnsBackend) -> None:
    odd = [b'with "quotes" and \\backslash\\', b"semi;colon", bytes(range(256)), "übergröße".encode(), GOOGLE, LONG]
    backend.put(bench.zone, "TXT", 300, odd)
    backend.put(bench.zone, "CAA", 300, ['0 issue "ca.example.net; policy=ev"'])
    for value in (b"v=spf1 -all", b"v=spf1 a -all"):
        assert bench.publish(bench.claim("", "TXT", starts("v=spf1"), value)).error == ""
    found = backend.apex(bench.zone, "TXT")
    assert found is not None
    assert set(found.values) == {*odd, b"v=spf1 a -all"}
    caa = backend.apex(bench.zone, "CAA")
    assert caa is not None
    assert caa.values == ('0 issue "ca.example.net; policy=ev"',)


def test_a_record_that_is_steered_is_not_touched(bench: Bench, backend: OctoDnsBackend) -> None:
    snapshot = bench.provider.fetch(bench.zone, ())
    plan = bench.prepare(bench.claim("a", "A", EVERYTHING, "192.0.2.1")).zones[0].plan

    class Steered:
        dynamic = True

    snapshot.native[bench.at("a"), "A"] = Steered()  # type: ignore[index]
    with pytest.raises(Refused, match="steered by health or place"):
        bench.provider.render(plan, snapshot)


def test_a_type_that_the_class_does_not_know_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidRecord, match=rf"{CLASS} knows no HINFO records"):
        bench.prepare(bench.claim("a", "HINFO", EVERYTHING, '"PC" "Linux"'))


def test_a_cname_that_came_meanwhile_is_a_conflict(bench: Bench, backend: OctoDnsBackend) -> None:
    prepared = bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"x"))
    backend.put(bench.at("a"), "CNAME", 300, ["elsewhere.example."])
    with pytest.raises(ConflictError, match=rf"a\.{bench.zone} TXT"):
        bench.send(prepared)


def test_what_the_class_would_change_beside_is_not_written(bench: Bench, backend: OctoDnsBackend) -> None:
    prepared = bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"x"))
    inner = bench.provider._provider  # type: ignore[attr-defined]
    populate = inner.populate
    looks: list[str] = []

    def late(zone: Any, **options: Any) -> Any:
        if len(looks) == 1:
            backend.put(bench.at("b"), "TXT", 300, [b"somebody was faster"])
        looks.append(zone.name)
        return populate(zone, **options)

    inner.populate = late
    with pytest.raises(ConflictError, match=rf"b\.{bench.zone} TXT"):
        bench.provider.apply(bench.zone, prepared.zones[0].batches[0])
    assert bench.values("a") == set()


def test_a_change_whose_answer_is_lost_may_have_been_made(backend: OctoDnsBackend) -> None:
    with Gateway(backend.server.api_port) as gateway:
        bench = Bench(backend, backend.provider(port=gateway.server.server_port))
        prepared = bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"x"))
        gateway.lose.add("PATCH")
        (report,) = execute(prepared, bench.policy)
        assert (report.state, report.written, report.error) == ("changed", True, "")
        assert gateway.seen.count("PATCH") == 2, "the registry, whose answer was lost, and then the record"
        prepared = bench.prepare(bench.claim("b", "TXT", EVERYTHING, b"x"))
        gateway.lose.add("PATCH")
        with pytest.raises(TransportError, match="cannot write the change") as caught:
            bench.provider.apply(bench.zone, prepared.zones[0].batches[0])
    assert caught.value.maybe_applied


def test_a_wrong_key_is_told_without_showing_any_option(backend: OctoDnsBackend) -> None:
    with pytest.raises(TransportError, match=r"cannot list zones: .*bridge\.options") as caught:
        backend.provider(api_key="not-the-key").zone_of(backend.zone)
    assert "not-the-key" not in str(caught.value)
    with pytest.raises(TransportError, match="cannot list zones: HTTPError: 404") as caught:
        backend.provider(server_id="part-of-the-url").zone_of(backend.zone)
    assert "part-of-the-url" not in str(caught.value)


def test_a_zone_that_is_gone_is_told(backend: OctoDnsBackend) -> None:
    provider = backend.provider()
    provider.zone_of(backend.zone)
    backend.server.call("DELETE", f"/zones/{backend.zone}.")
    with pytest.raises(ZoneNotFound, match="does not have it"):
        provider.fetch(backend.zone, ())


def test_a_zone_inside_another_is_the_one_that_counts(backend: OctoDnsBackend) -> None:
    backend.server.create(f"child.{backend.zone}")
    assert backend.provider().zone_of(f"a.child.{backend.zone}") == f"child.{backend.zone}"


def test_wrong_settings_are_told(backend: OctoDnsBackend) -> None:
    with pytest.raises(MissingLibrary, match=r"octodns_nowhere .* is missing. Install octodns-nowhere .*bridge\.class"):
        backend.provider("octodns_nowhere.Provider")
    with pytest.raises(ProviderError, match=r"octodns_powerdns has no class Provider. Correct .*bridge\.class"):
        backend.provider("octodns_powerdns.Provider")
    with pytest.raises(ProviderError, match=r"does not take its options: .*tokn.*bridge\.options"):
        backend.provider(tokn="x")


def test_a_signed_zone_is_seen_where_it_counts(pdns: Server) -> None:
    pdns.create("bridged.test", dnssec=True)
    provider = OctoDnsBackend(pdns, "bridged.test").provider()
    assert provider.fetch("bridged.test", {("a.bridged.test", "TLSA")}).signed
    assert not provider.fetch("bridged.test", {("a.bridged.test", "TXT")}).signed
