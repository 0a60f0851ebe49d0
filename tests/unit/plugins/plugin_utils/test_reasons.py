# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Reasons as Postfix words them are explained, by the server's codes where it gave some."""

from __future__ import annotations

import re

import pytest
from ansible_collections.postseal.mail.plugins.plugin_utils.reasons import explain_reason
from ansible_collections.postseal.mail.plugins.plugin_utils.replies import CODES
from ansible_collections.postseal.mail.plugins.plugin_utils.status_codes import DETAILS, explain_status
from hypothesis import given
from hypothesis import strategies as st

MX = "mx.b.example[192.0.2.9]"


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        (f"host {MX} said: 450 4.2.0 Greylisted (in reply to RCPT TO command)", f"{CODES[450]}; 4.2.0: something is"),
        (f"host {MX} said: 550-5.1.1 no such mailbox 550 5.1.1 (in reply to", f"{CODES[550]}; 5.1.1: the mailbox does"),
        (f"host {MX} said: 421 too busy (in reply to MAIL FROM command)", CODES[421]),
        (f"host {MX} refused to talk to me: 554 5.7.1 blocked", f"{CODES[554]}; 5.7.1: the receiver's rules"),
        (f"connect to {MX}:25: Connection refused", "nothing listens"),
        (f"connect to {MX}:25: Connection timed out", "the server does not answer"),
        (f"conversation with {MX} timed out while receiving the initial server greeting", "the server does not answer"),
        (f"lost connection with {MX} while receiving the initial server greeting", "the server hung up"),
        ("connect to mx.b.example[2001:db8::9]:25: Network is unreachable", "this host has no way"),
        ("Host or domain name not found. Name service error for name=b.example type=MX: Host not found, try again",
         "the name server that knows"),
        ("Host or domain name not found. Name service error for name=b.example type=AAAA: Host not found",
         "the domain, or the server it names, does not exist"),
        ("Server certificate not verified", "the server's certificate is not valid"),
        (f"TLS is required, but was not offered by host {MX}", "the server offers no TLS"),
        (f"SASL authentication failed; server {MX} said: 535 5.7.8 no", CODES[535]),
        ("SASL authentication failed; cannot authenticate to server x: no mechanism available", "the relay does not"),
        (f"delivery temporarily suspended: connect to {MX}:25: Connection refused", "Postfix leaves this server alone"),
        ("message is administratively expired", "it was given up by hand"),
        ("mail transport unavailable", "the way it was to take"),
        ("Domain b.example does not accept mail (nullMX)", "the domain says that it takes no mail"),
        ("something that nobody has heard of", ""),
    ],
)  # fmt: skip
def test_a_reason_is_explained(reason: str, meaning: str) -> None:
    assert explain_reason(reason).startswith(meaning)
    assert bool(explain_reason(reason)) == bool(meaning)


def test_without_an_answer_the_status_beside_it_is_explained() -> None:
    assert explain_reason("something that nobody has heard of", "5.4.6") == DETAILS["4.6"]
    assert explain_reason("x", "5.0.0") == ""


def test_every_status_says_something_else_and_unknown_ones_fall_back_to_their_subject() -> None:
    assert len(set(DETAILS.values())) == len(DETAILS)
    assert explain_status("5.7.99") == DETAILS["7.0"]
    assert explain_status("4.99.1") == explain_status("") == explain_status("2.0.0") == ""


@given(st.text(), st.from_regex(re.compile(r"[245]\.\d{1,3}\.\d{1,3}"), fullmatch=True) | st.text())
def test_no_reason_breaks_it(reason: str, status: str) -> None:
    assert isinstance(explain_reason(reason, status), str)
