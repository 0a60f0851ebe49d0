# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A queue as people read it: how much, where to, why, and when it is tried again."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.plugin_utils.queue_text import document, ids, lines, span

NOW = 1_800_000_000.0
BUSY = "host mx.b.example[192.0.2.9] said: 450 busy (in reply to RCPT TO command)"
WHY = "not now: the mailbox is busy, or the sender is asked to come back (greylisting); try again in some minutes"


def message(**more: Any) -> dict[str, Any]:
    return {
        "id": "4A1F2C",
        "queue": "deferred",
        "arrived": NOW - 7300,
        "size": 1700,
        "sender": "shop@example.com",
        "expired": False,
        "next": NOW + 600,
        "recipients": [{"address": "a@b.example", "reason": BUSY}],
        **more,
    }


def answer(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    place = {"domain": "b.example", "messages": len(messages), "oldest": NOW - 7300, "reason": BUSY}
    queues = {"deferred": len(messages)} if messages else {}
    said = {"now": NOW, "queues": queues, "fitting": len(messages), "unreadable": 0, "destinations": [place]}
    return document({**said, "messages": list(messages), "closed": None, **more})


def test_one_message() -> None:
    assert lines(answer(message())) == [
        "1 message: 1 deferred",
        "4A1F2C deferred, 2 h old, 2 kB, from shop@example.com; next try in 10 min to 15 min",
        f"  to a@b.example: {BUSY} ({WHY})",
    ]


def test_several_messages_have_a_line_for_each_destination() -> None:
    told = lines(answer(message(), message(id="5B1F2C", sender=""), queues={"hold": 1, "deferred": 1, "active": 3}))
    assert told[0] == "5 messages: 3 active, 1 deferred, 1 hold; 2 of them fit"
    assert told[1] == f"to b.example: 2 messages, oldest 2 h: {WHY}"
    assert any("from <>" in line for line in told)


@pytest.mark.parametrize(
    ("how", "end"),
    [
        ({"next": NOW - 5}, "next try within 5 min"),
        ({"queue": "hold", "next": None}, "held until it is released"),
        ({"expired": True}, "goes back to its sender at the next attempt"),
        ({"queue": "active", "next": None, "size": 999}, "2 h old, 999 bytes, from shop@example.com"),
    ],
)
def test_when_it_is_tried_again(how: dict[str, Any], end: str) -> None:
    assert lines(answer(message(**how)))[1].endswith(end)


def test_what_is_not_listed_is_told() -> None:
    told = lines(answer(message(), fitting=8, unreadable=2, closed=NOW - 240))
    assert "this host takes no submissions since 4 min: see playbooks/drain.yml" in told
    assert told[-2:] == ["and 7 younger: playbooks/queue.yml -e limit=8", "2 lines of postqueue -j could not be read"]
    assert lines(answer()) == ["the queue is empty"]


def test_the_document_explains_and_names_destinations() -> None:
    said = answer(message(recipients=[{"address": to, "reason": BUSY} for to in ("a@b.example", "c@B.example")]))
    assert said["messages"][0]["destinations"] == ["b.example"]
    assert [one["explanation"] for one in said["messages"][0]["recipients"]] == [WHY, WHY]
    assert said["destinations"][0]["explanation"] == WHY


@pytest.mark.parametrize(
    ("said", "read"),
    [(None, []), ("all", []), ("ALL", []), ("4A,5B", ["4A", "5B"]), ("4A, 5B 6C", ["4A", "5B", "6C"]), (["4A"], ["4A"]),
     (123456, ["123456"])],
)  # fmt: skip
def test_queue_ids_as_people_write_them(said: Any, read: list[str]) -> None:
    assert ids(said) == read


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0 s"), (119, "119 s"), (120, "2 min"), (7300, "2 h"), (172800, "2 d")]
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text
