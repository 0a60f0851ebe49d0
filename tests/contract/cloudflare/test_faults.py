# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whatever goes wrong with whichever call: the zone is old or new, nothing foreign is lost, the next run converges."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import (
    DnsError,
    RateLimited,
    TransportError,
)
from ansible_collections.postseal.mail.plugins.module_utils.dns.execute import execute
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers import cloudflare_api
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.slots import SPF_MERGED

from ..suite import EVERYTHING, GOOGLE, LONG, Bench, starts
from .backend import Cloudflare
from .server import (
    Fault,
    emptied,
    failing,
    failing_after,
    garbled,
    lost_after,
    lost_before,
    shortened,
    truncated,
)

FOREIGN = b"v=spf1 include:_spf.google.com ~all"
UNITED = b"v=spf1 ip4:192.0.2.1 include:_spf.google.com -all"
NEW_KEY = LONG.replace(b"A", b"B")
ANY_CALL = {
    "500": failing(),
    "502": failing(502, 0, "bad gateway"),
    "504-after": failing_after,
    "lost-before": lost_before,
    "lost-after": lost_after,
    "429": failing(429, 971, "slow down", Retry_After="0.05"),
    "garbled": garbled,
    "403": failing(403, 10000, "Authentication error"),
}
LISTINGS = {"truncated": truncated, "empty": emptied, "short": shortened}


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudflare_api, "_PAUSE", 0.0)


@pytest.fixture
def bench(cloudflare: Cloudflare) -> Bench:
    """Return a zone with other people's records, and what an earlier run of ours published."""
    zone = cloudflare.zone
    cloudflare.put(zone, "TXT", 3600, [GOOGLE])
    cloudflare.put(zone, "TXT", 3600, [FOREIGN], comment="Google Workspace", tags=["team:office"])
    cloudflare.put(zone, "CAA", 3600, ['0 issue "ca.example.net"'])
    cloudflare.put(f"www.{zone}", "A", 1, ["192.0.2.80"], proxied=True)
    made = Bench(cloudflare, cloudflare.provider())
    assert made.publish(*before(made)).error == ""
    cloudflare.calls()
    return made


def before(bench: Bench) -> list[Any]:
    return [
        bench.claim("s1._domainkey", "TXT", EVERYTHING, LONG),
        bench.claim("_dmarc", "TXT", starts("v=DMARC1"), b"v=DMARC1; p=none"),
    ]


def after(bench: Bench) -> list[Any]:
    return [
        bench.claim("s1._domainkey", "TXT", EVERYTHING, NEW_KEY),
        bench.claim("s2._domainkey", "TXT", EVERYTHING, LONG),
        bench.claim("_dmarc", "TXT", starts("v=DMARC1"), b"v=DMARC1; p=reject"),
        bench.claim("", "TXT", SPF_MERGED, b"v=spf1 ip4:192.0.2.1 -all"),
    ]


def contents(cloudflare: Cloudflare) -> list[tuple[str, str, str]]:
    """Return what the store holds, ids left out."""
    return sorted((each["name"], each["type"], each["content"]) for each in cloudflare.stored.records.values())


def quietly(work: Callable[[], Any]) -> str:
    """Return the error of a run, empty if there was none."""
    try:
        report = work()
    except DnsError as error:
        return str(error)
    return str(report.error)


def assert_old_or_new(cloudflare: Cloudflare, old: list[Any], bench: Bench, error: str) -> None:
    """The zone is wholly as it was, or wholly as it shall be, and the next run makes it so."""
    now = contents(cloudflare)
    if now != old:
        names = {content for _, _, content in now}
        assert any("p=reject" in content for content in names), now
        assert not any("p=none" in content for content in names), now
        assert any(UNITED.decode() in content for content in names), now
    report = bench.publish(*after(bench))
    assert report.error == "", error
    assert bench.prepare(*after(bench)).zones[0].plan.empty
    assert bench.values("") == {GOOGLE, UNITED}
    assert bench.values("", "CAA") == {'0 issue "ca.example.net"'}
    assert [each["content"] for each in cloudflare.records(bench.at("www"), "A")] == ["192.0.2.80"]


def test_how_many_calls_there_are_to_break(cloudflare: Cloudflare, bench: Bench) -> None:
    """The tests below break each of these; a fourth would go untested."""
    assert bench.publish(*after(bench)).error == ""
    assert cloudflare.calls() == ["/zones/ID/dns_records", "/zones/ID/dns_records", "/zones/ID/dns_records/batch"]


@pytest.mark.parametrize("fault", ANY_CALL.values(), ids=ANY_CALL)
@pytest.mark.parametrize("index", [0, 1, 2])
def test_any_call_may_fail(cloudflare: Cloudflare, bench: Bench, index: int, fault: Fault) -> None:
    old = contents(cloudflare)
    cloudflare.fake.fail(index, fault)
    error = quietly(lambda: bench.publish(*after(bench)))
    assert_old_or_new(cloudflare, old, bench, error)


@pytest.mark.parametrize("fault", ANY_CALL.values(), ids=ANY_CALL)
def test_every_call_from_the_write_on_may_fail(cloudflare: Cloudflare, bench: Bench, fault: Fault) -> None:
    """The outcome cannot be found out then, and the report says so where it may have been a change."""
    old = contents(cloudflare)
    for index in range(2, 12):
        cloudflare.fake.fail(index, fault)
    prepared = bench.prepare(*after(bench))
    (report,) = execute(prepared, bench.policy)
    changed = contents(cloudflare) != old
    cloudflare.calls()
    assert not (changed and report.state == "unchanged")
    assert not (changed and not report.written)
    assert_old_or_new(cloudflare, old, bench, report.error)


@pytest.mark.parametrize("fault", LISTINGS.values(), ids=LISTINGS)
@pytest.mark.parametrize("index", [0, 1])
def test_no_listing_that_lacks_records_deletes_any(
    cloudflare: Cloudflare, bench: Bench, index: int, fault: Fault
) -> None:
    old = contents(cloudflare)
    cloudflare.fake.fail(index, fault)
    error = quietly(lambda: bench.publish(*after(bench)))
    names = {name for name, _, _ in contents(cloudflare)}
    assert {name for name, _, _ in old} <= names
    assert GOOGLE.decode() in {content for _, _, content in contents(cloudflare)}
    assert_old_or_new(cloudflare, old, bench, error)


@pytest.mark.parametrize("fault", [truncated, garbled])
def test_an_incomplete_listing_is_an_error(cloudflare: Cloudflare, bench: Bench, fault: Fault) -> None:
    cloudflare.fake.fail(0, fault)
    with pytest.raises(TransportError) as caught:
        bench.provider.fetch(bench.zone, ())
    assert not caught.value.maybe_applied


def test_the_listing_of_zones_is_asked_for_again(cloudflare: Cloudflare) -> None:
    provider = cloudflare.provider()
    for index in range(2):
        cloudflare.fake.fail(index, lost_before)
    assert provider.zone_of(cloudflare.zone) == cloudflare.zone


def test_a_lost_answer_is_not_asked_for_twice(cloudflare: Cloudflare, bench: Bench) -> None:
    cloudflare.fake.fail(2, lost_after)
    report = bench.publish(*after(bench))
    assert (report.state, report.written, report.error) == ("changed", True, "")
    assert [call for call in cloudflare.calls() if "batch" in call] == ["/zones/ID/dns_records/batch"]


def test_a_write_that_never_happened_is_made_once_more(cloudflare: Cloudflare, bench: Bench) -> None:
    cloudflare.fake.fail(2, lost_before)
    report = bench.publish(*after(bench))
    assert (report.state, report.error) == ("changed", "")
    assert len([call for call in cloudflare.calls() if "batch" in call]) == 2
    assert any("trying again from what is there now" in line for line in bench.told)


def test_nothing_listens_any_more(cloudflare: Cloudflare, bench: Bench) -> None:
    """Where no connection comes about nothing was written, for sure."""
    prepared = bench.prepare(bench.claim("new", "TXT", EVERYTHING, b"x"))
    dead = cloudflare.provider(api_url="http://127.0.0.1:1/client/v4", zone_ids=((bench.zone, cloudflare.stored.id),))
    dead._fresh = 300.0  # so that the write is the first thing it does
    with pytest.raises(TransportError, match=r"cannot talk to the API.*127\.0\.0\.1") as caught:
        dead.apply(bench.zone, prepared.zones[0].batches[0])
    assert not caught.value.maybe_applied


@pytest.mark.parametrize("index", [0, 2], ids=["read", "write"])
def test_waits_as_long_as_it_is_told(cloudflare: Cloudflare, bench: Bench, index: int) -> None:
    cloudflare.fake.fail(index, failing(429, 971, "slow down", Retry_After="2"))
    started = time.monotonic()
    assert bench.publish(*after(bench)).error == ""
    assert time.monotonic() - started >= 2
    assert len(cloudflare.calls()) == 4


def test_a_limit_in_another_status_is_one_all_the_same(cloudflare: Cloudflare, bench: Bench) -> None:
    """971 comes with statuses other than 429 too (cloudflare/terraform-provider-cloudflare#5505)."""
    cloudflare.fake.fail(2, failing(400, 971, "slow down", Retry_After="1"))
    assert bench.publish(*after(bench)).error == ""


def test_the_quota_is_not_used_up(cloudflare: Cloudflare) -> None:
    """The answers say how much is left; waiting starts before the API has to refuse."""
    cloudflare.fake.quota, cloudflare.fake.window = 20, 2.0
    provider = cloudflare.provider()
    for _ in range(25):
        provider.fetch(cloudflare.zone, ())
    assert len(cloudflare.fake.requests) == 26  # none was refused and repeated


def test_patience_has_an_end(cloudflare: Cloudflare, bench: Bench) -> None:
    cloudflare.fake.fail(0, failing(429, 971, "slow down", Retry_After="3600"))
    with pytest.raises(RateLimited, match="slow down") as caught:
        bench.prepare(*after(bench))
    assert caught.value.retry_after == 3600
