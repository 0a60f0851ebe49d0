# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""How much a server takes is found out without sending anything, and what it says decides."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.types import (
    Credential,
    Limits,
    Probe,
    Quota,
    Rate,
    Secret,
    Submission,
)
from ansible_collections.postseal.mail.tests.verify.proof import limits
from ansible_collections.postseal.mail.tests.verify.proof.limits import Taken, beyond, recipients_of_a_period, taken
from ansible_collections.postseal.mail.tests.verify.proof.outcome import CheckFailedError, NotTestedError
from ansible_collections.postseal.mail.tests.verify.proof.smtp import Reply, UnavailableError
from ansible_collections.postseal.mail.tests.verify.proof.tls import trusting
from ansible_collections.postseal.mail.tests.verify.test_submission import (
    test_number_of_recipients as judge_recipients,
)
from ansible_collections.postseal.mail.tests.verify.test_submission import (
    test_recipients_of_a_period as judge_period,
)
from ansible_collections.postseal.mail.tests.verify.test_submission import test_size_is_enforced as judge_size

from .talker import talker

SHOP = Credential("shop", "shop.test", None, ("shop@shop.test",))
PROBE = Probe("shop", Secret("a-password"), "probe@receiver.test", "/nowhere")
SAID = Submission(limits=Limits(message_size=1000, recipients=120))
YES, NO, FULL, LATER = (Reply(code, ("x",)) for code in (250, 552, 452, 451))


def _server(most: int, size: int = 1000, auth: bytes = b"235 ok") -> Callable[[ssl.SSLSocket, bytes], None]:
    def says(peer: ssl.SSLSocket, _: bytes) -> None:
        peer.sendall(b"220 x\r\n")
        named = 0
        for line in peer.makefile("rb"):
            word = line[:4]
            if word == b"AUTH":
                answer = auth
            elif word == b"MAIL":
                named = 0
                answer = b"552 too large" if b"SIZE=" in line and int(line.rpartition(b"=")[2]) > size else b"250 ok"
            elif word == b"RCPT":
                named += 1
                answer = b"250 ok" if named <= most else b"452 too many recipients"
            else:
                assert word != b"DATA", "nothing may be sent"
                answer = b"250 ok"
            peer.sendall(answer + b"\r\n")

    return says


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "verifying", lambda _: trusting())


@pytest.mark.parametrize(
    ("most", "size", "found"),
    [
        (120, 1000, (False, 120, 452)),
        (49, 1000, (False, 49, 452)),
        (50, 1000, (False, 50, 452)),
        (1000, 2000, (True, 121, 250)),
    ],
)
def test_what_is_taken_is_counted(certificate: Path, most: int, size: int, found: tuple[bool, int, int]) -> None:
    with talker(certificate, implicit=True, says=_server(most, size)) as endpoint:
        seen = taken(endpoint, SHOP, PROBE, SAID, None)
    assert (seen.too_large.accepted, seen.recipients, seen.one_more.code) == found


def test_a_credential_that_is_refused_leaves_the_question_open(certificate: Path) -> None:
    with (
        talker(certificate, implicit=True, says=_server(120, auth=b"535 no")) as endpoint,
        pytest.raises(UnavailableError, match="535"),
    ):
        taken(endpoint, SHOP, PROBE, SAID, None)


def test_one_message_goes_to_the_probes_own_mailbox_as_often_as_is_too_much(certificate: Path) -> None:
    recipients: list[bytes] = []

    def says(peer: ssl.SSLSocket, _: bytes) -> None:
        peer.sendall(b"220 x\r\n")
        lines = peer.makefile("rb")
        for line in lines:
            recipients.extend([line] if line[:4] == b"RCPT" else [])
            if line[:4] == b"DATA":
                peer.sendall(b"354 go\r\n")
                while lines.readline() != b".\r\n":
                    pass
                peer.sendall(b"451 limit reached\r\n")
            else:
                peer.sendall(b"235 ok\r\n" if line[:4] == b"AUTH" else b"250 ok\r\n")

    with talker(certificate, implicit=True, says=says) as endpoint:
        reply = beyond(endpoint, SHOP, PROBE, 6, None)
    assert (reply.code, recipients) == (451, [b"RCPT TO:<probe@receiver.test>\r\n"] * 6)


def test_only_a_limit_below_that_of_a_message_can_be_tried() -> None:
    def of(*counts: int) -> Credential:
        quotas = tuple(Quota(60, count) for count in counts)
        return Credential("shop", "shop.test", None, ("shop@shop.test",), rate=Rate(recipients=quotas))

    assert recipients_of_a_period(of(), 100) is None
    assert recipients_of_a_period(of(500), 100) is None
    assert recipients_of_a_period(of(500, 5), 100) == 5


def _observer(**kinds: object) -> Any:
    endpoints = {kind: {"e": SimpleNamespace(result=lambda value=value: value)} for kind, value in kinds.items()}
    return SimpleNamespace(model=SimpleNamespace(submission=SAID), **endpoints)


def _ends(check: Callable[..., None], seen: Any, *more: Any) -> str:
    endpoint: Any = "e"
    try:
        check(endpoint, seen, *more)
    except CheckFailedError:
        return "failed"
    except NotTestedError:
        return "not tested"
    return "passed"


@pytest.mark.parametrize(
    ("number", "last", "end"),
    [
        (120, FULL, "passed"),
        (120, LATER, "passed"),
        (121, YES, "failed"),
        (60, FULL, "failed"),
        (60, NO, "failed"),
        (60, LATER, "not tested"),
    ],
)
def test_more_or_fewer_recipients_than_said_are_found(number: int, last: Reply, end: str) -> None:
    assert _ends(judge_recipients, _observer(taken=Taken(NO, number, last)), []) == end


@pytest.mark.parametrize(("reply", "end"), [(NO, "passed"), (YES, "failed"), (LATER, "not tested")])
def test_a_size_that_is_not_refused_is_found(reply: Reply, end: str) -> None:
    assert _ends(judge_size, _observer(taken=Taken(reply, 120, FULL))) == end


@pytest.mark.parametrize(
    ("reply", "end"),
    [
        (Reply(451, ("4.7.1 Recipient limit of shop@shop.test reached: 5 a day",)), "passed"),
        (YES, "failed"),
        (Reply(451, ("4.7.1 Sending limits cannot be checked now, try again later",)), "not tested"),
        (NO, "not tested"),
    ],
)
def test_only_a_limit_that_is_reached_is_one(reply: Reply, end: str) -> None:
    assert _ends(judge_period, _observer(beyond=reply)) == end
