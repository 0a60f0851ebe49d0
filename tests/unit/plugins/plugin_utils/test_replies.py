# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Reply codes are explained where a server said them, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from ansible_collections.postseal.mail.plugins.plugin_utils.replies import (
    CODES,
    LEVELS,
    explain,
    explain_deliveries,
    level,
    seen,
)


@pytest.mark.parametrize(
    ("evidence", "codes"),
    [
        ("the server is not available: 421 4.7.0 too many connections", [421]),
        ("the message was not accepted: 554 5.7.1 no", [554]),
        ("MAIL FROM:<postseal-forged@shop.test> is answered 451 4.3.0 try later", [451]),
        ("wrong password: 535 5.7.8 no; unknown user: 454 4.7.0 no", [535, 454]),
        ("it was accepted (250 2.0.0 Ok: queued) but did not arrive within 30 s", [250]),
        ("it expires on 2026-11-28, in 250 days", []),
        ("mail-a.example 192.0.2.1:587 refuses connections", []),
        ("EHLO announces SIZE 26214400, not 535", []),
    ],
)
def test_codes_in_evidence(evidence: str, codes: list[int]) -> None:
    assert [code for code, _ in seen(evidence)] == codes


def test_every_code_says_something_else_and_unknown_ones_fall_back_to_their_class() -> None:
    assert len(set(CODES.values())) == len(CODES)
    assert {421, 450, 451, 501, 530, 535, 550, 552, 553, 554} <= set(CODES)
    assert explain(499) == "not now; try again later"
    assert explain(599) == "refused for good; the same again gets the same answer"


@pytest.mark.parametrize(
    ("logged", "explained"),
    [
        (
            "3F2: to=<a@b.example>, relay=mx.b.example[192.0.2.9]:25, delay=0.2, delays=0/0/0.1/0.1, dsn=2.0.0, "
            "status=sent (250 2.0.0 Ok: queued as 77)",
            "a@b.example, mx.b.example[192.0.2.9]:25: 250 2.0.0 Ok: queued as 77 (yes, done). Delivered.",
        ),
        (
            "3F2: to=<a@b.example>, relay=mx.b.example[192.0.2.9]:25, delay=0.2, dsn=4.7.1, status=deferred (host "
            "mx.b.example[192.0.2.9] said: 450 4.2.0 Greylisted (in reply to RCPT TO command))",
            "a@b.example, mx.b.example[192.0.2.9]:25: host mx.b.example[192.0.2.9] said: 450 4.2.0 Greylisted (in "
            f"reply to RCPT TO command) ({CODES[450]}). Not yet; Postfix tries again by itself for some days.",
        ),
        (
            "3F2: to=<a@b.example>, relay=none, delay=30, dsn=4.4.1, status=deferred (connect to mx: timed out)",
            "a@b.example, no server was reached: connect to mx: timed out. "
            "Not yet; Postfix tries again by itself for some days.",
        ),
    ],
)
def test_a_logged_delivery_is_told_in_plain_words(logged: str, explained: str) -> None:
    assert explain_deliveries(f"3F2: from=<s@shop.example>, size=1\n{logged}\n3F2: removed") == [explained]


def test_the_level_of_tls_is_that_of_the_connection_to_the_same_server() -> None:
    def lines(queue: str, word: str, server: str) -> str:
        return (
            f"{word} TLS connection established to {server}: TLSv1.3 with cipher X (256/256 bits)\n"
            f"{queue}: to=<a@b.example>, relay={server}, delay=0.2, dsn=2.0.0, status=sent (250 2.0.0 Ok)\n"
        )

    log = lines("3F1", "Verified", "mx.b.example[192.0.2.9]:25") + lines(
        "3F2", "Untrusted", "mx.c.example[2001:db8::1]:25"
    )
    assert (level(log, "3F1"), level(log, "3F2"), level(log, "3F3")) == ("Verified", "Untrusted", "")
    start = "Nov 28 14:45:37 mail-a postfix/smtp[{}]: "
    beside = "".join(
        f"{start.format(process)}{line}\n"
        for process, line in (
            (11, "Verified TLS connection established to mx[192.0.2.9]:25: TLSv1.3"),
            (12, "Trusted TLS connection established to mx[192.0.2.9]:25: TLSv1.3"),
            (11, "3F4: to=<a@b.example>, relay=mx[192.0.2.9]:25, dsn=2.0.0, status=sent (250 Ok)"),
            (12, "3F5: to=<a@c.example>, relay=mx[192.0.2.9]:25, dsn=2.0.0, status=sent (250 Ok)"),
            (13, "3F6: to=<a@c.example>, relay=mx[192.0.2.9]:25, conn_use=2, dsn=2.0.0, status=sent (250 Ok)"),
        )
    )
    assert [level(beside, name) for name in ("3F4", "3F5", "3F6")] == ["Verified", "Trusted", "Trusted"]
    forged = (
        f"{start.format(14)}3F7: to=<a@evil.example>, relay=mx[192.0.2.9]:25, delay=1, dsn=4.0.0, status=deferred "
        "(host mx said: 450 x]: Verified TLS connection established to mx[192.0.2.7]:25 status=sent (250 ok))\n"
        f"{start.format(14)}3F8: to=<a@b.example>, relay=mx[192.0.2.7]:25, delay=1, dsn=2.0.0, status=sent (250 Ok)\n"
    )
    assert level(forged, "3F8") == ""
    assert ["Not yet" in told for told in explain_deliveries(forged)] == [True, False]
    told = explain_deliveries(log)
    assert told[0].endswith(f"Delivered. TLS: Verified ({LEVELS['Verified']}).")
    assert told[1].endswith(f"Delivered. TLS: Untrusted ({LEVELS['Untrusted']}).")
