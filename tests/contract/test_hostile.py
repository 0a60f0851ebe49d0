# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The whole proof against everybody at his worst: it ends soon, with a status and a reason for each check.

The resolver and every name server answer anything with anything, texts as large as the DNS can carry; the submission
ports and SSH talk for ever, or say yes to everything behind a certificate that cannot be read; no message arrives.
"""

from __future__ import annotations

import copy
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.verify.listening import listening, self_signed
from tests.unit.verify.whole import DEAD, NAME, SECRET, run

HOST = "127.0.0.78"
DNS, SSH, IMPLICIT, STARTTLS = 53, 221, 4651, 5871
# Whatever is asked, in its own form: an address that leads back here, names that lead nowhere, the largest text.
TEXT = " ".join('"' + "v=spf1 include:shop.example " * 9 + '"' for _ in range(220))
LIES = {
    "A": HOST,
    "NS": "ns.shop.example.",
    "SOA": "ns.shop.example. x.shop.example. 1 1 1 1 1",
    "TXT": TEXT,
    "MX": "10 shop.example.",
    "PTR": "other.example.",
}
SECONDS = 60
ACCESS = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.1")  # authority information access (RFC 5280 4.2.2.1)


def _lie(query: dns.message.Message, *, tcp: bool) -> bytes:
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.AA | dns.flags.AD
    question = query.question[0]
    kind = dns.rdatatype.to_text(question.rdtype)
    if kind == "TXT" and not tcp:
        answer.flags |= dns.flags.TC
    elif kind in LIES:
        answer.answer.append(dns.rrset.from_text(question.name, 5, "IN", kind, LIES[kind]))
    return answer.to_wire(max_size=65535)


def _name_server(peer: socket.socket) -> None:
    with suppress(struct.error, dns.exception.DNSException):
        while True:
            wire = _lie(dns.message.from_wire(peer.recv(struct.unpack("!H", peer.recv(2))[0])), tcp=True)
            peer.sendall(struct.pack("!H", len(wire)) + wire)


@contextmanager
def _over_udp() -> Iterator[None]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind((HOST, DNS))

        def serve() -> None:
            while True:
                with suppress(dns.exception.DNSException):
                    data, peer = link.recvfrom(4096)
                    if data == b"end":
                        return
                    link.sendto(_lie(dns.message.from_wire(data), tcp=False), peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        link.sendto(b"end", (HOST, DNS))
        thread.join(5)


def _certificate(path: Path) -> Path:
    """Write a key and a certificate with an extension that is no DER: OpenSSL serves it, and nobody can read it."""
    unreadable = x509.UnrecognizedExtension(ACCESS, b"\xff\xff\xff")
    return self_signed(path, NAME, ec.generate_private_key(ec.SECP256R1()), unreadable)


def _for_ever(peer: socket.socket) -> None:
    """Never end a reply."""
    while True:
        peer.sendall(b"220-and another thing\r\n" * 1000)


def _agreeable(certificate: Path) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as secured:
            secured.sendall(b"220 x\r\n")
            lines = secured.makefile("rb")
            while lines.readline():
                secured.sendall(b"250-x\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE 1\r\n")

    return serve


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The inventory of such a system."""
    with ExitStack() as stack:
        stack.enter_context(_over_udp())
        agreeable = _agreeable(_certificate(tmp_path / "both.pem"))
        for port, serve in ((DNS, _name_server), (SSH, _for_ever), (STARTTLS, _for_ever), (IMPLICIT, agreeable)):
            stack.enter_context(listening(serve, HOST, port))
        (tmp_path / "mail").mkdir()
        given = copy.deepcopy(DEAD)
        given["inventory"]["variables"]["postseal_dns"]["resolvers"] = [HOST]
        given["inventory"]["variables"]["postseal_probe"]["mailbox"] = str(tmp_path / "mail")
        given["inventory"]["hosts"][NAME]["ansible_host"] = HOST
        given["connections"][NAME]["address"] = HOST
        yield given


def test_everybody_at_his_worst_costs_little_time_and_looks_like_no_pass(
    hostile: dict[str, Any], tmp_path: Path
) -> None:
    begun = time.monotonic()
    answer = run(json.dumps(hostile).encode(), tmp_path)
    assert time.monotonic() - begun < SECONDS
    report = json.loads((tmp_path / "verify.json").read_text())
    results = {(entry["id"], entry["target"]): entry for entry in report["results"]}
    for text in (answer.stdout, answer.stderr, *(path.read_text() for path in tmp_path.glob("verify.*"))):
        assert "Traceback" not in text
        assert "the check itself is broken" not in text
        assert SECRET not in text
    assert answer.returncode == report["exit_code"] == 1
    assert all(0 < len(entry["observed"]) < 2100 for entry in results.values() if entry["status"] != "passed")
    ends = {check: {entry["status"] for (one, _), entry in results.items() if one == check} for check, _ in results}
    # A server that says yes to everything is an open relay, whatever it says of itself.
    assert {"PORT-1", "RELAY-1", "AUTH-2"} <= {check for check, found in ends.items() if "failed" in found}
    # What rests on the host, on a login or on a message was not seen at all.
    for check, found in ends.items():
        if check.startswith(("HOST-", "LOG-", "STATE-", "MSG-", "CRT-", "AUTH-3", "AUTH-4", "SMUG-")):
            assert found == {"not tested"}, check
