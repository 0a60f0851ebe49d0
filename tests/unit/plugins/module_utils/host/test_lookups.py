# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""How a changed resolver and the table of policies are asked whether they work."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable

import dns.flags
import dns.message
import dns.rcode
import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host.lookups import OWN, answers, resolves


def _ask(serve: Callable[[bytes], bytes], ask: Callable[[socket.socket], str]) -> str:
    """Return what ASK says of a server that answers what SERVE makes of the question, in small pieces."""
    ours, theirs = socket.socketpair()

    def run() -> None:
        with theirs:
            reply = serve(theirs.recv(4096))
            for index in range(0, len(reply), 3):
                theirs.sendall(reply[index : index + 3])

    thread = threading.Thread(target=run)
    thread.start()
    with ours:
        ours.settimeout(5)
        try:
            return ask(ours)
        finally:
            thread.join()


def _resolver(code: str, *, authentic: bool) -> Callable[[bytes], bytes]:
    def serve(query: bytes) -> bytes:
        asked = dns.message.from_wire(query[2:])
        assert asked.flags & dns.flags.AD
        assert asked.ednsflags & dns.flags.DO
        reply = dns.message.make_response(asked)
        reply.set_rcode(dns.rcode.from_text(code))
        reply.flags |= dns.flags.AD if authentic else 0
        wire = reply.to_wire()
        return struct.pack("!H", len(wire)) + wire

    return serve


@pytest.mark.parametrize(
    ("name", "code", "authentic", "complaint"),
    [
        (".", "NOERROR", True, ""),
        (".", "NOERROR", False, "has not verified the signatures of ."),
        ("tls.test.", "SERVFAIL", False, "answers SERVFAIL for tls.test."),
        (".", "REFUSED", True, "postseal_outbound_tls.resolver.forwarders"),
        (OWN, "NOERROR", False, ""),
        (OWN, "NXDOMAIN", False, ""),
        (OWN, "SERVFAIL", False, "answers SERVFAIL for localhost"),
    ],
)
def test_a_resolver_has_to_verify(name: str, code: str, authentic: bool, complaint: str) -> None:
    said = _ask(_resolver(code, authentic=authentic), lambda link: resolves(link, name))
    assert complaint in said if complaint else said == ""


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        (b"9:NOTFOUND ,", ""),
        (b"27:OK secure match=mx.b.example,", ""),
        (b"15:TEMP no answer,", "answers TEMP no answer"),
        (b"9:NOTFO", "closed the connection"),
    ],
)
def test_a_table_has_to_answer(reply: bytes, complaint: str) -> None:
    def serve(query: bytes) -> bytes:
        assert query == b"19:postfix b.example.x,"
        return reply

    said = _ask(serve, lambda link: answers(link, "b.example.x"))
    assert complaint in said if complaint else said == ""


def test_a_resolver_that_hangs_up_is_told() -> None:
    with pytest.raises(OSError, match="closed the connection"):
        _ask(lambda _: b"\0", lambda link: resolves(link, "."))
