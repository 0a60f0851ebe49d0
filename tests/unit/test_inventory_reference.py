# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""docs/inventory.md is the only list of what users may write: its examples must load, and no key may be missing."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.postseal.mail.plugins.module_utils.model import (
    applications,
    dns,
    guards,
    outbound_read,
    senders,
    services,
    ways,
)
from ansible_collections.postseal.mail.plugins.module_utils.model.load import (
    HOST_VARIABLES,
    VARIABLES,
    HostVariables,
    Inventory,
    load,
)

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "inventory.md"
TODAY = date(2026, 11, 22)
HASHES = ["{SSHA512}" + letter * 107 + "=" for letter in "AB"]
PASSWORD = "9tFq-3mZr_Kd0xWbLs7uHv2nYc"


def _examples() -> dict[str, Any]:
    variables: dict[str, Any] = {}
    for block in re.findall(r"```yaml\n(.*?)```", REFERENCE.read_text("utf-8"), re.DOTALL):
        text = block.replace('"{{ vault_tsig }}"', "c2VjcmV0").replace('"{{ vault_limits_password }}"', PASSWORD)
        for written in HASHES:
            text = text.replace('"{SSHA512}..."', f'"{written}"', 1)
        if "hosts:" not in text:
            variables.update(yaml.safe_load(text))
    return variables


def test_the_reference_is_a_valid_inventory() -> None:
    model = load(Inventory("production", _examples(), {"mail-a.example.com": HostVariables("203.0.113.10")}), TODAY)
    assert model.probe is not None
    assert model.submission.ports.alternative == 2525


def test_every_key_is_in_the_reference() -> None:
    text = REFERENCE.read_text("utf-8")
    keys = {*VARIABLES, *HOST_VARIABLES, *dns.KEYS, *services.TLS_KEYS, *services.CAA_KEYS}
    keys |= {*senders._DOMAIN_KEYS, *applications.CREDENTIAL_KEYS, *applications.PROBE_KEYS}
    keys |= {*applications.RATE_KEYS, *guards.LIMITS_KEYS, *guards.STORE_KEYS, *guards.FIREWALL_KEYS, *guards.LOG_KEYS}
    keys |= {*guards.CONTAINMENT_KEYS, *guards.SPIKE_KEYS, *guards.BOUNCES_KEYS, *services.SUBMISSION_KEYS}
    keys |= {*senders._SPF_KEYS, *senders._DKIM_KEYS, *senders._DMARC_KEYS, *senders._STS_KEYS}
    keys |= {*ways.RELAY_KEYS, *ways.ROUTE_KEYS}
    keys |= {*outbound_read.OUTBOUND_KEYS, *outbound_read.DESTINATION_KEYS, *outbound_read.RESOLVER_KEYS}
    missing = [key for key in sorted(keys - {"secret"}) if f"{key}:" not in text]
    assert missing == []


@pytest.mark.parametrize("kind", dns.PROVIDER_TYPES)
def test_every_key_of_every_provider_is_in_the_reference(kind: str) -> None:
    row = next(line for line in REFERENCE.read_text("utf-8").splitlines() if line.startswith(f"| `{kind}` |"))
    assert tuple(re.findall(r"`(\w+)`", row.split("|")[2])) == dns.READERS[kind][0]
