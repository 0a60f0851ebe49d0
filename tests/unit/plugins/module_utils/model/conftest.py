# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The smallest inventory that works, for tests to vary."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.load import HostVariables, Inventory, load
from ansible_collections.postseal.mail.plugins.module_utils.model.problems import InventoryError, Problem

HASH = "{SHA512-CRYPT}$6$saltsalt$" + "a" * 86
TSIG = "cG9zdHNlYWwtdW5pdC10ZXN0cw=="

SMALLEST: dict[str, Any] = {
    "postseal_dns": {
        "providers": {"own": {"type": "rfc2136", "server": "192.0.2.53", "tsig": {"name": "postseal", "secret": TSIG}}}
    },
    "postseal_domains": [{"name": "example.com"}],
    "postseal_credentials": [{"name": "shop", "domain": "example.com", "secret_hash": HASH}],
}
TODAY = date(2026, 11, 22)
HOSTS = {"mail-a.example.com": HostVariables(ansible_host="203.0.113.10")}


@pytest.fixture
def variables() -> dict[str, Any]:
    """A copy of the smallest variables that a test may change."""
    return copy.deepcopy(SMALLEST)


@pytest.fixture
def problems() -> Callable[..., tuple[Problem, ...]]:
    """Return the problems of an inventory; fails if it has none."""

    def find(
        variables: dict[str, Any], hosts: dict[str, HostVariables] | None = None, folder: str = "production"
    ) -> Any:
        with pytest.raises(InventoryError) as caught:
            load(Inventory(folder, variables, HOSTS if hosts is None else hosts), TODAY)
        return caught.value.problems

    return find
