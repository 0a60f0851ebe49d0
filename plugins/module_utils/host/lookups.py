# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The resolver and the table of MTA-STS policies that outbound mail stands on. Standard library, Python 3.9."""

from __future__ import annotations

import socket
import struct

RESOLVER, POLICIES = "unbound", "postfix-mta-sts-resolver"
RESOLVER_CONF, POLICIES_CONF = "/etc/unbound/postseal.conf", "/etc/postseal/mta-sts.yml"
ROOT_KEY = "/var/lib/unbound/root.key"
RESOLVER_PROGRAMS = ("/usr/sbin/unbound", "/usr/sbin/unbound-checkconf")
POLICIES_PROGRAMS = ("/usr/bin/mta-sts-daemon", "/usr/bin/python3")
PROTOCOLS = ("dns", "socketmap")
# What a resolver answers without asking anybody (RFC 6761 6.3), and what has no policy without a look (RFC 8461 3).
OWN, NO_DOMAIN = "localhost", "[127.0.0.1]"

SOA, OPT = 6, 41
RD_AD, AD, RCODE = 0x0120, 0x20, 15
DO = 0x8000
RCODES = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}


def resolves(link: socket.socket, name: str) -> str:
    """Ask a resolver over TCP for the SOA of ``name`` (RFC 1035 4, RFC 6840 5.7); return what is wrong, or nothing.

    Every name but that of the host itself must have an answer, and one whose signatures the resolver has verified.
    """
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"
    query = struct.pack("!6H", 1, RD_AD, 1, 0, 0, 1) + labels + struct.pack("!2H", SOA, 1)
    query += struct.pack("!BHHIH", 0, OPT, 1232, DO, 0)  # RFC 6891 6.1.2
    link.sendall(struct.pack("!H", len(query)) + query)
    (length,) = struct.unpack("!H", _exactly(link, 2))
    answer = _exactly(link, length)
    _, flags = struct.unpack("!2H", answer[:4])
    code = flags & RCODE
    if name == OWN:
        return "" if code in (0, 3) else f"answers {RCODES.get(code, code)} for {name}"
    if code:
        return (
            f"answers {RCODES.get(code, code)} for {name}: no name server answers, or none with signatures. Where the "
            "network lets no DNS out, name its resolvers: postseal_outbound_tls.resolver.forwarders"
        )
    return "" if flags & AD else f"has not verified the signatures of {name}"


def answers(link: socket.socket, name: str) -> str:
    """Ask a table for ``name`` (socketmap_table(5)); return what is wrong with the answer, or nothing."""
    key = f"postfix {name}".encode()
    link.sendall(b"%d:%s," % (len(key), key))
    reply = b""
    while not reply.endswith(b","):
        more = link.recv(4096)
        if not more:
            return "closed the connection without an answer"
        reply += more
    said = reply.partition(b":")[2].rstrip(b",").decode(errors="replace")
    return "" if said.startswith(("OK ", "NOTFOUND ")) else f"answers {said or 'nothing'}"


def _exactly(link: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = link.recv(count - len(found))
        if not more:
            raise OSError("closed the connection without an answer")
        found += more
    return found
