# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Judgements about a host's firewall, clock and room; a clock cannot be set wrong in the lab, it is this machine's."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import condition as collected
from ansible_collections.postseal.mail.tests.verify.proof.condition import (
    clock_off,
    no_room,
    open_firewall,
    password_logins,
    restarts_outstanding,
)

GOOD: dict[str, Any] = {
    "space": {"/": {"bytes": 0.5, "inodes": 0.9}},
    "queue": {"deferred": 3, "active": 1, "hold": 0, "corrupt": 0},
    "reboot": False,
    "outdated": {},
}


@pytest.mark.parametrize(
    ("chains", "wrong"),
    [
        (None, True),
        ([], True),
        ([{"table": "inet t input", "policy": "accept", "last": ""}], True),
        ([{"table": "inet t input", "policy": "accept", "last": "accept"}], True),
        ([{"table": "inet t input", "policy": "drop", "last": "accept"}], False),
        ([{"table": "inet t input", "policy": "accept", "last": "drop"}], False),
        (
            [
                {"table": "inet other input", "policy": "accept", "last": ""},
                {"table": "inet t input", "policy": "accept", "last": "reject"},
            ],
            False,
        ),
    ],
)
def test_a_firewall_must_end_in_a_refusal(chains: list[dict[str, str]] | None, wrong: bool) -> None:
    assert bool(open_firewall(chains)) is wrong


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        ([{"counter": {"packets": 1}}, {"drop": None}], "drop"),
        ([{"reject": {"type": "icmp"}}], "reject"),
        ([{"match": {}}, {"drop": None}], ""),
        ([{"jump": {"target": "x"}}], ""),
    ],
)
def test_only_a_rule_for_every_packet_ends_a_chain(rule: list[dict[str, Any]], verdict: str) -> None:
    assert collected._verdict(rule) == verdict


@pytest.mark.parametrize(("clock", "off"), [(105.0, 0.0), (100.0, 0.0), (90.0, 10.0), (3710.0, 3600.0)])
def test_a_clock_is_compared_with_the_moments_between_which_it_was_read(clock: float, off: float) -> None:
    assert clock_off(clock, (100.0, 110.0)) == off


def test_a_host_in_order_has_nothing_to_say() -> None:
    assert no_room(GOOD) == []
    assert restarts_outstanding(GOOD) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"space": {"/var/log": {"bytes": 0.02, "inodes": 0.9}}}, "/var/log has 2% of its bytes"),
        ({"space": {"/": {"bytes": 0.5, "inodes": 0.0}}}, "0% of its inodes"),
        ({"queue": {"deferred": 3, "active": 1, "hold": 0, "corrupt": 1}}, "damaged"),
        ({"queue": {"deferred": 3000, "active": 1, "hold": 0, "corrupt": 0}}, "3000 messages wait"),
    ],
)
def test_what_is_nearly_full_is_named(change: dict[str, Any], word: str) -> None:
    (line,) = no_room({**GOOD, **change})
    assert word in line


def test_what_was_replaced_is_named() -> None:
    found = restarts_outstanding({**GOOD, "reboot": True, "outdated": {"rspamd": ["/usr/lib/libssl.so.3"]}})
    assert found == ["the host asks to be restarted", "rspamd runs a replaced /usr/lib/libssl.so.3"]


@pytest.mark.parametrize(
    ("password", "keyboard", "methods", "seen"),
    [
        ("no", "no", "any", 0),
        ("yes", "no", "any", 1),
        ("no", "yes", "any", 1),
        ("yes", "yes", "", 2),
        ("yes", "yes", "publickey,password publickey,keyboard-interactive:pam", 0),
        ("yes", "no", "publickey password", 1),
        ("", "no", "any", 1),
    ],
)
def test_every_way_to_log_in_with_a_password_alone_is_seen(
    password: str, keyboard: str, methods: str, seen: int
) -> None:
    said = {"passwordauthentication": password, "kbdinteractiveauthentication": keyboard}
    assert len(password_logins({**said, "authenticationmethods": methods})) == seen
