# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The SMTP client against servers that lie, hang, talk for ever or leave."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from ansible_collections.postseal.mail.tests.verify.proof.smtp import (
    MAX_LINE,
    Client,
    Closed,
    RefusedError,
    Reply,
    UnavailableError,
)
from ansible_collections.postseal.mail.tests.verify.proof.submission import cleartext
from ansible_collections.postseal.mail.tests.verify.proof.targets import Endpoint
from hypothesis import given
from hypothesis import strategies as st


@contextmanager
def _server(*says: bytes, linger: bool = False) -> Iterator[int]:
    """Serve one connection: say the first item at once, the next after each line received, then close."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer, peer.makefile("rb") as lines:
                try:
                    for number, text in enumerate(says):
                        if number:
                            lines.readline()
                        peer.sendall(text)
                    if linger:
                        lines.read()
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


def _connect(port: int, seconds: float = 5.0) -> Client:
    return Client.connect("127.0.0.1", port, seconds)


def test_a_reply_of_several_lines_is_one_reply() -> None:
    with _server(b"220 x\r\n", b"250-x\r\n250-SIZE 100\r\n250 AUTH PLAIN LOGIN\r\n") as port, _connect(port) as client:
        assert client.greet().keywords() == {"SIZE": "100", "AUTH": "PLAIN LOGIN"}


def test_a_421_is_no_answer() -> None:
    refusal = pytest.raises(UnavailableError, match="421 too many")
    with _server(b"421 too many connections\r\n") as port, _connect(port) as client, refusal:
        client.greet()


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak SMTP"),
        (b"", "closed the connection"),
        (b"220-a\r\n" * 1000, "more than 128 lines"),
        (b"2" * (MAX_LINE + 4096), "longer than"),
        (b"554 no\r\n", "the greeting is 554 no"),
    ],
)
def test_what_is_not_smtp_has_a_reason(said: bytes, cause: str) -> None:
    with _server(said) as port, _connect(port) as client, pytest.raises(UnavailableError, match=cause):
        client.greet()


def test_a_silent_server_costs_no_more_than_the_time_allowed() -> None:
    began = time.monotonic()
    with _server(b"220 x\r\n", linger=True) as port, _connect(port, 0.3) as client:
        with pytest.raises(UnavailableError, match="in time"):
            client.greet()
        assert time.monotonic() - began < 2


def test_a_server_that_trickles_costs_no_more_than_the_time_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def trickle() -> None:
            peer, _ = listener.accept()
            with peer:
                while not stop.wait(0.05):
                    peer.sendall(b"2")

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            with _connect(listener.getsockname()[1], 0.5) as client, pytest.raises(UnavailableError):
                client.reply()
        finally:
            stop.set()
            thread.join(5)


def test_a_closed_port_is_told_from_one_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(RefusedError, match=f"port {port}"):
        _connect(port)


def test_the_probe_before_tls_asks_for_everything() -> None:
    says = (b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"530 first\r\n", b"530 first\r\n", b"221 bye\r\n")
    with _server(*says) as port:
        seen = cleartext(Endpoint("h", "h", "127.0.0.1", port, implicit_tls=False))
    assert seen.keywords == {"STARTTLS": ""}
    assert (seen.auth.code, seen.mail.code) == (530, 530)


def test_quit_does_not_mind_a_server_that_has_gone() -> None:
    with _server(b"220 x\r\n") as port, _connect(port) as client:
        client.reply()
        client.quit()
        with pytest.raises(Closed):
            client.receive()


@given(st.integers(min_value=200, max_value=599))
def test_only_a_5xx_is_a_refusal_and_only_a_2xx_a_yes(code: int) -> None:
    reply = Reply(code, ("x",))
    assert reply.refused == (code >= 500)
    assert reply.accepted == (code < 300)
