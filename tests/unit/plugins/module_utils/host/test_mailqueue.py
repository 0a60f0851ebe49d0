# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A requeued message is recognised by the header that its host wrote, and no other is."""

from __future__ import annotations

import re

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import mailqueue
from ansible_collections.postseal.mail.plugins.module_utils.host.errors import HostError

HOST = "mail-a.example.com"


def sent_by(header: str, ids: list[str]) -> list[str]:
    """Return where a regexp_table(5) sends a message with ``header``; its ``i`` switches to looking at case."""
    found = []
    for line in mailqueue.ways(ids, "via_backup:[smtp.backup.example]:465", HOST).splitlines():
        pattern, flag, action = re.fullmatch(r"/(.*)/(i) (.*)", line).groups()  # type: ignore[union-attr]
        assert flag == "i"
        if re.search(pattern.replace("[:space:]", r"\s"), header, re.DOTALL):
            found.append(action)
    return found


@pytest.mark.parametrize(
    ("header", "fits"),
    [
        (f"Received: by {HOST} (Postfix) (using TLSv1.3 with cipher X) with ESMTPSA id 4A1F2C\n\tfor <a@b>; Sat", True),
        (f"Received: by {HOST} (Postfix, from userid 0)\n\tid 4A1F2C; Sat, 28 Nov", True),
        (f"Received: from {HOST} (localhost [127.0.0.1])\n\tby {HOST} (Postfix) with ESMTPS id 4A1F2C; Sat", True),
        (f"Received: by {HOST} (Postfix) with ESMTPSA id 4a1f2c; Sat", False),
        (f"Received: by {HOST} (Postfix) with ESMTPSA id 4A1F2C0; Sat", False),
        ("Received: by mail-b.example.com (Postfix) with ESMTPSA id 4A1F2C; Sat", False),
        ("Received: by mail-axexample.com (Postfix) with ESMTPSA id 4A1F2C; Sat", False),
        (f"Subject: by {HOST} (Postfix) with ESMTPSA id 4A1F2C; Sat", False),
    ],
)
def test_a_message_is_recognised(header: str, fits: bool) -> None:
    assert sent_by(header, ["3B0000", "4A1F2C"]) == (["FILTER via_backup:[smtp.backup.example]:465"] if fits else [])


def test_many_messages_stand_in_lines_of_a_sensible_length() -> None:
    ids = [f"{number:06X}" for number in range(1000)]
    table = mailqueue.ways(ids, "smtp:", HOST)
    assert max(len(line) for line in table.splitlines()) < 500
    assert all(name in table for name in ids)


@pytest.mark.parametrize("move", ["bounce", "delete"])
def test_what_cannot_be_taken_back_names_each_message(move: str) -> None:
    with pytest.raises(HostError, match="name each by its queue ID"):
        mailqueue.move({"move": move, "wanted": {"recipient": "@b.example"}})


@pytest.mark.parametrize("name", ["ALL", "-", "-d", "4A1F2C hold"])
def test_what_is_no_queue_id_reaches_no_program(name: str) -> None:
    with pytest.raises(HostError, match="no queue ID"):
        mailqueue.move({"move": "delete", "wanted": {"ids": [name]}})
