# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What postqueue -j prints is read whatever stands in it, counted once, and only what is meant is meant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host.queue_list import (
    DESTINATIONS,
    QUEUE_ID,
    Listing,
    Wanted,
    read,
)
from hypothesis import given
from hypothesis import strategies as st

REASON = "host mx.b.example[192.0.2.9] said: 450 4.2.0 Greylisted (in reply to RCPT TO command)"


def line(name: str = "4A1F2C", queue: str = "deferred", to: tuple[str, ...] = ("a@b.example",), **more: Any) -> str:
    recipients = [{"address": address, "delay_reason": REASON} for address in to]
    said = {"queue_name": queue, "queue_id": name, "arrival_time": 1000, "message_size": 300, "forced_expire": False}
    return json.dumps({**said, "sender": "shop@example.com", "recipients": recipients, **more}) + "\n"


def listed(*lines: str, limit: int = 10, **wanted: Any) -> Listing:
    return Listing(Wanted(**wanted), limit).take(lines)


def test_a_message_is_read() -> None:
    entry = read(line(to=("a@b.example", "c@B.Example", "d@e.example")))
    assert entry
    assert (entry.id, entry.queue, entry.arrived, entry.size) == ("4A1F2C", "deferred", 1000, 300)
    assert (entry.sender, entry.expired) == ("shop@example.com", False)
    assert entry.recipients[0] == ("a@b.example", REASON)
    assert entry.domains == ("b.example", "e.example")


def test_what_is_new_in_postfix_or_missing_does_no_harm() -> None:
    entry = read(line(later="unknown", recipients=[{"address": "a@b.example"}], forced_expire=True))
    assert entry
    assert (entry.recipients, entry.expired) == ((("a@b.example", ""),), True)


@pytest.mark.parametrize("name", ["ALL", "-", "../../etc", "4A 1", "", "x" * 31, "4A1F2C\n"])
def test_what_postsuper_takes_for_something_else_is_no_queue_id(name: str) -> None:
    assert not QUEUE_ID.fullmatch(name)
    assert read(line(name)) is None


@pytest.mark.parametrize("name", ["4A1F2C", "3Pt2mN2VXxznjll", "0123456789ABCDEF"])
def test_short_and_long_queue_ids(name: str) -> None:
    assert read(line(name))


MEMBERS = st.sampled_from(["queue_id", "recipients", "arrival_time", "sender"])
JSON = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(MEMBERS, inner)
)


@given(st.text() | JSON.map(json.dumps))
def test_no_text_breaks_the_reader(text: str) -> None:
    listing = listed(text, line())
    assert sum(listing.queues.values()) == 1
    assert listing.unreadable == bool(text.strip())


@given(
    st.lists(
        st.tuples(st.sampled_from(["4A1F2C", "5B1F2C", "6C1F2C"]), st.sampled_from(["active", "deferred", "hold"]))
    ),
    st.integers(0, 3),
)
def test_each_message_counts_once_and_the_oldest_are_kept(moves: list[tuple[str, str]], limit: int) -> None:
    listing = listed(*(line(name, queue, arrival_time=int(name, 16)) for name, queue in moves), limit=limit)
    names = {name for name, _ in moves}
    assert sum(listing.queues.values()) == listing.fitting == len(names)
    assert [entry.id for entry in listing.oldest] == sorted(names)[:limit]
    assert sorted(listing.ids) == sorted(names)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["4A1F2C", "5B1F2C", "6C1F2C"]),
        ({"ids": ("5B1F2C", "7D1F2C")}, ["5B1F2C"]),
        ({"sender": "SHOP@example.com"}, ["4A1F2C", "5B1F2C"]),
        ({"sender": "@example.com"}, ["4A1F2C", "5B1F2C"]),
        ({"sender": "@ample.com"}, []),
        ({"sender": "<>"}, ["6C1F2C"]),
        ({"recipient": "@b.example"}, ["4A1F2C", "6C1F2C"]),
        ({"recipient": "d@e.example"}, ["5B1F2C"]),
        ({"queues": ("hold",)}, ["6C1F2C"]),
        ({"queues": ("hold",), "sender": "@example.com"}, []),
    ],
)
def test_all_that_is_said_must_hold(wanted: dict[str, Any], names: list[str]) -> None:
    lines = [line(), line("5B1F2C", to=("d@e.example",)), line("6C1F2C", "hold", sender="MAILER-DAEMON")]
    assert sorted(listed(*lines, **wanted).ids) == names


def test_destinations_are_told_with_their_commonest_reason() -> None:
    rare = json.dumps([{"address": "x@b.example", "delay_reason": "connect to mx: Connection refused"}])
    lines = [line("4A1F2C"), line("5B1F2C", to=("c@b.example", "d@e.example"), arrival_time=900)]
    found = listed(*lines, line("6C1F2C", recipients=json.loads(rare))).destinations
    assert found == [
        {"domain": "b.example", "messages": 3, "oldest": 900, "reason": REASON},
        {"domain": "e.example", "messages": 1, "oldest": 900, "reason": REASON},
    ]


def test_only_so_many_destinations_are_told() -> None:
    lines = (line(f"{number:06X}", to=(f"a@{number}.example",)) for number in range(2 * DESTINATIONS))
    assert len(listed(*lines).destinations) == DESTINATIONS
