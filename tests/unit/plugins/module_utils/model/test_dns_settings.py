# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an inventory may say of DNS providers, and that none of their credentials is ever shown."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.dns import PROVIDER_TYPES, READERS
from ansible_collections.postseal.mail.plugins.module_utils.model.load import Inventory, load
from ansible_collections.postseal.mail.plugins.module_utils.model.problems import InventoryError, Problem
from ansible_collections.postseal.mail.plugins.module_utils.model.providers import secrets
from ansible_collections.postseal.mail.plugins.module_utils.model.rules import zone_provider
from ansible_collections.postseal.mail.plugins.module_utils.model.summary import summary
from ansible_collections.postseal.mail.plugins.module_utils.model.types import (
    Cloudflare,
    Dns,
    Model,
    OctoDns,
    PowerDns,
    Route53,
    Secret,
    ZoneFile,
)
from hypothesis import given
from hypothesis import strategies as st

from .conftest import HOSTS, SMALLEST, TODAY

Problems = Callable[..., tuple[Problem, ...]]
CANARY = "canary0123456789"
CANARIES: dict[str, dict[str, Any]] = {
    "cloudflare": {"api_token": CANARY},
    "octodns": {"class": "octodns_hetzner.HetznerProvider", "options": {"token": CANARY, "keys": [CANARY, 1]}},
    "powerdns": {"url": "https://ns1.example.com:8081", "api_key": CANARY},
    "rfc2136": {"server": "192.0.2.53", "tsig": {"name": "k", "secret": CANARY}},
    "route53": {"access_key_id": "AKIA", "secret_access_key": CANARY},
    "zonefile": {"directory": "./zones"},
}


def _load(said: dict[str, Any], **dns: Any) -> Model:
    return load(Inventory("production", {**SMALLEST, "postseal_dns": {"providers": {"p": said}, **dns}}, HOSTS), TODAY)


@pytest.mark.parametrize(
    ("said", "provider"),
    [
        ({"type": "cloudflare", "api_token": "t"}, Cloudflare("p", Secret("t"))),
        ({"type": "cloudflare"}, Cloudflare("p", None)),
        (
            {"type": "cloudflare", "zone_ids": {"Example.com.": "0a1b"}, "api_url": "http://127.0.0.1:8080/v4"},
            Cloudflare("p", None, (("example.com", "0a1b"),), "http://127.0.0.1:8080/v4"),
        ),
        (
            {"type": "powerdns", "url": "http://10.0.0.1:8081/", "api_key": "k"},
            PowerDns("p", "http://10.0.0.1:8081", Secret("k"), "localhost", None),
        ),
        (
            {"type": "powerdns", "url": "https://a.example", "api_key": "k", "server_id": "x", "ca": "ca.pem"},
            PowerDns("p", "https://a.example", Secret("k"), "x", "ca.pem"),
        ),
        ({"type": "route53"}, Route53("p")),
        (
            {
                "type": "route53",
                "access_key_id": "A",
                "secret_access_key": "s",
                "endpoint": "http://[::1]:5555",
                "zone_ids": {"example.com": "/hostedzone/Z1D633PJN98FT9"},
            },
            Route53("p", "A", Secret("s"), "http://[::1]:5555", (("example.com", "Z1D633PJN98FT9"),)),
        ),
        ({"type": "zonefile", "directory": "./zones"}, ZoneFile("p", "./zones")),
        (
            {"type": "octodns", "class": "octodns_x.P", "options": {"token": "t", "n": 3, "on": True, "l": ["a"]}},
            OctoDns("p", "octodns_x.P", (("token", Secret("t")), ("n", 3), ("on", True), ("l", (Secret("a"),)))),
        ),
        ({"type": "octodns", "class": "octodns_x.Provider"}, OctoDns("p", "octodns_x.Provider")),
    ],
)  # fmt: skip
def test_a_provider_is_what_the_inventory_says(said: dict[str, Any], provider: object) -> None:
    model = _load(said)
    assert model.dns.providers == (provider,)
    assert model.dns.provider("p") == provider


def test_three_lines_are_an_inventory() -> None:
    said = {
        "postseal_dns": {"providers": {"cf": {"type": "cloudflare", "api_token": CANARY}}},
        "postseal_domains": [{"name": "example.com"}],
        "postseal_credentials": SMALLEST["postseal_credentials"],
    }
    model = load(Inventory("production", said, HOSTS), TODAY)
    assert model.dns == Dns((Cloudflare("cf", Secret(CANARY)),))
    assert zone_provider(model, "example.com") == zone_provider(model, next(iter(HOSTS))) == "cf"


def test_taking_over_and_removing_must_be_asked_for() -> None:
    careful, bold = _load({"type": "cloudflare"}).dns, _load({"type": "cloudflare"}, adopt=True, prune=True).dns
    assert (careful.adopt, careful.prune) == (False, False)
    assert (bold.adopt, bold.prune) == (True, True)


@pytest.mark.parametrize(
    ("said", "path", "fix"),
    [
        ({"type": "cloudfare"}, "type", "did you mean cloudflare?"),
        ({"type": "cloudflare", "token": "x"}, "token", "did you mean api_token?"),
        ({"type": "cloudflare", "api_token": 17}, "api_token", "must be text"),
        ({"type": "cloudflare", "api_token": ""}, "api_token", "non-empty"),
        ({"type": "cloudflare", "api_url": "http://192.0.2.1/"}, "api_url", "http:// only to a loopback"),
        ({"type": "cloudflare", "api_url": "https://u:p@a.example/"}, "api_url", "without user name"),
        ({"type": "cloudflare", "api_url": "https://a.example:x/"}, "api_url", "https://"),
        ({"type": "cloudflare", "zone_ids": {"example": "1"}}, "zone_ids.example", "full domain name"),
        ({"type": "cloudflare", "zone_ids": {"example.com": "../x"}}, "zone_ids.example.com", "letters and digits"),
        ({"type": "cloudflare", "zone_ids": ["x"]}, "zone_ids", "must be a mapping"),
        ({"type": "powerdns", "api_key": "k"}, "url", "is missing"),
        ({"type": "powerdns", "url": "https://a.example"}, "api_key", "is missing"),
        ({"type": "powerdns", "url": "http://8.8.8.8", "api_key": "k"}, "url", "loopback or private"),
        ({"type": "powerdns", "url": "http://ns1.example.com", "api_key": "k"}, "url", "loopback or private"),
        ({"type": "route53", "access_key_id": "A"}, "secret_access_key", "belongs to access_key_id"),
        ({"type": "route53", "secret_access_key": "s"}, "access_key_id", "belongs to secret_access_key"),
        ({"type": "zonefile"}, "directory", "is missing"),
        ({"type": "octodns", "class": "Provider"}, "class", "a module and a class"),
        ({"type": "octodns", "class": "a.B", "options": {"x": {"y": 1}}}, "options.x", "must be text, a number"),
        ({"type": "octodns", "class": "a.B", "options": {"a-b": 1}}, "options.a-b", "name of an option"),
    ],
)  # fmt: skip
def test_a_provider_that_cannot_work_is_named_with_the_fix(
    problems: Problems, said: dict[str, Any], path: str, fix: str
) -> None:
    found = problems({**SMALLEST, "postseal_dns": {"providers": {"p": said}}})
    at = f"postseal_dns.providers.p.{path}"
    assert any(problem.path == at and fix in problem.fix for problem in found), found


@pytest.mark.parametrize("kind", PROVIDER_TYPES)
def test_no_credential_is_in_a_representation_or_summary(kind: str) -> None:
    model = _load({"type": kind, **CANARIES[kind]})
    assert model.dns.provider("p").name == "p"
    told = repr(model) + str(model.dns.providers) + "\n".join(summary(model))
    assert CANARY not in told
    found = [secret.reveal() for secret in secrets(model.dns.providers)]
    assert found == [CANARY] * str(CANARIES[kind]).count(CANARY)


def _spoil(value: Any, wrong: Any) -> Any:
    """Return ``value`` with what holds the credential replaced by something of the wrong form that still holds it."""
    if isinstance(value, dict):
        return {key: _spoil(inner, wrong) for key, inner in value.items()}
    return wrong if CANARY in str(value) else value


@pytest.mark.parametrize("kind", [kind for kind in PROVIDER_TYPES if CANARY in str(CANARIES[kind])])
@pytest.mark.parametrize("wrong", [[CANARY, {}], {"x": {"y": CANARY}}, f"{CANARY}\n!"])
@pytest.mark.parametrize("whole", [False, True])
def test_no_misplaced_credential_is_in_a_problem(problems: Problems, kind: str, wrong: Any, whole: bool) -> None:
    said = {
        key: wrong if whole and CANARY in str(value) else _spoil(value, wrong) for key, value in CANARIES[kind].items()
    }
    found = problems({**SMALLEST, "postseal_dns": {"providers": {"p": {"type": kind, **said}}}})
    assert CANARY not in "\n".join(map(str, found))


@pytest.mark.parametrize("value", [CANARY, [CANARY], {"p": CANARY}, {"p": [CANARY]}])
def test_a_credential_in_the_place_of_a_provider_is_not_shown(problems: Problems, value: Any) -> None:
    found = problems({**SMALLEST, "postseal_dns": {"providers": value}})
    assert found
    assert CANARY not in "\n".join(map(str, found))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(data=st.data(), kind=st.sampled_from(PROVIDER_TYPES))
def test_nothing_said_of_a_provider_ends_in_a_traceback(data: st.DataObject, kind: str) -> None:
    said = data.draw(st.dictionaries(st.sampled_from([*READERS[kind][0], "x"]), JSON, max_size=4))
    with suppress(InventoryError):
        assert _load({"type": kind, **said}).dns.providers
