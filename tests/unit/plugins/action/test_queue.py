# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is asked of the queue's action: nothing is deleted by mistake, and what is told is what was done."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.postseal.mail.plugins.action import queue

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("named", "confirmed", "told"),
    [
        ([], "", "name each by its queue ID"),
        (["4A1F2C"], "", "-e confirm=4A1F2C"),
        (["4A1F2C"], "true", "-e confirm=4A1F2C"),
        (["4A1F2C", "5B1F2C"], "4A1F2C", "-e confirm=4A1F2C,5B1F2C"),
    ],
)
def test_what_cannot_be_taken_back_is_named_twice(named: list[str], confirmed: str, told: str) -> None:
    with pytest.raises(AnsibleActionFail, match=told):
        queue._confirm("delete", named, confirmed, check=False)


def test_a_look_needs_no_confirmation() -> None:
    queue._confirm("delete", ["4A1F2C"], "", check=True)
    queue._confirm("delete", ["4A1F2C", "5B1F2C"], "4A1F2C,5B1F2C", check=False)


def answer(fitting: int, moved: int, **names: str) -> dict[str, Any]:
    message = {
        "id": "4A1F2C",
        "queue": "deferred",
        "arrived": NOW - 60,
        "size": 500,
        "sender": "",
        "expired": False,
        "next": None,
        "recipients": [],
    }
    counts = {"now": NOW, "queues": {"deferred": fitting}, "fitting": fitting, "unreadable": 0, "destinations": []}
    return {**counts, "messages": [message] if fitting else [], "moved": moved, "names": names}


def test_what_was_done_is_told() -> None:
    message = "4A1F2C deferred, 60 s old, 500 bytes, from <>"
    assert queue._told(answer(0, 0), "deleted", check=False) == ["no message is meant"]
    assert queue._told(answer(1, 0), "deleted", check=True) == ["1 message would be deleted:", message]
    assert queue._told(answer(1, 1), "deleted", check=False) == ["1 message deleted:", message]
    told = queue._told(answer(3, 2), "queued anew", check=False)
    assert told[0] == "2 of 3 messages queued anew; 1 left the queue meanwhile:"
    assert told[-1] == "and 2 younger: playbooks/queue.yml -e limit=3"


def test_a_new_name_stands_beside_the_old_one() -> None:
    told = queue._told(answer(1, 1, **{"4A1F2C": "9F0000"}), "queued anew", check=False)
    assert told[1].startswith("4A1F2C (now 9F0000) deferred")
