# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A message as it arrived: octets decide on line ends, and who delivered it tells whose name it was that was said."""

from __future__ import annotations

from datetime import date

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.load import HostVariables, Inventory, load
from ansible_collections.postseal.mail.tests.verify.proof.mailbox import delivered_by_relay, stray_line_ends
from ansible_collections.postseal.mail.tests.verify.proof.outcome import NotTestedError

from .whole import NAME, VARIABLES


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        (b"Subject: x\r\n\r\nbody\r\n", ""),
        (b"Subject: x\r\n\r\nbo\rdy\r\n", "1 carriage returns alone"),
        (b"Subject: x\r\n\r\nbo\n.\ndy\r\n", "2 line feeds alone"),
        (b"Subject: x\r\n\r\n\r\r\n\n", "1 line feeds alone and 1 carriage returns alone"),
    ],
)
def test_octets_that_stand_alone_are_counted(raw: bytes, wrong: str) -> None:
    assert stray_line_ends(raw) == wrong


@pytest.mark.parametrize("raw", [b"", b"Subject: x\n\nbody\n"])
def test_a_mailbox_with_line_ends_of_its_own_tells_nothing(raw: bytes) -> None:
    with pytest.raises(NotTestedError):
        stray_line_ends(raw)


@pytest.mark.parametrize(
    ("via", "helo", "peer", "by_relay"),
    [
        (["direct"], NAME, "192.0.2.1", False),
        (["direct"], "smtp.backup.example", "192.0.2.9", False),
        (["direct", "backup"], "elsewhere.example", "192.0.2.1", False),
        (["direct", "backup"], NAME, "192.0.2.9", False),
        (["direct", "backup"], "smtp.backup.example", "192.0.2.9", True),
        (["backup"], "smtp.backup.example", "192.0.2.9", True),
    ],
)
def test_a_relay_says_its_own_name(via: list[str], helo: str, peer: str, *, by_relay: bool) -> None:
    ways = {
        "postseal_relays": [{"name": "backup", "host": "smtp.backup.example"}],
        "postseal_routes": [{"default": True, "via": via}],
    }
    inventory = Inventory("staging", {**VARIABLES, **ways}, {NAME: HostVariables(ansible_host="192.0.2.1")})
    model = load(inventory, date(2026, 11, 28))
    assert delivered_by_relay(model, model.host(NAME), helo, peer) is by_relay
