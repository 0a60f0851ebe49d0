# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A thousand credentials cost a hundred times what ten do, counted in steps of the interpreter, not in seconds."""

from __future__ import annotations

import sys
from typing import Any

from ansible_collections.postseal.mail.plugins.module_utils.model.load import Inventory, load
from ansible_collections.postseal.mail.plugins.module_utils.model.logins import logins_by_sender
from ansible_collections.postseal.mail.plugins.module_utils.model.passwords import ssha512
from ansible_collections.postseal.mail.plugins.module_utils.model.problems import Collector, Section
from ansible_collections.postseal.mail.plugins.module_utils.model.secret import Secret

from .conftest import HOSTS, SMALLEST, TODAY


def _inventory(count: int) -> Inventory:
    listed: list[dict[str, Any]] = [
        {
            "name": f"app{number}",
            "domain": "example.com",
            "secret_hash": ssha512(Secret(str(number)), number.to_bytes(16)).reveal(),
            "senders": [f"app{number}@example.com", f"other{number}@example.com"],
            "networks": ["192.0.2.0/24"],
            "rate": {"messages": "500/h"},
            "expires": "2027-06-30",
        }
        for number in range(count)
    ]
    return Inventory("production", {**SMALLEST, "postseal_credentials": listed}, HOSTS)


def _calls(count: int) -> int:
    inventory, calls = _inventory(count), 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        model = load(inventory, TODAY)
        assert len(logins_by_sender(model.credentials)) == 2 * count
        assert len(model.never_banned) == 2
        for credential in model.credentials:
            model.credential(credential.login)
    finally:
        sys.setprofile(None)
    return calls


def test_the_cost_of_one_more_credential_does_not_grow() -> None:
    few, some, many = _calls(10), _calls(110), _calls(1010)
    assert (many - some) / 900 < 1.1 * (some - few) / 100


class Text(str):
    """Text that counts how often it is compared, which no call of the interpreter shows."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Text.compared += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        return str.__hash__(self)


def test_a_long_list_is_not_compared_with_itself() -> None:
    listed = [f"s{number}@example.com" for number in range(1000)]
    assert len(Section({"senders": listed}, "x", Collector(), ("senders",)).each("senders", Text)) == 1000
    assert Text.compared < 1000
