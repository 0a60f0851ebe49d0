# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""TLS to the recipients' own servers: what may be said, what is refused, and what Postfix makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.explain import explain
from ansible_collections.postseal.mail.plugins.module_utils.model.load import Inventory, load
from ansible_collections.postseal.mail.plugins.module_utils.model.problems import Problem
from ansible_collections.postseal.mail.plugins.module_utils.model.summary import summary
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Model

from .conftest import HOSTS, SMALLEST, TODAY

Problems = Callable[..., tuple[Problem, ...]]
RELAY = {"name": "backup", "host": "smtp.backup.example", "login": "me", "secret": "canary-0123456789"}
DIGEST = "49FD46E6C4B45C55D4AC69CBD3CD34AC1AFE51DE" * 2


def _model(outbound: dict[str, Any], **others: Any) -> Model:
    return load(Inventory("production", {**SMALLEST, "postseal_outbound_tls": outbound, **others}, HOSTS), TODAY)


def test_without_a_word_dane_and_mta_sts_are_obeyed() -> None:
    model = load(Inventory("production", SMALLEST, HOSTS), TODAY)
    assert (model.outbound.default, model.resolves, model.obeys_mta_sts) == ("dane", True, True)
    assert model.outbound.resolver.proven == "."


@pytest.mark.parametrize(
    ("said", "needed"),
    [
        ({"default": "may", "mta_sts": False}, (False, False)),
        ({"default": "may", "mta_sts": False, "destinations": {"bank.example": "dane-only"}}, (True, False)),
        ({"default": "may"}, (True, True)),
        ({"mta_sts": False}, (True, False)),
    ],
)
def test_what_needs_a_resolver(said: dict[str, Any], needed: tuple[bool, bool]) -> None:
    model = _model(said)
    assert (model.resolves, model.obeys_mta_sts) == needed


def test_nothing_is_needed_where_all_mail_takes_relays() -> None:
    model = _model({}, postseal_relays=[RELAY])
    assert (model.resolves, model.obeys_mta_sts) == (False, False)
    model = _model({}, postseal_relays=[RELAY], postseal_routes=[{"default": True, "via": ["backup", "direct"]}])
    assert model.resolves
    assert model.obeys_mta_sts


def test_the_nearest_destination_counts() -> None:
    said = {
        "Bank.Example": "verify",
        ".bank.example": "encrypt",
        "hosted.example": {"tls": "verify", "names": ["mx.provider.example", ".provider.example"]},
    }
    outbound = _model({"destinations": said}).outbound
    asked = ("bank.example", "a.bank.example", "b.a.bank.example", "hosted.example", "example.org")
    found = [outbound.of(domain) for domain in asked]
    assert [one.policy if one else None for one in found] == [
        "secure",
        "encrypt",
        "encrypt",
        "secure match=mx.provider.example:.provider.example",
        None,
    ]


def test_all_that_is_wrong_is_told_at_once(problems: Problems) -> None:
    said = {
        "default": "verify",
        "mta_sts": "perhaps",
        "destinations": {
            "bank.example": "secure",
            "not a domain": "may",
            "a.example": {"tls": "may", "names": ["mx.example"]},
            "b.example": {"names": ["mx.example"]},
        },
        "resolver": {"forwarders": ["dns.example"], "private": {"corp.example": []}, "anchors": ["example. DS"]},
        "tlsrpt_socket": "run/collector",
        "dane": True,
    }
    found = {problem.path: problem.fix for problem in problems({**SMALLEST, "postseal_outbound_tls": said})}
    prefix = "postseal_outbound_tls."
    assert {path.removeprefix(prefix) for path in found} == {
        "dane",
        "default",
        "mta_sts",
        "destinations.bank.example",
        "destinations.not a domain",
        "destinations.a.example.names",
        "destinations.b.example.tls",
        "resolver.forwarders[0]",
        "resolver.private.corp.example",
        "resolver.anchors[0]",
        "tlsrpt_socket",
    }
    assert "dane, encrypt or may" in found[f"{prefix}default"]
    assert "verify" in found[f"{prefix}destinations.bank.example"]


@pytest.mark.parametrize(
    "routes",
    [
        [{"default": True, "via": ["backup"]}],
        [{"recipient_domain": "bank.example", "via": ["backup"]}, {"default": True, "via": ["direct"]}],
    ],
)
def test_a_destination_that_takes_a_relay_is_refused(problems: Problems, routes: list[dict[str, Any]]) -> None:
    said = {"postseal_outbound_tls": {"destinations": {"bank.example": "verify"}}}
    found = problems({**SMALLEST, **said, "postseal_relays": [RELAY], "postseal_routes": routes})
    assert len(found) == 1
    assert found[0].path.startswith("postseal_outbound_tls.destinations")
    assert "has no effect" in found[0].fix


def test_anchors_are_read_as_dig_prints_them() -> None:
    said = [f"Internal. 3600 IN DS 12345 13 2 {DIGEST[:40]} {DIGEST[40:]}", "example.com. DNSKEY 257 3 13 abc+/=="]
    resolver = _model({"resolver": {"anchors": said, "private": {"internal": ["10.0.0.53"]}}}).outbound.resolver
    assert resolver.anchors == (f"internal. DS 12345 13 2 {DIGEST}", "example.com. DNSKEY 257 3 13 abc+/==")
    assert (resolver.proven, resolver.private) == ("internal.", (("internal", ("10.0.0.53",)),))


def test_it_is_explained_and_summed_up() -> None:
    model = _model({"destinations": {"bank.example": {"tls": "verify", "names": ["mx.bank.example"]}}})
    told = " ".join(explain(model, "shop@example.com", "a@bank.example"))
    assert "tls verify by postseal_outbound_tls" in told
    assert "(mx.bank.example)" in told
    told = " ".join(explain(model, "shop@example.com", "a@example.org"))
    assert "tls dane: as its TLSA records say" in told
    assert "MTA-STS" in told
    assert [line for line in summary(model) if "verify to bank.example, MTA-STS policies are obeyed" in line]


def test_a_domain_with_other_letters_is_named_as_it_may_be_written() -> None:
    said = {"b\u00fccher.example": "verify", ".b\u00fccher.example": "encrypt", "bank.example": "verify"}
    entries = [entry for one in _model({"destinations": said}).outbound.destinations for entry in one.entries]
    assert sorted(entries) == sorted([
        ("xn--bcher-kva.example", "secure"),
        ("b\u00fccher.example", "secure match=xn--bcher-kva.example:.xn--bcher-kva.example"),
        (".xn--bcher-kva.example", "encrypt"),
        (".b\u00fccher.example", "encrypt"),
        ("bank.example", "secure"),
    ])  # fmt: skip
