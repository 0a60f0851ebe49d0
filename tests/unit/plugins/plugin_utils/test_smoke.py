# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The probes of a service follow from the model alone."""

from __future__ import annotations

from datetime import date
from typing import Any

from ansible_collections.postseal.mail.plugins.module_utils.model.keys import DkimPublicKey
from ansible_collections.postseal.mail.plugins.module_utils.model.load import HostVariables, Inventory, load
from ansible_collections.postseal.mail.plugins.plugin_utils.smoke import default_smoke

VARIABLES: dict[str, Any] = {
    "postseal_domains": [{"name": "bare.example"}, {"name": "shop.example"}],
    "postseal_credentials": [
        {"name": "shop", "domain": "shop.example", "secret_hash": "{SHA512-CRYPT}$6$salt$" + "x" * 86}
    ],
    "postseal_dns": {"providers": {"main": {"type": "zonefile", "directory": "zones"}}},
}


def _known(**changed: Any) -> dict[str, Any]:
    hosts = {"mail.shop.example": HostVariables(ansible_host="192.0.2.1", addresses=None)}
    model = load(Inventory("lab", {**VARIABLES, **changed}, hosts), date(2026, 1, 1))
    return {"model": model, "this": model.hosts[0]}


def test_the_signer_is_tested_with_a_domain_it_holds_keys_of() -> None:
    signing = (DkimPublicKey("shop.example", "s", "ed25519", "x"),)
    assert default_smoke("rspamd", {**_known(), "signing": signing}, [])[0]["sender"] == "postmaster@shop.example"
    assert default_smoke("rspamd", _known(), []) == []
    assert default_smoke("dovecot", _known(), []) == []


def test_every_port_is_tested_with_the_first_credential() -> None:
    probes = default_smoke("postfix", _known(postseal_submission={"ports": {"alternative": 2525}}), ["/c.pem"])
    assert [(probe["port"], probe["tls"]) for probe in probes] == [
        (465, "wrapped"), (587, "starttls"), (2525, "starttls"),
    ]  # fmt: skip
    expected = {"certificate": "/c.pem", "login": "shop@shop.example", "sender": "shop@shop.example"}
    assert all(expected.items() <= probe.items() for probe in probes)


def test_who_may_send_for_a_domain_only_is_tested_with_an_address_of_it() -> None:
    credential = {**VARIABLES["postseal_credentials"][0], "senders": ["@shop.example"]}
    assert default_smoke("postfix", _known(postseal_credentials=[credential]), [])[0]["sender"] == (
        "postmaster@shop.example"
    )
