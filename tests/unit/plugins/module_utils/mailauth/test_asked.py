# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an inventory asks for and no zone can hold is named with domain, provider and fix, before anything is done."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.asked import unpublishable
from ansible_collections.postseal.mail.plugins.module_utils.model.load import HostVariables, Inventory, load

HASH = "{SHA512-CRYPT}$6$saltsalt$" + "a" * 86
HOSTS = {"mail-a.example.com": HostVariables(ansible_host="203.0.113.10")}
PROVIDERS = {"own": {"type": "zonefile", "directory": "z"}, "other": {"type": "zonefile", "directory": "y"}}
MAIN = {"name": "example.com"}
LONG = ".".join(["a" * 60, "b" * 60, "c" * 60, "example.net"])


def _found(*domains: dict[str, Any], **said: Any) -> list[tuple[str, str]]:
    variables = {
        "postseal_dns": {"providers": PROVIDERS, "zones": {"example.com": "own", "example.net": "other"}},
        "postseal_domains": [MAIN, *domains],
        "postseal_credentials": [{"name": "shop", "domain": "example.com", "secret_hash": HASH}],
        **said,
    }
    model = load(Inventory("production", variables, HOSTS), date(2026, 11, 22))
    return [(found.place, found.reason) for found in unpublishable(model, date(2026, 11, 22))]


def test_what_can_be_published_is_not_complained_about() -> None:
    policy = {"id": 1, "host": "policy.example.org"}
    assert _found({"name": "example.net", "mta_sts": policy}, {"name": "parked.example.net", "parked": True}) == []


@pytest.mark.parametrize("more", [0, 1])
def test_a_domain_too_long_for_the_names_of_its_keys_is_named(more: int) -> None:
    room = 253 - len(f"production-20261122-ed25519._domainkey..{LONG}")
    name = f"{'d' * (room + more)}.{LONG}"
    found = _found({"name": name})
    assert len(found) == 2 * more
    for place, reason in found:
        assert place == f"domain {name} at provider other"
        assert reason.startswith("production-20261122-")
        assert "it has 254 octets; 253 may be in a name" in reason
        assert reason.endswith("Shorten the domain, the selector or postseal_environment")


def test_a_policy_longer_than_any_record_is_named() -> None:
    rua = [f"mailto:{number}-{'x' * 50}@example.com" for number in range(1000)]
    ((place, reason),) = _found({"name": "example.net", "dmarc": {"rua": rua}})
    assert place == "domain example.net at provider other"
    assert reason.startswith("_dmarc.example.net TXT: a value takes 74")
    assert "[txt-length]. Shorten it" in reason


def test_an_alias_where_another_domain_or_the_service_has_its_records_is_named() -> None:
    announced = {"name": "example.net", "mta_sts": {"id": 1, "host": "policy.example.org"}}
    at = "domain example.net at provider other"
    wrong = "mta-sts.example.net CNAME: {} stands beside it [cname-alone]. Remove one of the two"
    assert _found(announced, {"name": "mta-sts.example.net"}) == [(at, wrong.format("TXT"))]
    assert _found(announced, postseal_submission={"hostname": "mta-sts.example.net"}) == [(at, wrong.format("A"))]
