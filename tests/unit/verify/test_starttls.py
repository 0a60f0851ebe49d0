# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Servers that Postfix cannot be made to be: one carries cleartext into TLS, one remembers what was said before."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.tests.verify.proof.outcome import CheckFailedError, NotTestedError
from ansible_collections.postseal.mail.tests.verify.proof.smtp import Closed, Reply
from ansible_collections.postseal.mail.tests.verify.proof.submission import Cleartext, Secured, injection, secured
from ansible_collections.postseal.mail.tests.verify.proof.targets import Endpoint
from ansible_collections.postseal.mail.tests.verify.test_submission import (
    test_injected_command_is_not_obeyed as judge_injection,
)
from ansible_collections.postseal.mail.tests.verify.test_submission import (
    test_nothing_before_starttls as judge_cleartext,
)
from ansible_collections.postseal.mail.tests.verify.test_submission import (
    test_state_is_discarded_after_starttls as judge_state,
)

from .listening import listening

EHLO = b"250-x\r\n250 AUTH PLAIN LOGIN\r\n"


class _Seen:
    """Stands for an Observer that has seen one thing."""

    def __init__(self, kind: str, endpoint: Endpoint, value: object) -> None:
        setattr(self, kind, {endpoint: self})
        self._value = value

    def result(self) -> object:
        return self._value


@contextmanager
def _server(certificate: Path, carry: bool, inside: Callable[[bytes], bytes]) -> Iterator[Endpoint]:
    """Serve STARTTLS; ``carry`` treats cleartext that came behind STARTTLS as if it had come inside TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with listening(lambda peer: _talk(peer, context, carry, inside)) as port:
        yield Endpoint("h", "smtp.example.com", "127.0.0.1", port, implicit_tls=False)


def _talk(peer: socket.socket, context: ssl.SSLContext, carry: bool, inside: Callable[[bytes], bytes]) -> None:
    peer.settimeout(5)
    peer.sendall(b"220 x\r\n")
    peer.recv(4096)
    peer.sendall(b"250-x\r\n250 STARTTLS\r\n")
    _, _, behind = peer.recv(4096).partition(b"\r\n")
    peer.sendall(b"220 go\r\n")
    with context.wrap_socket(peer, server_side=True) as secure:
        if carry and behind:
            secure.sendall(EHLO)
        while data := secure.recv(4096):
            secure.sendall(inside(data))


def _strict(data: bytes) -> bytes:
    return EHLO if data.startswith(b"EHLO") else b"221 bye\r\n" if data.startswith(b"QUIT") else b"503 EHLO first\r\n"


def _forgetful(data: bytes) -> bytes:
    return b"334 \r\n" if data.startswith(b"AUTH") else _strict(data)


def test_a_server_that_carries_cleartext_into_tls_is_found(certificate: Path) -> None:
    with _server(certificate, carry=True, inside=_strict) as endpoint:
        reply = injection(endpoint)
    with pytest.raises(CheckFailedError, match="answered inside TLS: 250"):
        judge_injection(endpoint, _Seen("injection", endpoint, reply))  # type: ignore[arg-type]


def test_a_server_that_drops_it_passes(certificate: Path) -> None:
    with _server(certificate, carry=False, inside=_strict) as endpoint:
        reply = injection(endpoint)
    assert reply.code == 503
    judge_injection(endpoint, _Seen("injection", endpoint, reply))  # type: ignore[arg-type]
    judge_injection(endpoint, _Seen("injection", endpoint, None))  # type: ignore[arg-type]


def test_a_server_that_remembers_what_was_said_before_tls_is_found(certificate: Path) -> None:
    with _server(certificate, carry=False, inside=_forgetful) as endpoint:
        seen = secured(endpoint, None)
    assert isinstance(seen, Secured)
    assert "self-signed" in seen.distrust or "self signed" in seen.distrust
    with pytest.raises(CheckFailedError, match="334"):
        judge_state(endpoint, _Seen("secured", endpoint, seen))  # type: ignore[arg-type]


def test_a_server_that_forgets_passes(certificate: Path) -> None:
    with _server(certificate, carry=False, inside=_strict) as endpoint:
        seen = secured(endpoint, None)
    judge_state(endpoint, _Seen("secured", endpoint, seen))  # type: ignore[arg-type]


def test_a_handshake_that_is_refused_after_an_injection_is_no_failure(certificate: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"220 x\r\n")
                peer.recv(4096)
                peer.sendall(b"250 STARTTLS\r\n")
                peer.recv(4096)
                peer.sendall(b"220 go\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        endpoint = Endpoint("h", "smtp.example.com", "127.0.0.1", listener.getsockname()[1], implicit_tls=False)
        with pytest.raises(Closed):
            injection(endpoint)
        thread.join(5)


@pytest.mark.parametrize(
    ("keywords", "auth", "mail", "raised"),
    [
        ({"STARTTLS": ""}, 530, 530, None),
        ({"STARTTLS": ""}, 503, 530, None),
        ({"STARTTLS": ""}, 530, 250, CheckFailedError),
        ({"STARTTLS": ""}, 334, 530, CheckFailedError),
        ({"STARTTLS": "", "AUTH": "PLAIN"}, 530, 530, CheckFailedError),
        ({}, 530, 530, CheckFailedError),
        ({"STARTTLS": ""}, 454, 530, NotTestedError),
        ({"STARTTLS": ""}, 530, 451, NotTestedError),
    ],
)
def test_before_tls(keywords: dict[str, str], auth: int, mail: int, raised: type[Exception] | None) -> None:
    endpoint = Endpoint("h", "h", "127.0.0.1", 587, implicit_tls=False)
    seen = _Seen("cleartext", endpoint, Cleartext(keywords, Reply(auth, ("x",)), Reply(mail, ("x",))))
    if raised is None:
        judge_cleartext(endpoint, seen)  # type: ignore[arg-type]
    else:
        with pytest.raises(raised):
            judge_cleartext(endpoint, seen)  # type: ignore[arg-type]
