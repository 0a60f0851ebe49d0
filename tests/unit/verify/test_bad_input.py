# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Others that answer badly: each ends in bounded time, with a reason, and never in a pass or a traceback."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import policyhost
from ansible_collections.postseal.mail.tests.verify.proof import mailbox, names, sts
from ansible_collections.postseal.mail.tests.verify.proof.hosts import Connection, collect
from ansible_collections.postseal.mail.tests.verify.proof.manners import errors_borne, pipelining
from ansible_collections.postseal.mail.tests.verify.proof.names import Server, ask
from ansible_collections.postseal.mail.tests.verify.proof.scan import Compliance, parse
from ansible_collections.postseal.mail.tests.verify.proof.smtp import Reply, UnavailableError
from ansible_collections.postseal.mail.tests.verify.proof.tls import read_certificate
from hypothesis import given
from hypothesis import strategies as st

from .talker import talker

Answer = Callable[[dns.message.Message], bytes]


def _same_port() -> tuple[socket.socket, socket.socket]:
    """Return a UDP socket and a listening TCP socket with one number; what is free for one may be taken for another."""
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(udp.getsockname())
        except OSError:
            udp.close()


@contextmanager
def _name_server(over_udp: Answer, over_tcp: Answer) -> Iterator[Server]:
    """Answer questions with whatever the functions make of them; nothing if that is empty."""
    udp, tcp = _same_port()

    def serve_udp() -> None:
        with suppress(OSError, dns.exception.DNSException):  # a socket that was shut down says nothing
            while True:
                data, peer = udp.recvfrom(4096)
                if answer := over_udp(dns.message.from_wire(data)):
                    udp.sendto(answer, peer)

    def serve_tcp() -> None:
        with suppress(OSError):
            while True:
                peer, _ = tcp.accept()
                with peer, suppress(OSError, struct.error):
                    size = struct.unpack("!H", peer.recv(2))[0]
                    peer.sendall(over_tcp(dns.message.from_wire(peer.recv(size))))

    threads = [threading.Thread(target=target, daemon=True) for target in (serve_udp, serve_tcp)]
    for thread in threads:
        thread.start()
    try:
        yield Server("ns.example", "127.0.0.1", tcp.getsockname()[1])
    finally:
        for listening in (udp, tcp):
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()


def _reply(query: dns.message.Message, size: int = 0, rcode: int = dns.rcode.NOERROR) -> dns.message.Message:
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.AA
    answer.set_rcode(dns.rcode.Rcode(rcode))
    if size:
        strings = " ".join('"' + "x" * 250 + '"' for _ in range(size // 250))
        answer.answer.append(dns.rrset.from_text(query.question[0].name, 5, "IN", "TXT", strings))
    return answer


def _truncated(query: dns.message.Message) -> bytes:
    answer = _reply(query)
    answer.flags |= dns.flags.TC
    return answer.to_wire()


def _framed(query: dns.message.Message, size: int) -> bytes:
    wire = _reply(query, size).to_wire(max_size=65535)
    return struct.pack("!H", len(wire)) + wire


def _other_id(query: dns.message.Message) -> bytes:
    answer = _reply(query)
    answer.id = query.id ^ 1
    return answer.to_wire()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "SECONDS", 0.3)
    monkeypatch.setattr(policyhost, "SECONDS", 1.0)


def _nothing(query: dns.message.Message) -> bytes:
    return b""


@pytest.mark.parametrize(
    ("over_udp", "over_tcp", "failure"),
    [
        (_nothing, _nothing, "does not answer"),
        (lambda query: b"\xff" * 40, _nothing, "does not answer"),
        (lambda query: _reply(query).to_wire()[:9], _nothing, "does not answer"),
        (_other_id, _nothing, "does not answer"),
        (lambda query: _reply(query, rcode=dns.rcode.SERVFAIL).to_wire(), _nothing, "answers SERVFAIL"),
        (lambda query: dns.message.make_response(query).to_wire(), _nothing, "lame delegation"),
        (_truncated, _nothing, "does not answer"),
        # It announces 64 KiB and sends less.
        (_truncated, lambda query: b"\xff\xff" + b"x" * 100, "does not answer"),
    ],
    ids=["silent", "garbage", "cut off", "another id", "SERVFAIL", "no authority", "no TCP", "half an answer"],
)
def test_a_name_server_that_answers_badly_is_a_failure_with_a_reason(
    over_udp: Answer, over_tcp: Answer, failure: str
) -> None:
    with _name_server(over_udp, over_tcp) as server:
        answer = ask(server, "shop.example", "TXT")
    assert failure in answer.failure
    assert answer.values == ()


def test_the_largest_text_that_the_dns_can_carry_is_read() -> None:
    with _name_server(_truncated, lambda query: _framed(query, 60_000)) as server:
        answer = ask(server, "shop.example", "TXT")
    assert answer.failure == ""
    assert len(answer.values[0]) == 60_000


def test_a_resolver_that_is_silent_is_a_failure_in_bounded_time() -> None:
    with _name_server(_nothing, _nothing) as server:
        asked = names.Names([server.address])
        asked._resolver.port = server.port
        with pytest.raises(names.LookupFailedError, match=r"shop\.example TXT cannot be resolved"):
            asked.resolve("shop.example", "TXT")


@given(st.binary(max_size=300))
def test_a_certificate_that_cannot_be_parsed_is_not_tested(junk: bytes) -> None:
    with pytest.raises(UnavailableError, match="cannot be parsed"):
        read_certificate(junk)


def test_a_message_that_never_arrives_is_waited_for_no_longer_than_said(tmp_path: Path) -> None:
    sent = mailbox.Sent("token", "192.0.2.1", Reply(250, ("ok",)))
    (tmp_path / "other.eml").write_text("Subject: something else")
    # The report of a delivery that failed has the message in it.
    (tmp_path / "report.eml").write_text("Subject: Undelivered Mail\n\nSubject: token")
    (tmp_path / "report.json").write_text("{}")
    assert mailbox.wait_for(sent, tmp_path, 0.0, 0.1) is None


def test_a_mailbox_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    sent = mailbox.Sent("token", "192.0.2.1", Reply(250, ("ok",)))
    with pytest.raises(UnavailableError, match="cannot be read"):
        mailbox.wait_for(sent, tmp_path / "missing", 0.0, 5.0)


@pytest.mark.parametrize("verdict", ["", "[]", "{", '"pass"'])
def test_a_verdict_that_is_none_is_said_so(verdict: str, tmp_path: Path) -> None:
    sent = mailbox.Sent("token", "192.0.2.1", Reply(250, ("ok",)))
    (tmp_path / "one.eml").write_text("Subject: token")
    (tmp_path / "one.json").write_text(verdict)
    with pytest.raises(UnavailableError, match="is not a verdict"):
        mailbox.wait_for(sent, tmp_path, 0.0, 5.0)


def _patient(peer: ssl.SSLSocket, _: bytes) -> None:
    """Bear any mistake, and take commands in any order."""
    peer.sendall(b"220 x\r\n")
    lines = peer.makefile("rb")
    while line := lines.readline():
        good = line[:4] in (b"EHLO", b"RSET", b"QUIT")
        peer.sendall(b"250 x\r\n" if good else b"500 what?\r\n")


def _strict(peer: ssl.SSLSocket, _: bytes) -> None:
    """Leave after three mistakes, with 421."""
    peer.sendall(b"220 x\r\n")
    lines = peer.makefile("rb")
    lines.readline()
    peer.sendall(b"250 x\r\n")
    for _number in range(3):
        lines.readline()
        peer.sendall(b"500 what?\r\n")
    lines.readline()
    peer.sendall(b"421 enough\r\n")


def _silent(peer: ssl.SSLSocket, _: bytes) -> None:
    """Go silent after EHLO, with 421, but stay."""
    peer.sendall(b"220 x\r\n")
    lines = peer.makefile("rb")
    lines.readline()
    peer.sendall(b"250 x\r\n")
    lines.readline()
    peer.sendall(b"421 busy\r\n")
    lines.read()


def test_mistakes_are_counted_until_the_server_has_enough(certificate: Path) -> None:
    with talker(certificate, implicit=True, says=_patient) as endpoint:
        assert errors_borne(endpoint) == 21
        reply = pipelining(endpoint)
        assert reply is not None
        assert reply.accepted
    with talker(certificate, implicit=True, says=_strict) as endpoint:
        assert errors_borne(endpoint) == 3
    with talker(certificate, implicit=True, says=_silent) as endpoint, pytest.raises(UnavailableError, match="421"):
        errors_borne(endpoint)


def test_a_policy_host_that_talks_for_ever_is_cut_off(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(peer: ssl.SSLSocket, _: bytes) -> None:
        peer.recv(1000)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            peer.sendall(b"1\r\nx\r\n")
            threading.Event().wait(0.05)

    trusting = ssl.create_default_context(cafile=str(certificate))
    trusting.check_hostname = False
    monkeypatch.setattr(sts, "of_the_world", lambda _: trusting)
    asked = names.Names(["127.0.0.1"])
    monkeypatch.setattr(asked, "addresses", lambda _: ("127.0.0.1",))
    with talker(certificate, implicit=True, says=drip) as endpoint, pytest.raises(UnavailableError):
        sts.fetch("shop.example", asked, None, endpoint.port)


def test_a_host_that_is_not_reachable_by_ssh_is_said_so(tmp_path: Path) -> None:
    nowhere = Connection("ssh", "127.0.0.9", 221, None, None, "", "/usr/bin/python3")
    with pytest.raises(UnavailableError, match="cannot be reached by ssh"):
        collect("mail.example", nowhere, tmp_path)


def test_what_sslyze_says_is_read_and_an_error_is_no_verdict() -> None:
    output = """
 COMPLIANCE AGAINST TLS CONFIGURATION
 ------------------------------------

    Checking results against Mozilla's "intermediate" configuration. See https://ssl-config.mozilla.org/

    a.example:587: OK - Compliant.
    b.example:587: FAILED - Not compliant.
        * tls_curves: TLS curves {'secp521r1'} are supported, but should be rejected.
        * tls_versions: TLS versions {'TLSv1.1'} are supported, but should be rejected.
    c.example:587: ERROR - Scan did not run successfully; review the scan logs above.
"""
    found = parse(output)
    assert found["a.example", 587] == Compliance()
    assert [issue.partition(":")[0] for issue in found["b.example", 587].issues] == ["tls_curves", "tls_versions"]
    assert found["c.example", 587].error.startswith("Scan did not run")
    assert parse("ERROR: Could not connect") == {}
