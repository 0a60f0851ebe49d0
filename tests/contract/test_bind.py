# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""BIND 9 is the second server that must work by RFC 2136; what differs from Knot is told here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import dns.update
import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.execute import execute
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.base import Server
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.rfc2136 import Rfc2136Provider
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Snapshot
from ansible_collections.postseal.mail.plugins.module_utils.dns.wire import rdata_of

from .bind import ZONES, Bind
from .knot import HOST
from .suite import EVERYTHING, Bench, ProviderContract


class BindBackend:
    def __init__(self, bind: Bind, zone: str, key: str = "postseal") -> None:
        self.bind, self.zone, self.key = bind, zone, key

    def servers(self, snapshot: Snapshot) -> Sequence[Server]:
        return [Server(str(value)[:-1], HOST, self.bind.port) for value in snapshot.values((snapshot.zone, "NS"))]

    def provider(self) -> Rfc2136Provider:
        return Rfc2136Provider(self.bind.settings(self.key), timeout=2, locate=self.servers)

    def put(self, name: str, rrtype: str, ttl: int, values: Sequence[Value]) -> None:
        message = self.bind.edit(self.zone)
        message.add(f"{name}.", ttl, *(rdata_of(rrtype, value) for value in values))
        self.bind.send(message)

    def remove(self, name: str, rrtype: str) -> None:
        message = self.bind.edit(self.zone)
        message.delete(f"{name}.", rrtype)
        self.bind.send(message)


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    server = Bind(tmp_path_factory.mktemp("bind"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def zones() -> Iterator[str]:
    return iter(ZONES)


@pytest.fixture
def backend(bind: Bind, zones: Iterator[str]) -> BindBackend:
    return BindBackend(bind, next(zones))


class TestBind(ProviderContract):
    # BIND refuses a registry of one set from 101 lines on (max-records-per-type).
    large = 1500


def test_a_key_that_may_not_transfer_asks_for_each_set(bind: Bind, zones: Iterator[str]) -> None:
    backend = BindBackend(bind, next(zones), key="writer")
    bench = Bench(backend, backend.provider())
    backend.put(bench.zone, "TXT", 300, [b"somebody's"])
    claim = bench.claim("a", "TXT", EVERYTHING, b"x")
    assert bench.publish(claim).error == ""
    assert bench.prepare(claim).zones[0].plan.empty
    assert not bench.provider.fetch(bench.zone, {(bench.at("a"), "TXT")}).values((bench.zone, "TXT"))


def test_a_cname_that_the_server_drops_in_silence_is_found_out(backend: BindBackend) -> None:
    bench = Bench(backend, backend.provider())
    claims = [
        bench.claim("alias", "CNAME", EVERYTHING, "host.example.test."),
        bench.claim("b", "TXT", EVERYTHING, b"x"),
    ]
    prepared = bench.prepare(*claims)
    update = prepared.zones[0].batches[0].body
    assert isinstance(update, dns.update.UpdateMessage)
    # Without the prerequisite the server answers NOERROR, does the rest, and leaves the CNAME out (RFC 2136 3.4.2.2).
    update.prerequisite = []
    backend.put(bench.at("alias"), "TXT", 300, [b"stands here"])
    (report,) = execute(prepared, bench.policy)
    assert (report.state, report.written) == ("failed", True)
    assert f"read back: alias.{bench.zone} CNAME" in report.error
    assert bench.values("alias", "CNAME") == set()
    assert bench.values("b") == {b"x"}
