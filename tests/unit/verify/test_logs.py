# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Judgements about a host's log."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import logwatch
from ansible_collections.postseal.mail.tests.verify.proof.logs import addresses_in_clear, kept_otherwise, read_by_others

DAY = 86400
GOOD: dict[str, Any] = {
    "vacuum": 29 * DAY,
    "expires": True,
    "oldest": 29.5 * DAY,
    "group": "adm",
    "loose": [],
    "services": {"postfix.service": {"writes": True, "clear": 4, "copies": []}},
}


def test_a_good_log_is_not_mentioned() -> None:
    assert kept_otherwise(GOOD, 30 * DAY) + read_by_others(GOOD, "adm") + addresses_in_clear(GOOD, "keep") == []
    assert kept_otherwise({**GOOD, "oldest": None}, 30 * DAY) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vacuum": 58 * DAY}, "kept for 60 days, not 30 days"),
        ({"vacuum": None}, "kept for 0 days"),
        ({"expires": False}, "nothing removes old lines"),
        ({"oldest": 31.0 * DAY}, "the oldest line is 31 days old"),
        ({"services": {"x": {"writes": False, "clear": 0, "copies": []}}}, "x does not write to the journal"),
        ({"services": {"x": {"writes": True, "clear": 0, "copies": ["/y"]}}}, "lines of x are also in /y"),
    ],
)
def test_what_is_kept_otherwise_is_named(change: dict[str, Any], said: str) -> None:
    (line,) = kept_otherwise({**GOOD, **change}, 30 * DAY)
    assert said in line


def test_other_readers_are_named() -> None:
    assert read_by_others({**GOOD, "group": "users", "loose": ["/x"]}, "adm") == ["group users may read, not adm", "/x"]


@pytest.mark.parametrize("declared", ["hash", "drop"])
def test_addresses_in_clear_are_counted(declared: str) -> None:
    assert addresses_in_clear(GOOD, declared) == ["4 lines of postfix.service hold addresses in clear"]


@pytest.mark.parametrize(
    ("line", "clear"),
    [
        ("to=<jo@x.test>, relay", True),
        ("rcpts: <a@hashed.invalid,jo@x.test>", True),
        ("to=<0123456789abcdef@hashed.invalid> from=<address@dropped.invalid> orig_to=<root>", False),
        ("auth(shop@shop.test,192.0.2.1): x", False),
    ],
)
def test_a_line_in_clear_is_told_from_one_that_is_not(line: str, clear: bool) -> None:
    assert logwatch.clear(line) is clear
