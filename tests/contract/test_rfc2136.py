# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence

import dns.flags
import dns.message
import dns.rcode
import dns.update
import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.authority import WaitPolicy
from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import (
    AuthError,
    ProviderError,
    TransportError,
)
from ansible_collections.postseal.mail.plugins.module_utils.dns.execute import Policy, execute
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.base import Server
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.rfc2136 import Rfc2136Provider
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Snapshot
from ansible_collections.postseal.mail.plugins.module_utils.dns.wire import rdata_of
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Rfc2136

from .impostor import impostor
from .knot import HOST, Pair, free_port
from .suite import EVERYTHING, LONG, Bench, ProviderContract, starts


class KnotBackend:
    """The primary of the pair; the servers to wait for are both of it, which share one address."""

    def __init__(self, knots: Pair, zone: str, key: str = "postseal", *, secondary: bool = False) -> None:
        self.knots, self.zone, self.key = knots, zone, key
        self.ports = {"ns1": knots.primary.port}
        # Knot waits a second before it notifies its secondary, which would make every test that much longer.
        if secondary:
            self.ports["ns2"] = knots.secondary.port

    def servers(self, snapshot: Snapshot) -> Sequence[Server]:
        names = [str(value)[:-1] for value in snapshot.values((snapshot.zone, "NS"))]
        return [Server(name, HOST, self.ports[name[:3]]) for name in names if name[:3] in self.ports]

    def provider(self, settings: Rfc2136 | None = None) -> Rfc2136Provider:
        return Rfc2136Provider(settings or self.knots.settings(self.key), timeout=2, locate=self.servers)

    def put(self, name: str, rrtype: str, ttl: int, values: Sequence[Value]) -> None:
        message = self.knots.edit(self.zone)
        message.add(f"{name}.", ttl, *(rdata_of(rrtype, value) for value in values))
        self.knots.send(message)

    def remove(self, name: str, rrtype: str) -> None:
        message = self.knots.edit(self.zone)
        message.delete(f"{name}.", rrtype)
        self.knots.send(message)


class TestKnotByTransfer(ProviderContract):
    large = 600

    @pytest.fixture
    def backend(self, knots: Pair, plain_zones: Iterator[str]) -> KnotBackend:
        return KnotBackend(knots, next(plain_zones))


class TestKnotByQueries(ProviderContract):
    """The key may update but not transfer, so every record set is asked for."""

    @pytest.fixture
    def backend(self, knots: Pair, plain_zones: Iterator[str]) -> KnotBackend:
        return KnotBackend(knots, next(plain_zones), key="writer")


class TestKnotSigned:
    @pytest.fixture
    def bench(self, knots: Pair, signed_zones: Iterator[str]) -> Bench:
        backend = KnotBackend(knots, next(signed_zones), secondary=True)
        return Bench(backend, backend.provider())

    def test_a_signed_zone_is_seen_and_updates_are_signed(self, bench: Bench, knots: Pair) -> None:
        claim = bench.claim("_465._tcp", "TLSA", EVERYTHING, "3 1 1 " + "ab" * 32)
        needs = Claim(claim.name, claim.type, claim.slot, claim.value, 300, claim.anchor, "host", requires_dnssec=True)
        report = bench.publish(needs)
        assert (report.signed, report.state, report.error) == (True, "changed", "")
        assert isinstance(bench.backend, KnotBackend)
        query = dns.message.make_query(claim.name, "TLSA", want_dnssec=True)
        answer = dns.query.udp(query, HOST, port=knots.secondary.port, timeout=2)
        assert {section.rdtype for section in answer.answer} == {dns.rdatatype.TLSA, dns.rdatatype.RRSIG}

    def test_queries_see_the_signature_too(self, knots: Pair, signed_zones: Iterator[str]) -> None:
        backend = KnotBackend(knots, next(signed_zones), key="writer")
        snapshot = backend.provider().fetch(backend.zone, set())
        assert snapshot.signed
        assert not any(rrtype in ("RRSIG", "NSEC", "NSEC3") for _, rrtype in snapshot.rrsets)


@pytest.fixture
def backend(knots: Pair, plain_zones: Iterator[str]) -> KnotBackend:
    return KnotBackend(knots, next(plain_zones))


@pytest.fixture
def bench(backend: KnotBackend) -> Bench:
    return Bench(backend, backend.provider())


def test_a_wrong_secret_is_told_without_showing_it(backend: KnotBackend) -> None:
    wrong = backend.knots.secrets["writer"]
    provider = backend.provider(backend.knots.settings("postseal", secret=wrong))
    with pytest.raises(AuthError) as caught:
        provider.zone_of(backend.zone)
    assert "Correct postseal_dns.providers.knot.tsig.secret" in str(caught.value)
    assert wrong not in str(caught.value)


def test_an_unknown_key_is_told(backend: KnotBackend) -> None:
    provider = backend.provider(backend.knots.settings("postseal", name="stranger"))
    with pytest.raises(AuthError, match=r"does not know the TSIG key stranger.*providers\.knot\.tsig\.name"):
        provider.fetch(backend.zone, set())


def test_another_algorithm_is_told(backend: KnotBackend) -> None:
    provider = backend.provider(backend.knots.settings("postseal", algorithm="hmac-sha512"))
    with pytest.raises(AuthError, match="tsig"):
        provider.zone_of(backend.zone)


def test_a_key_without_rights_is_told(backend: KnotBackend) -> None:
    reader = Bench(backend, backend.provider(backend.knots.settings("reader")))
    (report,) = execute(reader.prepare(reader.claim("a", "TXT", EVERYTHING, b"x")), reader.policy)
    assert (report.state, report.written) == ("failed", False)
    assert "does not let TSIG key reader update the zone. Allow it there" in report.error
    with pytest.raises(AuthError, match="TSIG key nobody, or not for this zone"):
        backend.provider(backend.knots.settings("nobody")).zone_of(backend.zone)


def test_a_server_that_is_not_there_is_told(backend: KnotBackend) -> None:
    port = free_port()
    settings = backend.knots.settings()
    provider = backend.provider(Rfc2136("knot", HOST, port, settings.tsig))
    with pytest.raises(TransportError, match=rf"{HOST} port {port}.*postseal_dns\.providers\.knot\.server") as caught:
        provider.fetch(backend.zone, set())
    assert not caught.value.maybe_applied
    with pytest.raises(TransportError, match="cannot talk to"):
        provider.zone_of(backend.zone)


def test_a_zone_of_somebody_else_cannot_be_read(backend: KnotBackend) -> None:
    with pytest.raises(ProviderError, match=r"elsewhere\.example"):
        backend.provider().fetch("elsewhere.example", set())


def test_records_dropped_beside_a_cname_are_found_out(bench: Bench, backend: KnotBackend) -> None:
    prepared = bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"x"), bench.claim("b", "TXT", EVERYTHING, b"x"))
    update = prepared.zones[0].batches[0].body
    assert isinstance(update, dns.update.UpdateMessage)
    update.prerequisite = []  # what a server without prerequisites would do
    backend.put(bench.at("a"), "CNAME", 300, ["elsewhere.example."])
    (report,) = execute(prepared, bench.policy)
    assert report.state == "failed"
    assert report.written
    assert f"read back: a.{bench.zone} TXT" in report.error
    assert bench.values("b") == {b"x"}


def test_an_update_that_was_accepted_and_not_done_is_found_out(bench: Bench) -> None:
    prepared = bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"x"))
    update = prepared.zones[0].batches[0].body
    assert isinstance(update, dns.update.UpdateMessage)
    update.update = []
    (report,) = execute(prepared, bench.policy)
    assert report.state == "failed"
    assert f'read back: a.{bench.zone} TXT lacks "x"' in report.error


def test_a_cname_in_the_way_is_a_conflict_before_that(bench: Bench, backend: KnotBackend) -> None:
    prepared = bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"x"), bench.claim("b", "TXT", EVERYTHING, b"x"))
    backend.put(bench.at("a"), "CNAME", 300, ["elsewhere.example."])
    (report,) = execute(prepared, bench.policy)
    assert (report.state, report.written) == ("failed", False)
    assert "holds a CNAME to elsewhere.example." in report.error
    assert bench.values("b") == set()


def test_foreign_txt_is_kept_the_way_it_was_cut(bench: Bench, backend: KnotBackend) -> None:
    message = backend.knots.edit(backend.zone)
    message.add(f"{backend.zone}.", 3600, "TXT", '"cut" "in" "four" "pieces"')
    backend.knots.send(message)
    for value in (b"v=spf1 -all", b"v=spf1 a -all"):
        assert bench.publish(bench.claim("", "TXT", starts("v=spf1"), value)).error == ""
    answer = dns.query.udp(dns.message.make_query(backend.zone, "TXT"), HOST, port=backend.knots.primary.port)
    assert '"cut" "in" "four" "pieces"' in {rdata.to_text() for rdata in answer.answer[0]}


def test_a_plan_larger_than_a_message_goes_out_in_parts(bench: Bench) -> None:
    claims = [bench.claim(f"s{number}._domainkey", "TXT", EVERYTHING, LONG) for number in range(150)]
    prepared = bench.prepare(*claims)
    assert len(prepared.zones[0].batches) == 2
    (report,) = execute(prepared, bench.policy)
    assert (report.state, report.calls, report.error) == ("changed", 2, "")
    again = bench.prepare(*claims)
    assert again.zones[0].plan.empty
    assert again.zones[0].plan.owned == 150


def test_a_delegated_child_zone_gets_its_own_claims(
    backend: KnotBackend, knots: Pair, plain_zones: Iterator[str]
) -> None:
    bench = Bench(backend, backend.provider())
    backend.put(bench.at("child"), "NS", 300, ["ns.elsewhere.example."])
    with pytest.raises(Exception, match=rf"child\.{bench.zone} is delegated away"):
        bench.prepare(bench.claim("deep.child", "TXT", EVERYTHING, b"x"))


def test_a_lagging_server_is_named_and_the_next_run_does_not_forget_it(knots: Pair, plain_zones: Iterator[str]) -> None:
    backend = KnotBackend(knots, next(plain_zones), secondary=True)
    bench, secondary = Bench(backend, backend.provider()), knots.secondary
    claim = bench.claim("late", "TXT", EVERYTHING, b"x")
    hasty = Policy(WaitPolicy(2, first=0.02), bench.limits, bench.told.append)
    secondary.control("-f", "zone-freeze", backend.zone)
    try:
        (report,) = execute(bench.prepare(claim), hasty)
        assert (report.state, report.written) == ("failed", True)
        assert f"ns2.{backend.zone} ({HOST} port {secondary.port}): lagging" in report.error
        assert f"ns1.{backend.zone}" not in report.error
        assert any("waiting for ns2" in line for line in bench.told)
        (again,) = execute(bench.prepare(claim), hasty)
        assert (again.state, again.written, again.changes) == ("failed", False, 0)
    finally:
        secondary.control("-f", "zone-thaw", backend.zone)
    secondary.control("zone-refresh", backend.zone)
    (caught_up,) = execute(bench.prepare(claim), bench.policy)
    assert (caught_up.state, caught_up.error) == ("unchanged", "")


class LossyProxy:
    """Passes one TCP conversation after another to the primary; can swallow the answer to an update."""

    def __init__(self, port: int) -> None:
        self.target, self.lossy = port, True
        self.server = socket.create_server((HOST, 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            with client, socket.create_connection((HOST, self.target), 5) as upstream:
                length = client.recv(2, socket.MSG_WAITALL)
                upstream.sendall(length + client.recv(int.from_bytes(length), socket.MSG_WAITALL))
                answer = upstream.recv(65535)
                if not self.lossy:
                    client.sendall(answer)
                self.lossy = False

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


def test_an_update_whose_answer_is_lost_is_neither_repeated_nor_reported_as_failed(backend: KnotBackend) -> None:
    bench = Bench(backend, backend.provider())
    prepared = bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"x"))
    proxy = LossyProxy(backend.knots.primary.port)
    direct = backend.provider()
    try:
        through = backend.provider(Rfc2136("knot", HOST, proxy.port, backend.knots.settings().tsig))
        with pytest.raises(TransportError) as caught:
            through.apply(backend.zone, prepared.zones[0].batches[0])
        assert caught.value.maybe_applied
        proxy.lossy = True
        prepared = bench.prepare(bench.claim("b", "TXT", EVERYTHING, b"y"))
        bench.provider.apply = through.apply  # type: ignore[method-assign]
        (report,) = execute(prepared, bench.policy)
        assert (report.state, report.written, report.error) == ("changed", True, "")
    finally:
        proxy.close()
    assert direct.fetch(backend.zone, set()).values((bench.at("b"), "TXT")) == (b"y",)


def test_an_answer_without_signature_is_nobodys(backend: KnotBackend) -> None:
    with impostor(backend.zone, lambda answer: None) as port:
        settings = Rfc2136("knot", HOST, port, backend.knots.settings().tsig)
        with pytest.raises(TransportError, match="not signed"):
            backend.provider(settings).zone_of(backend.zone)
