# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Failures as people read them: what came back and why, and what still waits."""

from __future__ import annotations

from typing import Any

from ansible_collections.postseal.mail.plugins.plugin_utils import failures_text

NOW = 1_800_000_000.0
MESSAGE: dict[str, Any] = {
    "id": "4A1F2C",
    "queue": "deferred",
    "arrived": NOW - 7300,
    "size": 1700,
    "sender": "shop@example.com",
    "expired": False,
    "next": NOW + 600,
    "recipients": [],
}
QUEUE: dict[str, Any] = {"now": NOW, "fitting": 1, "destinations": [], "messages": [MESSAGE]}


def test_failures_are_told_with_what_they_mean() -> None:
    one = {
        "id": "6C1F2C",
        "when": NOW,
        "sender": "",
        "recipient": "x@b.example",
        "server": "none",
        "code": "5.4.4",
        "status": "expired",
        "reason": "unheard\x9b of",
        "login": "shop@b.eu",
    }
    said = {"returned": [one], "total": 3, "queue": QUEUE}
    told = failures_text.lines(failures_text.document(said), "7d")
    assert told[:4] == [
        "returned to their senders in the last 7d: 3",
        "2027-01-15 08:00:00 6C1F2C from <> (login shop@b.eu) to x@b.example: given up, its time in the queue was over",
        "  5.4.4 unheard? of (there is no way to the receiving server)",
        "and 2 older",
    ]
    assert told[4] == "waiting for another try: 1"
    assert told[5].startswith("4A1F2C deferred")
