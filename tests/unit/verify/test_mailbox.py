# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Line ends of a message as it arrived: octets decide, and a mailbox that keeps none leaves the question open."""

from __future__ import annotations

import pytest
from ansible_collections.postseal.mail.tests.verify.proof.mailbox import stray_line_ends
from ansible_collections.postseal.mail.tests.verify.proof.outcome import NotTestedError


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
