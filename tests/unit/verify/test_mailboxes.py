# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Servers that take mail for some addresses, refuse others, put off, greet badly or are not there."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import mailboxes as asking
from ansible_collections.postseal.mail.plugins.module_utils.host.conversation import Conversation
from ansible_collections.postseal.mail.tests.verify.proof.mailboxes import (
    Group,
    answers,
    argument,
    expect_taken,
)
from ansible_collections.postseal.mail.tests.verify.proof.outcome import CheckFailedError, NotTestedError
from hypothesis import given
from hypothesis import strategies as st

from .listening import listening

GOOD, BAD, LATER = "postmaster@example.com", "abuse@example.com", "later@example.com"
ANSWERS = {GOOD: "250 2.1.5 Ok", BAD: "550 5.1.1 no such user", LATER: "451 4.7.1 greylisted"}


@contextmanager
def _server(seen: list[str], greeting: str = "220 x", mail: str = "250 ok") -> Iterator[int]:
    def talk(peer: socket.socket) -> None:
        peer.settimeout(5)
        peer.sendall(greeting.encode() + b"\r\n")
        with peer.makefile("rb") as lines:
            for line in lines:
                said = line.decode().strip()
                seen.append(said)
                verb = said[:4].upper()
                known = {"EHLO": "250 x", "MAIL": mail, "RSET": "250 ok", "QUIT": "221 bye"}
                address = said.partition("<")[2].partition(">")[0]
                peer.sendall(known.get(verb, ANSWERS.get(address, "500 what")).encode() + b"\r\n")

    with listening(talk) as port:
        yield port


def _ask(port: int, *recipients: str, hosts: tuple[str, ...] = ("127.0.0.1",)) -> tuple[list[Group], dict[str, str]]:
    groups = [Group(hosts, recipients)]
    return groups, answers(groups, asking.ask(argument(groups), "mail-a.example.com", port))


def test_an_address_that_is_refused_is_found_and_no_message_is_sent() -> None:
    seen: list[str] = []
    with _server(seen) as port:
        groups, said = _ask(port, GOOD, BAD, LATER)
    assert said == ANSWERS
    assert expect_taken([GOOD], groups, said) == [f"{GOOD}: {ANSWERS[GOOD]}"]
    with pytest.raises(CheckFailedError, match=r"abuse@.*: 550 .* no such user"):
        expect_taken([GOOD, BAD, LATER], groups, said)
    with pytest.raises(NotTestedError, match="greylisted"):
        expect_taken([GOOD, LATER], groups, said)
    assert seen == ["EHLO mail-a.example.com", "MAIL FROM:<>", *(f"RCPT TO:<{one}>" for one in ANSWERS), "QUIT"]


def test_a_server_that_takes_no_bounces_refuses_every_address() -> None:
    with _server([], mail="550 5.7.1 no empty senders") as port:
        groups, said = _ask(port, GOOD)
    with pytest.raises(CheckFailedError, match="no empty senders"):
        expect_taken([GOOD], groups, said)


def test_the_next_server_is_asked_where_one_is_out_of_order() -> None:
    with _server([]) as port, socket.create_server(("127.0.0.2", port)) as silent:
        silent.close()
        _, said = _ask(port, GOOD, hosts=("127.0.0.2", "127.0.0.1"))
    assert said == {GOOD: ANSWERS[GOOD]}


@pytest.mark.parametrize("greeting", ["554 5.3.2 busy", "421 4.3.2 not now"])
def test_a_server_that_lets_nobody_in_says_nothing_of_addresses(greeting: str) -> None:
    with _server([], greeting=greeting) as port:
        groups, said = _ask(port, GOOD)
    with pytest.raises(NotTestedError, match="cannot be asked on port 25"):
        expect_taken([GOOD], groups, said)


@pytest.mark.parametrize(
    ("group", "raised", "reason"),
    [
        (Group(("",), (GOOD,)), CheckFailedError, "takes no mail"),
        (Group((), (GOOD,), "ns1 does not answer"), NotTestedError, "ns1 does not answer"),
        (Group((), (BAD,)), NotTestedError, "no more than"),
    ],
)
def test_why_nobody_was_asked_is_said(group: Group, raised: type[Exception], reason: str) -> None:
    with pytest.raises(raised, match=reason):
        expect_taken([GOOD], [group], {})


def _drip(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"220-more\r\n")
        time.sleep(0.05)


def _flood(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"220-" + b"x" * 60000)


@pytest.mark.parametrize("talk", [_drip, _flood])
def test_a_server_that_never_ends_costs_little(talk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LONGEST", 0.5)
    with listening(talk) as port:
        assert asking.ask([{"hosts": ["127.0.0.1"], "recipients": [GOOD]}], "h.example", port) == [[""]]


@given(st.binary(max_size=80))
def test_a_reply_is_whole_or_none(data: bytes) -> None:
    here, there = socket.socketpair()
    with here, there:
        there.sendall(data)
        there.close()
        session = Conversation(here, time.monotonic() + 5)
        try:
            code, text = session.reply()
        except OSError:
            return
        assert 200 <= code < 600
        assert "\n" not in text


def test_a_name_that_is_none_and_an_answer_with_escapes_do_no_harm() -> None:
    assert asking.ask([{"hosts": ["a\\..example", "x" * 70], "recipients": [GOOD]}], "h.example") == [[""]]
    assert asking._said(550, "no\x1b[2J\x9bsuch") == "550 no?[2J?such"
