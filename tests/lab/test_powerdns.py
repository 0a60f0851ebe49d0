# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""site.yml with its zones at another DNS provider: PowerDNS by its API, instead of Knot by dynamic updates.

The mail hosts may be in any state, bare or serving; only the DNS is another one. Afterwards the zones are Knot's again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from .site import HOSTS, LAB_STATE, ROOT, Run, on, play

ZONES = ("sender.test", "shop.test", "parked.test")
KNOT, RESOLVER = "10.97.0.2", "10.97.0.4"
PROVIDER = ("-e", "@lab/powerdns.yml")


def _ask(server: str, name: str, rrtype: str) -> dns.message.Message:
    return dns.query.udp(dns.message.make_query(name, rrtype, want_dnssec=True), server, timeout=3)


def _serials(server: str) -> list[int]:
    return [_ask(server, zone, "SOA").answer[0][0].serial for zone in ZONES]


def _verdicts() -> dict[Path, dict[str, Any]]:
    return {path: json.loads(path.read_text("utf-8")) for path in (LAB_STATE / "mail").glob("[!.]*.json")}


@pytest.fixture(scope="module", autouse=True)
def moved() -> Iterator[None]:
    """The zones at the other provider, empty, and nothing remembered of earlier ones there."""
    shutil.rmtree(LAB_STATE / "hosts/internet/dns-powerdns", ignore_errors=True)
    on("internet", f"lab-powerdns {' '.join(ZONES)}")
    yield
    on("internet", "lab-powerdns")


@pytest.fixture(scope="module")
def at_knot() -> list[int]:
    """The versions of the zones that the old provider still has, before the first run."""
    return _serials(KNOT)


@pytest.fixture(scope="module")
def arrived_before() -> set[Path]:
    """What the receiver has before the first run."""
    return set(_verdicts())


@pytest.fixture(scope="module")
def first(at_knot: list[int], arrived_before: set[Path]) -> Run:
    """The run that finds empty zones."""
    return play("site.yml", "--diff", *PROVIDER)


def test_the_world_asks_the_other_provider_and_finds_signed_empty_zones() -> None:
    for zone in ZONES:
        answer = _ask(RESOLVER, zone, "NS")
        assert [server.to_text() for server in answer.answer[0]] == ["ns3.lab.test."]
        assert answer.flags & dns.flags.AD
    nothing = _ask(RESOLVER, "_dmarc.shop.test", "TXT")
    assert nothing.rcode() == dns.rcode.NXDOMAIN
    assert nothing.flags & dns.flags.AD


def test_the_run_succeeds_and_its_proof_finds_nothing_wrong(first: Run) -> None:
    assert first.returncode == 0, first.output
    assert first.changed()["localhost"] > 0, first.output
    report = json.loads((ROOT / "report/verify.json").read_text("utf-8"))
    passed = {(result["id"], result["target"]) for result in report["results"] if result["status"] == "passed"}
    assert {(check, "shop.test") for check in ("SPF-1", "DKIM-1", "DMARC-1", "SRV-1", "MX-1")} <= passed
    assert {("DANE-1", name) for name in ("smtp.sender.test", *HOSTS)} <= passed


def test_the_receiver_finds_both_signatures_good_in_mail_of_both_hosts(first: Run, arrived_before: set[Path]) -> None:
    arrived = [verdict for path, verdict in _verdicts().items() if path not in arrived_before]
    assert {verdict["helo"] for verdict in arrived} == set(HOSTS)
    for verdict in arrived:
        assert (verdict["spf"], verdict["dmarc"]) == ("pass", "pass")
        assert [(one["domain"], one["result"]) for one in verdict["dkim"]] == [("shop.test", "pass")] * 2


def test_the_old_provider_was_not_asked_to_change_anything(first: Run, at_knot: list[int]) -> None:
    assert _serials(KNOT) == at_knot


def test_the_second_run_changes_nothing(first: Run) -> None:
    before = _serials(RESOLVER)
    run = play("site.yml", "--diff", *PROVIDER)
    assert run.returncode == 0, run.output
    assert run.changed() == {"localhost": 0, **dict.fromkeys(HOSTS, 0)}, run.output
    assert _serials(RESOLVER) == before
    key = (LAB_STATE / "secrets/powerdns").read_text("utf-8").strip()
    assert key not in first.output + run.output
