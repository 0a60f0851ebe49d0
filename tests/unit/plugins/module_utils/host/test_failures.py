# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What came back is read from Postfix's log, and nothing that others wrote into it is taken for a failure."""

from __future__ import annotations

from ansible_collections.postseal.mail.plugins.module_utils.host.failures import Returned, returned
from hypothesis import given
from hypothesis import strategies as st

REFUSED = "host mx.b.example[192.0.2.9] said: 550 5.1.1 no such mailbox (in reply to RCPT TO command)"
TIMES = "delay=0.2, delays=0/0/0.1/0.1"


def line(text: str, when: float = 1000.5, program: str = "postfix/smtp") -> str:
    return f"{when} mail-a {program}[77]: {text}"


def attempt(name: str, status: str, reason: str = REFUSED, to: str = "a@b.example", code: str = "5.1.1") -> str:
    return line(f"{name}: to=<{to}>, relay=mx.b.example[192.0.2.9]:25, {TIMES}, dsn={code}, status={status} ({reason})")


FROM = line("4A1F2C: from=<shop@example.com>, size=300, nrcpt=1 (queue active)", program="postfix/qmgr")


def test_a_refusal_is_told_with_its_sender() -> None:
    assert returned([FROM, attempt("4A1F2C", "bounced")]) == [
        Returned(
            "4A1F2C",
            1000.5,
            "shop@example.com",
            "a@b.example",
            "mx.b.example[192.0.2.9]:25",
            "5.1.1",
            "bounced",
            REFUSED,
            "",
        )
    ]


def test_whoever_submitted_is_told_whatever_the_sender_became() -> None:
    client = "4A1F2C: client=unknown[192.0.2.7], sasl_method=PLAIN, sasl_username=shop@example.com"
    submitted = line(client, program="postfix/submissions/smtpd")
    sender = FROM.replace("shop@", "bounces@")
    given_up = line("4A1F2C: from=<bounces@example.com>, status=expired, returned to sender", program="postfix/qmgr")
    for end in (attempt("4A1F2C", "bounced"), given_up):
        (one,) = returned([submitted, sender, end])
        assert (one.sender, one.login) == ("bounces@example.com", "shop@example.com")


def test_what_was_delivered_or_waits_did_not_come_back() -> None:
    assert not returned([FROM, attempt("4A1F2C", "sent", "250 2.0.0 Ok"), attempt("4A1F2C", "deferred")])


def test_what_expired_came_back_for_each_recipient_that_still_waited() -> None:
    slow = "connect to mx.b.example[192.0.2.9]:25: Connection timed out"
    lines = [
        FROM,
        attempt("4A1F2C", "deferred", slow, code="4.4.1"),
        attempt("4A1F2C", "deferred", slow, "c@b.example", "4.4.1"),
        attempt("5B1F2C", "deferred", slow),
        attempt("4A1F2C", "bounced", to="c@b.example"),
        line("4A1F2C: from=<shop@example.com>, status=expired, returned to sender", 2000.5, "postfix/qmgr"),
    ]
    refused, expired = returned(lines)
    assert (refused.recipient, refused.status) == ("c@b.example", "bounced")
    assert (expired.recipient, expired.status, expired.reason, expired.when) == ("a@b.example", "expired", slow, 2000.5)


def test_what_was_given_up_before_it_was_tried_came_back_too() -> None:
    given_up = line("4A1F2C: from=<shop@example.com>, status=force-expired, returned to sender", program="postfix/qmgr")
    (one,) = returned([FROM, given_up])
    assert (one.sender, one.recipient, one.status) == ("shop@example.com", "", "force-expired")


def test_addresses_that_were_taken_out_are_told_as_they_are() -> None:
    masked = "0123456789abcdef@hashed.invalid"
    sender = FROM.replace("shop@example.com", masked)
    (one,) = returned([sender, attempt("4A1F2C", "bounced", to=masked)])
    assert (one.sender, one.recipient) == (masked, masked)


def test_a_bounce_that_cannot_be_delivered_has_no_sender() -> None:
    (one,) = returned([FROM.replace("shop@example.com", ""), attempt("4A1F2C", "bounced", to='"a b> c"@b.example')])
    assert (one.sender, one.recipient) == ("", '"a b> c"@b.example')


def test_an_answer_cannot_pose_as_another_line() -> None:
    forged = "450 4.0.0 4A1F2C: to=<x@y.example>, relay=z, dsn=5.0.0, status=bounced (forged)"
    assert not returned([attempt("5B1F2C", "deferred", forged)])
    helo = "warning: 4A1F2C: to=<x@y.example>, relay=z, dsn=5.0.0, status=bounced (forged)"
    assert not returned([line(helo, program="postfix/submission/smtpd")])


@given(st.lists(st.text()))
def test_no_line_breaks_the_reader(lines: list[str]) -> None:
    assert not returned([*lines, *(line(text) for text in lines)])
