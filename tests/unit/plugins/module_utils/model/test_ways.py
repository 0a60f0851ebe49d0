# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Relays and routes: what may be said, what is refused, which way a message goes, and what Postfix is made of."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.claims import desired_claims
from ansible_collections.postseal.mail.plugins.module_utils.model.explain import explain
from ansible_collections.postseal.mail.plugins.module_utils.model.load import Inventory, load
from ansible_collections.postseal.mail.plugins.module_utils.model.presets import PRESETS
from ansible_collections.postseal.mail.plugins.module_utils.model.problems import Invalid, Problem
from ansible_collections.postseal.mail.plugins.module_utils.model.relays import Route
from ansible_collections.postseal.mail.plugins.module_utils.model.summary import summary
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Model, Secret
from ansible_collections.postseal.mail.plugins.module_utils.model.ways_rules import choose, unannounced

from .conftest import HASH, HOSTS, SMALLEST, TODAY

Problems = Callable[..., tuple[Problem, ...]]
CANARY = "canary-0123456789"
BACKUP: dict[str, Any] = {"name": "backup", "host": "smtp.backup.example", "port": 465, "login": "me", "secret": CANARY}
PRIMARY: dict[str, Any] = {"name": "primary", "preset": "sendgrid", "secret": CANARY}
CREDENTIALS = [
    {"name": "shop", "domain": "example.com", "secret_hash": HASH, "stream": "transactional"},
    {"name": "news", "domain": "example.com", "secret_hash": HASH.replace("a" * 86, "b" * 86), "stream": "marketing"},
]


def _model(relays: list[dict[str, Any]], routes: list[dict[str, Any]] | None = None) -> Model:
    said = {**SMALLEST, "postseal_credentials": CREDENTIALS, "postseal_relays": relays}
    return load(Inventory("production", {**said, **({"postseal_routes": routes} if routes else {})}, HOSTS), TODAY)


def test_a_relay_needs_few_words() -> None:
    model = _model([PRIMARY, BACKUP])
    first, second = model.relays
    assert (first.host, first.port, first.mode, first.tls) == ("smtp.sendgrid.net", 587, "starttls", "verify")
    assert (first.login, first.secret) == ("apikey", Secret(CANARY))
    assert (second.mode, second.login) == ("implicit_tls", "me")
    assert model.routes == (Route(("primary", "backup")),)


def test_without_relays_mail_goes_directly() -> None:
    model = load(Inventory("production", SMALLEST, HOSTS), TODAY)
    assert [transport.name for transport in model.transports.all] == ["smtp"]
    assert not [line for line in summary(model) if "leaves" in line]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_a_relay(name: str) -> None:
    preset = PRESETS[name]
    region = {"region": "eu-west-1"} if preset.regional else {}
    relay = _model([{"name": "p", "preset": name, "login": "me", "secret": CANARY, **region}]).relays[0]
    assert "{" not in relay.host
    assert relay.host.endswith((".com", ".net", ".org"))
    assert relay.spf == preset.spf
    assert preset.source.startswith("https://")
    # Somebody has to say how SPF passes: the provider's include, or that it needs none.
    assert relay.spf or relay.rewrites


def test_regions_and_tokens_of_presets() -> None:
    said = {"login": "me", "secret": CANARY}
    relays = _model([
        {"name": "a", "preset": "mailgun", **said},
        {"name": "b", "preset": "mailgun", "region": "eu", **said},
        {"name": "c", "preset": "amazon_ses", "region": "eu-west-1", **said},
        {"name": "d", "preset": "postmark", "secret": CANARY},
    ]).relays  # fmt: skip
    assert [relay.host for relay in relays] == [
        "smtp.mailgun.org", "smtp.eu.mailgun.org", "email-smtp.eu-west-1.amazonaws.com", "smtp.postmarkapp.com",
    ]  # fmt: skip
    assert relays[3].login == CANARY
    assert CANARY not in repr(relays)


WRONG_RELAYS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no host": ({"name": "x"}, "postseal_relays[0].host", "say whose it is with preset"),
    "no name": ({"host": "a.example.net"}, "postseal_relays[0].name", "is missing"),
    "the reserved name": ({**BACKUP, "name": "direct"}, "postseal_relays[0].name", "must not be direct"),
    "an underscore": ({**BACKUP, "name": "a_b"}, "postseal_relays[0].name", "letters, digits and inner hyphens"),
    "a misspelt preset": ({**PRIMARY, "preset": "sendgird"}, "postseal_relays[0].preset", "did you mean sendgrid?"),
    "a misspelt key": ({**BACKUP, "prot": 1}, "postseal_relays[0].prot", "did you mean port?"),
    "no credential where it is needed": (
        {"name": "x", "preset": "sendgrid"}, "postseal_relays[0].secret", "takes no mail without",
    ),
    "login alone": ({**BACKUP, "secret": None}, "postseal_relays[0].secret", "it belongs to login"),
    "secret alone": ({**BACKUP, "login": None}, "postseal_relays[0].login", "it belongs to secret"),
    "a credential in clear": (
        {**BACKUP, "port": 587, "tls": "may"}, "postseal_relays[0].tls", "would send the credential unprotected",
    ),
    "TLS that is not": ({**BACKUP, "tls": "none"}, "postseal_relays[0].tls", "which is TLS"),
    "no region": ({**PRIMARY, "preset": "amazon_ses", "login": "x"}, "postseal_relays[0].region", "like eu-west-1"),
    "a region too many": ({**PRIMARY, "region": "eu"}, "postseal_relays[0].region", "has no meaning"),
    "an authority nobody asks": (
        {**BACKUP, "tls": "encrypt", "ca": "/x"}, "postseal_relays[0].ca", "unless tls is verify",
    ),
    "a colon in the login": ({**BACKUP, "login": "a:b"}, "postseal_relays[0].login", "colon"),
    "a foreign alias": (
        {**BACKUP, "aliases": {"em1.example.org": "x.example.net"}},
        "postseal_relays[0].aliases", "not ours to publish",
    ),
    "itself": ({**BACKUP, "host": "mail-a.example.com"}, "postseal_relays[0].host", "go in a circle"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_RELAYS)
def test_a_wrong_relay_is_refused(case: str, variables: dict[str, Any], problems: Problems) -> None:
    said, path, fix = WRONG_RELAYS[case]
    found = problems({**variables, "postseal_relays": [said]})
    assert [(problem.path, fix in problem.fix) for problem in found] == [(path, True)], found
    assert CANARY not in "".join(map(str, found))


WRONG_ROUTES: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "an unknown relay": ([{"default": True, "via": ["primry"]}], "postseal_routes[0].via[0]", "did you mean primary?"),
    "a loop": ([{"default": True, "via": ["primary", "primary"]}], "postseal_routes[0].via[1]", "is listed twice"),
    "no way": ([{"default": True}], "postseal_routes[0].via", "is missing"),
    "two defaults": (
        [{"default": True, "via": ["primary"]}, {"default": True, "via": ["direct"]}],
        "postseal_routes[1].default", "is in postseal_routes[0] already",
    ),
    "no default": ([{"stream": "marketing", "via": ["primary"]}], "postseal_routes", "has no default; add"),
    "no criterion": ([{"via": ["primary"]}], "postseal_routes[0]", "to tell which mail goes this way"),
    "two criteria": (
        [{"stream": "marketing", "sender": "@example.com", "via": ["primary"]}],
        "postseal_routes[0]", "must say one of",
    ),
    "a stream twice": (
        [{"stream": "marketing", "via": ["primary"]}, {"stream": ["marketing"], "via": ["direct"]},
         {"default": True, "via": ["direct"]}],
        "postseal_routes[1].stream", "is in postseal_routes[0] already",
    ),
    "an unknown stream": (
        [{"stream": "marketting", "via": ["primary"]}, {"default": True, "via": ["direct"]}],
        "postseal_routes[0].stream", "did you mean marketing?",
    ),
    "an unknown credential": (
        [{"credential": "nobody", "via": ["primary"]}, {"default": True, "via": ["direct"]}],
        "postseal_routes[0].credential", "is not one of postseal_credentials",
    ),
    "a foreign sender": (
        [{"sender": "x@example.org", "via": ["primary"]}, {"default": True, "via": ["direct"]}],
        "postseal_routes[0].sender", "outside postseal_domains",
    ),
    "default: false": ([{"default": False, "via": ["primary"]}], "postseal_routes[0].default", "must be true"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_ROUTES)
def test_a_wrong_route_is_refused(case: str, variables: dict[str, Any], problems: Problems) -> None:
    routes, path, fix = WRONG_ROUTES[case]
    said = {"postseal_credentials": CREDENTIALS, "postseal_relays": [PRIMARY], "postseal_routes": routes}
    found = problems({**variables, **said})
    assert [(problem.path, fix in problem.fix) for problem in found] == [(path, True)], found


def test_two_relays_of_one_name_are_refused(variables: dict[str, Any], problems: Problems) -> None:
    found = problems({**variables, "postseal_relays": [BACKUP, {**BACKUP, "login": "other"}]})
    assert [problem.fix for problem in found] == ["has the name twice; remove one"]


ROUTES: list[dict[str, Any]] = [
    {"sender": ["shop@example.com"], "via": ["direct"]},
    {"sender": "@example.com", "via": ["backup", "direct"]},
    {"recipient_domain": "partner.example", "via": ["backup"]},
    {"stream": "marketing", "via": ["primary"]},
    {"credential": "news", "via": ["primary", "direct"]},
    {"default": True, "via": ["primary", "backup"]},
]


@pytest.mark.parametrize(
    ("login", "sender", "recipient", "via", "reason"),
    [
        ("news", "shop@example.com", "a@partner.example", ("primary", "direct"), "credential news@example.com"),
        ("shop", "shop@example.com", "a@Partner.example", ("backup",), "recipient domain partner.example"),
        ("shop", "Shop@example.com", "a@b.example", ("direct",), "sender shop@example.com"),
        ("shop", "x@example.com", "a@b.example", ("backup", "direct"), "sender @example.com"),
        (None, "", "a@b.example", ("primary", "backup"), "default"),
    ],
)
def test_which_route_decides(login: str | None, sender: str, recipient: str, via: tuple[str, ...], reason: str) -> None:
    model = _model([PRIMARY, BACKUP], ROUTES)
    found = choose(model, model.credential(login) if login else None, sender, recipient)
    assert (found.route.via, found.reason) == (via, reason)


def test_a_stream_decides_where_no_route_names_the_credential() -> None:
    model = _model([PRIMARY, BACKUP], [ROUTES[3], ROUTES[5]])
    found = choose(model, model.credential("news"), "news@example.com", "a@b.example")
    assert (found.route.via, found.reason) == (("primary",), "stream marketing of credential news@example.com")


def test_spf_names_what_relays_in_use_want_included() -> None:
    relays = [PRIMARY, {**BACKUP, "spf": ["_spf.backup.example"]}, {**BACKUP, "name": "idle", "spf": ["idle.example"]}]
    model = _model(relays, [{"default": True, "via": ["primary", "backup"]}])
    record = next(claim for claim in desired_claims(model, ()) if claim.name == "example.com" and claim.type == "TXT")
    assert b"include:_spf.backup.example " in bytes(record.value)  # type: ignore[arg-type]
    assert b"idle" not in bytes(record.value)  # type: ignore[arg-type]


def test_aliases_of_relays_in_use_are_published_where_they_belong() -> None:
    aliases = {"em1.example.com": "u1.wl.example.net", "s1._domainkey.example.com": "s1.u1.example.net"}
    claims = desired_claims(_model([{**PRIMARY, "aliases": aliases}]), ())
    made = {claim.name: (claim.slot.label, claim.value, claim.anchor) for claim in claims if claim.type == "CNAME"}
    assert made == {
        "em1.example.com": ("alias", "u1.wl.example.net.", "example.com"),
        "s1._domainkey.example.com": ("dkim:s1", "s1.u1.example.net.", "example.com"),
    }
    idle = _model([{**PRIMARY, "aliases": aliases}], [{"default": True, "via": ["direct"]}])
    assert not [claim for claim in desired_claims(idle, ()) if claim.type == "CNAME"]


def test_a_relay_that_breaks_spf_is_told() -> None:
    model = _model([PRIMARY, BACKUP])
    assert [relay.name for relay in unannounced(model)] == ["backup"]
    told = "\n".join(summary(model))
    assert "WARNING: receivers will see mail from smtp.backup.example that no SPF record allows" in told
    assert "mail without a route of its own leaves via primary, then backup" in told
    assert CANARY not in told + repr(model)


def test_the_way_is_explained() -> None:
    model = _model([PRIMARY, BACKUP], ROUTES)
    told = explain(model, "shop@example.com", "a@partner.example")
    assert told[0] == "shop@example.com sends as shop@example.com to a@partner.example: by the route of " + (
        "recipient domain partner.example"
    )
    assert told[1].strip() == "1. backup: smtp.backup.example port 465, TLS from the first byte, tls verify, " + (
        "with a credential"
    )
    assert told[-1].endswith("via_backup:[smtp.backup.example]:465")
    assert CANARY not in "\n".join(told)
    assert "bounce" in explain(model, "<>", "a@b.example")[0]


@pytest.mark.parametrize(
    ("sender", "recipient", "credential", "told"),
    [
        ("x@example.org", "a@b.example", None, "no credential may send as x@example.org"),
        ("shop@example.com", "a@b.example", "news", "may not send as shop@example.com"),
        ("shop@example.com", "a@b.example", "nobody", "is not one of postseal_credentials"),
        ("shop", "a@b.example", None, "must be a mail address"),
    ],
)
def test_what_cannot_be_sent_has_no_way(sender: str, recipient: str, credential: str | None, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        explain(_model([PRIMARY, BACKUP], ROUTES), sender, recipient, credential)


def test_the_page_about_relays_has_every_preset() -> None:
    page = (Path(__file__).resolve().parents[5] / "docs/relays.md").read_text("utf-8")
    rows = {
        match[1]: match[0]
        for match in re.finditer(
            r"^\| \[`(\w+)`\]\((\S+)\) \| `([^`]+)`.*\| (?:`([^`]+)`|its own) \|$", page, re.MULTILINE
        )
    }
    assert set(rows) == set(PRESETS)
    for name, preset in PRESETS.items():
        assert f"({preset.source})" in rows[name]
        assert rows[name].endswith("| its own |" if preset.rewrites else f"| `{preset.spf[0]}` |")
        assert preset.regions or f"`{preset.host}`" in rows[name]
