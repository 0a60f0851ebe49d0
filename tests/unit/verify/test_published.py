# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What receivers and senders make of records, policies and signatures, without a DNS."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.findings import ERROR, WARNING, Finding
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.mtasts import policy_of
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.policyhost import Fetched
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Domain, MtaSts
from ansible_collections.postseal.mail.tests.verify.proof.observe import Signatures
from ansible_collections.postseal.mail.tests.verify.proof.outcome import (
    CheckFailedError,
    NotApplicableError,
    NotTestedError,
)
from ansible_collections.postseal.mail.tests.verify.proof.published import expect_none
from ansible_collections.postseal.mail.tests.verify.proof.sts import announced, expect_policy, fetch_own
from ansible_collections.postseal.mail.tests.verify.test_published import test_the_signatures_last as judge_until
from ansible_collections.postseal.mail.tests.verify.test_published import test_the_zone_is_signed as judge_signed

NAME = "shop.example"
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx1.example.net\r\nmx: *.example.org\r\nmax_age: 604800\r\n"
ELSEWHERE = Domain(NAME, mta_sts=MtaSts("1"))
OWN = Domain(NAME, mta_sts=MtaSts(None, None, "enforce", 604800, ("mx1.example.net", "*.example.org")))
HOSTS = ["mx1.example.net", "a.example.org"]


def _observer(signed: bool = True, trusted: bool = True, validating: bool = True, days: float = 10) -> Any:
    until = int(time.time() + days * 86400) if days else 0
    seen = SimpleNamespace(result=lambda: Signatures(signed, trusted, validating, until))
    return SimpleNamespace(signed={NAME: seen})


def test_signatures_that_last_pass_and_are_told() -> None:
    evidence: list[str] = []
    judge_until(NAME, _observer(), evidence)
    assert "in 10.0 days" in evidence[0]


@pytest.mark.parametrize("days", [1.9, -3])
def test_signatures_that_end_soon_are_found(days: float) -> None:
    with pytest.raises(CheckFailedError, match="expires in"):
        judge_until(NAME, _observer(days=days), [])


def test_a_zone_without_signatures_has_none_to_renew() -> None:
    with pytest.raises(NotApplicableError):
        judge_until(NAME, _observer(days=0), [])


def test_a_zone_is_signed_only_if_the_resolver_says_so() -> None:
    judge_signed(NAME, _observer())
    with pytest.raises(CheckFailedError, match="not signed"):
        judge_signed(NAME, _observer(signed=False, trusted=False))
    with pytest.raises(CheckFailedError, match="does not vouch"):
        judge_signed(NAME, _observer(trusted=False))
    with pytest.raises(NotTestedError, match="no answer at all"):
        judge_signed(NAME, _observer(trusted=False, validating=False))


def test_a_policy_that_covers_every_host_passes() -> None:
    expect_policy(ELSEWHERE, Fetched(200, "text/plain", POLICY), HOSTS)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Fetched(failure="the certificate is not valid"), "certificate"),
        (Fetched(301, "text/plain", ""), "status 301"),
        (Fetched(200, "text/html", POLICY), "text/html"),
        (Fetched(200, "text/plain", POLICY.replace("STSv1", "STSv2")), "version"),
        (Fetched(200, "text/plain", POLICY.replace("enforce", "none")), "mode is none"),
        (Fetched(200, "text/plain", POLICY.replace("604800", "60")), "max_age is 60"),
        (Fetched(200, "text/plain", POLICY.replace("604800", "x")), "max_age is 'x'"),
        (Fetched(200, "text/plain", POLICY.replace("mx1", "mx2")), "mx1.example.net"),
        (Fetched(200, "text/plain", POLICY.replace("*.example.org", "example.org")), "a.example.org"),
        (Fetched(200, "text/plain", POLICY.partition("max_age")[0]), "max_age is missing"),
        (Fetched(200, "text/plain", ""), "STSv1"),
    ],
)
def test_what_is_wrong_with_a_policy_is_named(policy: Fetched, words: str) -> None:
    with pytest.raises(CheckFailedError, match=words.replace(".", r"\.")):
        expect_policy(ELSEWHERE, policy, HOSTS)


def test_a_policy_of_ours_is_the_one_that_the_inventory_asks_for_or_is_tested_before() -> None:
    expect_policy(OWN, Fetched(200, "text/plain", POLICY), HOSTS)
    expect_policy(OWN, Fetched(200, "text/plain", POLICY.replace("enforce", "testing")), HOSTS)
    with pytest.raises(CheckFailedError, match="not the one that the inventory asks for"):
        expect_policy(OWN, Fetched(200, "text/plain", POLICY.replace("604800", "604801")), HOSTS)
    assert announced(OWN, [Fetched(200, "text/plain", POLICY)] * 2) == policy_of(OWN).id
    with pytest.raises(NotTestedError, match="STS-2"):
        announced(OWN, [Fetched(failure="silent"), Fetched(failure="silent")])


def _finding(rule: str, name: str = NAME, rrtype: str = "TXT", severity: str = ERROR) -> Finding:
    return Finding(rule, severity, name, rrtype, "something", "do this")


def test_only_the_rules_of_a_check_count() -> None:
    expect_none([_finding("spf-ptr")], ("spf-lookups",))
    with pytest.raises(CheckFailedError, match=r"shop\.example TXT: something") as caught:
        expect_none([_finding("spf-ptr"), _finding("spf-lookups")], ("spf-lookups",))
    assert caught.value.remedy == {"fix": "do this"}


def test_a_rule_that_could_not_be_checked_is_no_pass() -> None:
    unknown = _finding("unresolved", severity=WARNING)
    with pytest.raises(NotTestedError):
        expect_none([unknown], ("spf-lookups",))
    # What is unknown of SPF says nothing about DMARC or MX.
    expect_none([unknown], ("dmarc-consent",))
    expect_none([unknown], ("mx-alias",))
    with pytest.raises(NotTestedError):
        expect_none([_finding("unresolved", f"_dmarc.{NAME}")], ("dmarc-consent",))


@pytest.mark.parametrize(
    ("addresses", "words"),
    [(("192.0.2.1",), "has no address 192.0.2.2"), (("192.0.2.1", "192.0.2.2", "192.0.2.9"), "192.0.2.9 too")],
)
def test_a_policys_name_leads_to_the_mail_hosts_alone(addresses: tuple[str, ...], words: str) -> None:
    names: Any = SimpleNamespace(addresses=lambda host: addresses)
    (found,) = fetch_own("shop.example", names, None, ("192.0.2.1", "192.0.2.2"))
    with pytest.raises(ValueError, match=words):
        found.policy()
