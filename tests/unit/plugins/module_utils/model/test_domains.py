# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an inventory may say of a domain's records, parked domains, and the authority of its certificates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.keyplan import plan, relevant
from ansible_collections.postseal.mail.plugins.module_utils.model.keys import DkimPublicKey, HostKeys
from ansible_collections.postseal.mail.plugins.module_utils.model.load import HostVariables, Inventory, load
from ansible_collections.postseal.mail.plugins.module_utils.model.problems import InventoryError, Problem
from ansible_collections.postseal.mail.plugins.module_utils.model.summary import summary
from ansible_collections.postseal.mail.plugins.module_utils.model.types import (
    Caa,
    Dkim,
    Dmarc,
    Domain,
    Model,
    MtaSts,
    Spf,
)

from .conftest import HOSTS, SMALLEST, TODAY

Problems = Callable[..., tuple[Problem, ...]]
PARKED = {"name": "example.org", "parked": True}


def _load(**change: Any) -> Model:
    return load(Inventory("production", {**SMALLEST, **change}, HOSTS), TODAY)


def _with(*domains: dict[str, Any]) -> Model:
    return _load(postseal_domains=[{"name": "example.com"}, *domains])


def test_a_parked_domain_is_one_word() -> None:
    model = _with(PARKED)
    dmarc = Dmarc("reject", alignment="strict")
    assert model.domains[1] == Domain("example.org", Spf(merge=False), Dkim(algorithms=()), dmarc, parked=True)
    assert [domain.name for domain in model.sending_domains] == ["example.com"]
    assert "domain example.org: parked, neither sends nor receives" in summary(model)


def test_a_parked_domain_may_ask_for_reports_and_take_records_over() -> None:
    domain = _with({**PARKED, "dmarc": {"rua": ["d@example.com"]}, "adopt": True}).domains[1]
    assert (domain.dmarc.policy, domain.dmarc.rua, domain.adopt) == ("reject", ("mailto:d@example.com",), True)


def test_a_parked_domain_gets_no_keys_and_those_it_had_are_left_alone() -> None:
    model = _with(PARKED)
    # Even if somebody builds the domain without reading it from an inventory.
    model = replace(model, domains=(model.domains[0], Domain("example.org", parked=True)))
    old = DkimPublicKey("example.org", "s", "rsa2048", "X")
    held = HostKeys(model.hosts[0].name, (old,), ())
    made = plan(model, [held], model.hosts[0], datetime(2026, 11, 21, tzinfo=UTC)).create
    assert {key.domain for key in made} == {"example.com"}
    assert relevant(model, held).dkim == ()


@pytest.mark.parametrize(
    ("said", "path", "fix"),
    [
        ({"mx": [{"host": "mx.example.net"}]}, "postseal_domains[1].mx", "no meaning for a parked domain"),
        ({"spf": {"all": "fail"}}, "postseal_domains[1].spf", "no meaning for a parked domain"),
        ({"dmarc": {"policy": "none"}}, "postseal_domains[1].dmarc.policy", "is not a key"),
        ({"parked": "yes"}, "postseal_domains[1].parked", "true or false"),
    ],
)
def test_a_parked_domain_has_nothing_else(problems: Problems, said: dict[str, Any], path: str, fix: str) -> None:
    found = problems({**SMALLEST, "postseal_domains": [{"name": "example.com"}, {**PARKED, **said}]})
    assert any(problem.path == path and fix in problem.fix for problem in found), found


@pytest.mark.parametrize(
    ("change", "fix"),
    [
        ({"domain": "example.org"}, "credential shop would send as it"),
        ({"senders": ["shop@example.com", "info@example.org"]}, "sender info@example.org would send as it"),
        ({"senders": ["@example.org"]}, "sender @example.org would send as it"),
    ],
)
def test_nobody_sends_as_a_parked_domain(problems: Problems, change: dict[str, Any], fix: str) -> None:
    credential = {**SMALLEST["postseal_credentials"][0], **change}
    domains = [{"name": "example.com"}, PARKED]
    found = problems({**SMALLEST, "postseal_domains": domains, "postseal_credentials": [credential]})
    assert any(problem.path == "postseal_domains (example.org)" and fix in problem.fix for problem in found), found


def test_a_mail_host_is_not_named_after_a_parked_domain(problems: Problems) -> None:
    domains = [{"name": "example.com"}, {"name": "mail.example.org", "parked": True}]
    found = problems({**SMALLEST, "postseal_domains": domains}, {"mail.example.org": HostVariables("203.0.113.10")})
    assert any("the name of a mail host" in problem.fix for problem in found)


def test_an_environment_needs_a_domain_that_sends(problems: Problems) -> None:
    found = problems({**SMALLEST, "postseal_domains": [PARKED], "postseal_credentials": []})
    assert any("names no domain that sends" in problem.fix for problem in found)


def test_everything_that_can_be_said_of_a_domain() -> None:
    domain = _with({
        "name": "example.net",
        "dkim": {"algorithms": ["rsa3072"], "delegate": {"S1": "S1.domainkey.u1.example.test."}},
        "dmarc": {
            "policy": "quarantine",
            "subdomain_policy": "reject",
            "nonexistent_policy": "reject",
            "testing": True,
            "rua": ["mailto:dmarc@reports.example"],
        },
        "tls_rpt": ["tls@example.net", "https://reports.example/tls"],
        "mta_sts": {"id": 20261121, "host": "mta-sts.example.test"},
        "adopt": True,
        "subdomains": ["news", "B\u00fccher.EU"],
    }).domains[1]  # fmt: skip
    assert domain.dkim == Dkim(("rsa3072",), (("s1", "s1.domainkey.u1.example.test"),))
    assert domain.dmarc == Dmarc(
        "quarantine", "reject", ("mailto:dmarc@reports.example",), "relaxed", "reject", testing=True
    )
    assert domain.tls_rpt == ("mailto:tls@example.net", "https://reports.example/tls")
    assert domain.mta_sts == MtaSts("20261121", "mta-sts.example.test")
    assert domain.adopt
    assert domain.subdomains == ("news.example.net", "xn--bcher-kva.eu.example.net")


@pytest.mark.parametrize(
    ("said", "path", "fix"),
    [
        ({"dkim": {"delegate": {"-s": "a.example.net"}}}, "dkim.delegate.-s", "letters, digits"),
        ({"dkim": {"delegate": {"s1": "192.0.2.1"}}}, "dkim.delegate.s1", "not an address"),
        ({"dkim": {"delegate": {7: "a.example.net"}}}, "dkim.delegate.7", "must be text"),
        ({"dkim": {"delegate": ["s1"]}}, "dkim.delegate", "must be a mapping"),
        ({"dmarc": {"nonexistent_policy": "block"}}, "dmarc.nonexistent_policy", "must be one of"),
        ({"dmarc": {"pct": 50}}, "dmarc.pct", "is not a key"),
        ({"tls_rpt": ["http://a.example"]}, "tls_rpt[0]", "mailto: with an address, or an https://"),
        ({"tls_rpt": []}, "tls_rpt", "must not be empty"),
        ({"mta_sts": {}}, "mta_sts.mx", "list the hosts that receive mail"),
        ({"mta_sts": {"host": "policy.example.net"}}, "mta_sts.id", "is missing"),
        ({"mta_sts": {"id": 1, "mode": "testing"}}, "mta_sts.mode", "has no meaning beside id and host"),
        ({"mta_sts": {"mode": "report", "mx": ["a.example.net"]}}, "mta_sts.mode", "must be one of"),
        ({"mta_sts": {"mx": ["*.*.example.net"]}}, "mta_sts.mx[0]", "not a valid domain name"),
        ({"mta_sts": {"mx": ["a.example.net"], "max_age": "1h"}}, "mta_sts.max_age", "from 1d to 365d"),
        (
            {"mx": [{"host": "b.example.net"}], "mta_sts": {"mx": ["a.example.net"]}},
            "mta_sts.mx",
            "leaves out b.example.net",
        ),
        ({"mx": [{"host": "mail-a.example.com"}]}, "mx[0].host", "takes no mail from other servers"),
        ({"mta_sts": {"mx": ["mail-a.example.com"]}}, "mta_sts.mx", "takes no mail from other servers"),
        ({"parked": True, "mta_sts": {}}, "mta_sts", "no meaning for a parked domain"),
        ({"parked": True, "mx": [{"host": "mx.example.net"}]}, "mx", "no meaning for a parked domain"),
        ({"mta_sts": {"id": "2026-11-21"}}, "mta_sts.id", "letters and digits"),
        ({"mta_sts": {"id": "x" * 33}}, "mta_sts.id", "letters and digits"),
        ({"mta_sts": {"id": True}}, "mta_sts.id", "must be text"),
        ({"adopt": 1}, "adopt", "true or false"),
        ({"subdomains": ["news.example.com"]}, "subdomains[0]", "write news for news.example.com"),
        ({"subdomains": ["example.com"]}, "subdomains[0]", "must be relative to example.com"),
        ({"subdomains": ["a b"]}, "subdomains[0]", "not a valid domain name"),
        ({"subdomains": "news"}, "subdomains", "must be a list"),
        ({"subdomains": ["news", "News"]}, "subdomains[1]", "is listed twice"),
        ({"subdomains": ["news"], "dmarc": {"alignment": "strict"}}, "subdomains", "make it relaxed"),
        ({"parked": True, "subdomains": ["news"]}, "subdomains", "no meaning for a parked domain"),
        ({"bounce": "bounces"}, "bounce", "must be a mail address"),
        ({"bounce": "b@example.net", "subdomains": ["eu"]}, "bounce", "at example.com or eu.example.com"),
        ({"bounce": "b@mail.example.com"}, "bounce", "must be an address at example.com"),
        ({"parked": True, "bounce": "b@example.com"}, "bounce", "no meaning for a parked domain"),
    ],
)
def test_wrong_records_are_named(problems: Problems, said: dict[str, Any], path: str, fix: str) -> None:
    found = problems({**SMALLEST, "postseal_domains": [{"name": "example.com", **said}]})
    at = f"postseal_domains[0].{path}"
    assert any(problem.path == at and fix in problem.fix for problem in found), found


def test_a_subdomain_has_one_domain_and_its_senders_are_signed() -> None:
    wrong = [{"name": "example.com", "subdomains": ["news"]}, {"name": "news.example.com"}]
    with pytest.raises(InventoryError) as caught:
        _load(postseal_domains=wrong)
    assert "is one of postseal_domains too" in str(caught.value)
    credential = {**SMALLEST["postseal_credentials"][0], "senders": ["@news.example.com"]}
    model = _load(postseal_domains=wrong[:1], postseal_credentials=[credential])
    assert model.credentials[0].senders == ("@news.example.com",)
    with pytest.raises(InventoryError, match="outside postseal_domains"):
        _load(postseal_credentials=[credential])


def test_caa_follows_the_issuer() -> None:
    assert _load().tls.caa is None
    assert _load(postseal_tls={"caa": {}}).tls.caa == Caa("letsencrypt.org")
    assert _load(postseal_tls={"issuer": "letsencrypt-staging", "caa": {}}).tls.caa == Caa("letsencrypt.org")
    account = "https://acme-v02.api.letsencrypt.org/acme/acct/1234"
    said = {"accounts": [account], "methods": ["http-01", "dns-01"], "iodef": "security@example.com"}
    assert _load(postseal_tls={"caa": said}).tls.caa == Caa(
        "letsencrypt.org", (account,), ("http-01", "dns-01"), "mailto:security@example.com"
    )


@pytest.mark.parametrize(
    ("tls", "path", "fix"),
    [
        ({"issuer": "https://acme.example/dir", "caa": {}}, "issuer", "is missing"),
        ({"caa": {"accounts": ["1234"]}}, "accounts[0]", "https:// URL"),
        ({"caa": {"accounts": ["https://a.example/1; x=y"]}}, "accounts[0]", "certbot show_account"),
        ({"caa": {"methods": ["http01"]}}, "methods[0]", "did you mean http-01?"),
        ({"caa": {"issuers": "x"}}, "issuers", "did you mean issuer?"),
    ],
)
def test_wrong_caa_is_named(problems: Problems, tls: dict[str, Any], path: str, fix: str) -> None:
    found = problems({**SMALLEST, "postseal_tls": tls})
    assert any(problem.path == f"postseal_tls.caa.{path}" and fix in problem.fix for problem in found), found


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, MtaSts(mode="testing", max_age=28 * 86400, mx=("mx.example.net",))),
        (
            {"mode": "enforce", "max_age": "2w", "mx": ["*.example.net"]},
            MtaSts(mode="enforce", max_age=14 * 86400, mx=("*.example.net",)),
        ),
        ({"mode": "none", "max_age": "1d"}, MtaSts(mode="none", max_age=86400, mx=("mx.example.net",))),
    ],
)
def test_a_policy_of_our_own_names_the_hosts_that_receive(said: dict[str, Any], expected: MtaSts) -> None:
    domain = {"name": "example.com", "mx": [{"host": "mx.example.net"}], "mta_sts": said}
    model = _load(postseal_domains=[domain, {"name": "example.net", "mta_sts": {"id": 1}}])
    assert model.domains[0].mta_sts == expected
    assert [one.name for one in model.policy_domains] == ["example.com"]


def test_a_mail_host_is_not_called_like_a_policy_host(problems: Problems) -> None:
    domain = {"name": "example.com", "mta_sts": {"mx": ["mx.example.net"]}}
    said = {**SMALLEST, "postseal_domains": [domain], "postseal_submission": {"hostname": "mta-sts.example.com"}}
    (found,) = problems(said)
    assert (found.path, found.value) == ("group postseal_submission", "'mta-sts.example.com'")
