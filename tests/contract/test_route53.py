# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Route 53 against moto: what works, and what is refused before it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim
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
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.base import Batch
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.route53 import Route53Provider, _fits
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.route53_text import name_of, text_of, value_of
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Route53, Secret
from hypothesis import given
from hypothesis import strategies as st
from moto.route53 import models

from .gateway import Gateway
from .knot import HOST, free_port
from .route53 import Route53Backend, Server, change_resource_record_sets, raising
from .suite import EVERYTHING, LONG, Bench, ProviderContract, starts


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.Route53Backend, "change_resource_record_sets", change_resource_record_sets)
        running = Server()
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return iter(range(1000))


@pytest.fixture
def backend(server: Server, numbers: Iterator[int]) -> Route53Backend:
    return Route53Backend(server, f"aws{next(numbers):02d}.test")


@pytest.fixture
def bench(backend: Route53Backend) -> Bench:
    return Bench(backend, backend.provider())


class TestRoute53(ProviderContract):
    serials = False
    large = 1500


@given(st.binary(max_size=600))
def test_txt_data_survives_its_text(data: bytes) -> None:
    written = text_of(data)
    assert value_of("TXT", written) == data
    assert written.isascii()


def test_escapes_are_octal_and_not_those_of_zone_files() -> None:
    assert text_of("ä".encode("latin-1")) == r'"\344"'
    assert text_of(b'a\\"b') == r'"a\134\"b"'
    assert value_of("TXT", r'"ex\344mple" "\\" unquoted') == b"ex\xe4mple\\unquoted"
    assert name_of(r"\052.Example.COM.") == "*.example.com"
    assert name_of(r"a\040b.example.com.") == r"a\032b.example.com"
    with pytest.raises(ValueError, match="not the text of a TXT record"):
        value_of("TXT", '"half')


def test_a_wildcard_is_the_one_that_was_asked_for(bench: Bench, backend: Route53Backend) -> None:
    backend.put(bench.at("*"), "TXT", 300, [b"x"])
    found = bench.provider.fetch(bench.zone, ())
    assert found.values((bench.at("*"), "TXT")) == (b"x",)


def test_a_plan_is_one_request_and_a_zone_is_read_in_pages(bench: Bench) -> None:
    client = bench.provider._api.client  # type: ignore[attr-defined]
    calls: list[str] = []
    client.meta.events.register("before-call.route53", lambda model, **_: calls.append(model.name))
    claims = [bench.claim(f"n{number:03d}", "TXT", EVERYTHING, b"x") for number in range(120)]
    assert bench.publish(*claims).error == ""
    assert calls.count("ListHostedZones") == 1
    assert calls.count("ChangeResourceRecordSets") == 1
    del calls[:]
    assert bench.prepare(*claims).zones[0].plan.empty
    assert calls == ["ListResourceRecordSets"]
    more = [bench.claim(f"m{number:03d}", "A", EVERYTHING, "192.0.2.1") for number in range(200)]
    Bench(bench.backend, bench.backend.provider(), "another").publish(*more)
    del calls[:]
    assert bench.prepare(*claims).zones[0].plan.empty
    assert calls == ["ListResourceRecordSets"] * 2


def test_a_plan_larger_than_a_request_goes_out_in_parts(bench: Bench) -> None:
    claims = [bench.claim(f"s{number}._domainkey", "TXT", EVERYTHING, LONG) for number in range(100)]
    prepared = bench.prepare(*claims)
    assert len(prepared.zones[0].batches) == 2
    (report,) = execute(prepared, bench.policy)
    assert (report.state, report.error) == ("changed", "")
    assert bench.prepare(*claims).zones[0].plan.empty


def test_between_the_parts_of_a_plan_every_value_of_ours_is_known_as_ours(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def claims(head: bytes) -> list[Claim]:
        return [bench.claim(f"s{number}._domainkey", "TXT", EVERYTHING, head + LONG) for number in range(100)]

    assert bench.publish(*claims(b"a")).error == ""
    prepared = bench.prepare(*claims(b"b"))
    count = len(prepared.zones[0].batches)
    assert count > 3
    for stop in range(1, count):
        provider = bench.backend.provider()
        apply = provider.apply
        sent: list[Batch] = []

        def failing(zone: str, batch: Batch, apply: Any = apply, sent: list[Batch] = sent, stop: int = stop) -> None:
            if len(sent) == stop:
                raise ProviderError("aws", zone, "the service failed")
            sent.append(batch)
            apply(zone, batch)

        monkeypatch.setattr(provider, "apply", failing)
        broken = Bench(bench.backend, provider)
        assert "the service failed" in broken.publish(*claims(b"b")).error
        assert bench.publish(*claims(b"a")).error == "", "what the part wrote is not ours"
        assert bench.prepare(*claims(b"a")).zones[0].plan.empty


def test_a_value_longer_than_route_53_takes_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidRecord, match="takes 4000 characters a value"):
        bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"x" * 4001))
    with pytest.raises(InvalidRecord, match="do not fit into one request"):
        bench.prepare(*(bench.claim("a", "TXT", EVERYTHING, b"%d" % n + b"x" * 3900) for n in range(9)))


def test_foreign_txt_is_kept_the_way_it_was_written(bench: Bench, backend: Route53Backend) -> None:
    odd = r'"cut" "in" "pie\143es"'
    backend.put_raw(bench.zone, "TXT", 300, [odd])
    assert bench.publish(bench.claim("", "TXT", starts("v=spf1"), b"v=spf1 -all")).error == ""
    found = backend.found(bench.zone, "TXT")
    assert found is not None
    assert {"Value": odd} in found["ResourceRecords"]


def test_a_deleted_set_and_a_changed_ttl_are_conflicts(bench: Bench, backend: Route53Backend) -> None:
    claim = bench.claim("a", "TXT", EVERYTHING, b"x")
    assert bench.publish(claim).error == ""
    prepared = bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"y"))
    written = backend.found(bench.at("a"), "TXT")
    assert written is not None
    backend.change("UPSERT", {**written, "TTL": 77})
    with pytest.raises(ConflictError, match=r"changed while we looked.*do not match the current values"):
        bench.provider.apply(bench.zone, prepared.zones[0].batches[0])
    backend.remove(bench.at("a"), "TXT")
    with pytest.raises(ConflictError, match=r"changed while we looked.*was not found"):
        bench.provider.apply(bench.zone, prepared.zones[0].batches[0])


def test_a_cname_that_came_meanwhile_is_a_conflict(bench: Bench, backend: Route53Backend) -> None:
    prepared = bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"x"), bench.claim("b", "TXT", EVERYTHING, b"x"))
    backend.put(bench.at("a"), "CNAME", 300, ["elsewhere.example."])
    with pytest.raises(ConflictError, match="changed while we looked"):
        bench.provider.apply(bench.zone, prepared.zones[0].batches[0])
    assert bench.values("b") == set()


@pytest.mark.parametrize(
    "special",
    [
        {"AliasTarget": {"HostedZoneId": "Z1", "DNSName": "lb.example.", "EvaluateTargetHealth": False}},
        {"SetIdentifier": "one", "Weight": 1, "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.9"}]},
    ],
)
def test_an_alias_or_a_routing_policy_is_not_touched(
    bench: Bench, backend: Route53Backend, special: dict[str, Any]
) -> None:
    backend.change("CREATE", {"Name": f"{bench.at('www')}.", "Type": "A", **special})
    assert bench.publish(bench.claim("www", "TXT", EVERYTHING, b"beside it")).error == ""
    with pytest.raises(Refused, match="is an alias or has a routing policy"):
        bench.prepare(bench.claim("www", "A", EVERYTHING, "192.0.2.1"))


def test_nothing_is_put_beside_an_alias_that_is_steered(bench: Bench, backend: Route53Backend) -> None:
    steered = {"SetIdentifier": "one", "Weight": 1, "TTL": 60, "ResourceRecords": [{"Value": "lb.example."}]}
    for number in range(2):
        backend.change(
            "CREATE", {"Name": f"{bench.at('www')}.", "Type": "CNAME", **steered, "SetIdentifier": f"n{number}"}
        )
    with pytest.raises(Refused, match="is an alias or has a routing policy"):
        bench.prepare(bench.claim("www", "TXT", EVERYTHING, b"x"))


def test_a_request_has_at_most_a_thousand_records() -> None:
    for count, fits in ((1000, True), (1001, False)):
        records = [{"Value": "192.0.2.1"}] * count
        assert _fits([{"Action": "CREATE", "ResourceRecordSet": {"ResourceRecords": records}}]) is fits


def test_private_zones_are_not_seen_and_a_doubled_name_is_asked_about(server: Server) -> None:
    server.create(
        "private.test", VPC={"VPCRegion": "us-east-1", "VPCId": "vpc-1"}, HostedZoneConfig={"PrivateZone": True}
    )
    with pytest.raises(ZoneNotFound, match=r"no public zone for private\.test"):
        Route53Provider(server.settings()).zone_of("private.test")
    first, second = server.create("twice.test"), server.create("twice.test")
    with pytest.raises(ProviderError, match=rf"2 public zones.*({first}|{second}).*aws\.zone_ids"):
        Route53Provider(server.settings()).zone_of("a.twice.test")
    chosen = Route53Provider(server.settings(zone_ids=(("twice.test", second),)))
    chosen._api.client.list_hosted_zones = raising(AssertionError("a key that may not list zones"))
    assert chosen.zone_of("a.twice.test") == "twice.test"
    assert chosen.fetch("twice.test", ()).values(("twice.test", "NS"))


def test_a_zone_inside_another_is_the_one_that_counts(backend: Route53Backend) -> None:
    backend.server.create(f"child.{backend.zone}")
    assert backend.provider().zone_of(f"a.child.{backend.zone}") == f"child.{backend.zone}"


def test_a_change_whose_answer_is_lost_may_have_been_made(backend: Route53Backend) -> None:
    with Gateway(int(backend.server.endpoint.rpartition(":")[2])) as gateway:
        bench = Bench(backend, backend.provider(endpoint=gateway.url))
        prepared = bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"x"))
        gateway.lose.add("POST")
        with pytest.raises(TransportError) as caught:
            bench.provider.apply(bench.zone, prepared.zones[0].batches[0])
        assert caught.value.maybe_applied
        assert gateway.seen.count("POST") == 1
        prepared = bench.prepare(bench.claim("b", "TXT", EVERYTHING, b"y"))
        gateway.lose.add("POST")
        (report,) = execute(prepared, bench.policy)
    assert (report.state, report.written, report.error) == ("changed", True, "")
    assert gateway.seen.count("POST") == 2


def test_a_service_that_is_not_there_is_told() -> None:
    settings = Route53("aws", "key", Secret("x"), f"http://{HOST}:{free_port()}")
    with pytest.raises(TransportError, match=r"cannot talk to Route 53: .*aws\.endpoint") as caught:
        Route53Provider(settings).zone_of("a.test")
    assert not caught.value.maybe_applied


def test_no_credentials_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(AuthError, match=r"no credentials for AWS.*aws\.access_key_id and \.secret_access_key, or AWS_"):
        Route53Provider(Route53("aws", endpoint=f"http://{HOST}:{free_port()}")).zone_of("a.test")
    monkeypatch.setenv("AWS_PROFILE", "missing")
    with pytest.raises(AuthError, match="no credentials for AWS"):
        Route53Provider(Route53("aws"))
