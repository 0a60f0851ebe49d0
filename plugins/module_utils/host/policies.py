# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The server of MTA-STS policies (RFC 8461 3.3), and what it serves. Standard library, Python 3.9."""

from __future__ import annotations

import re
import socket

SERVER = "nginx"
PROGRAM = "/usr/sbin/nginx"
CONF = "/etc/nginx/postseal.conf"
PORT = 443
PATH = "/.well-known/mta-sts.txt"


def served() -> dict[str, str]:
    """Return domain -> mode of each policy that this host serves, as the server's configuration has them."""
    try:
        with open(CONF, encoding="utf-8", errors="replace") as handle:
            said = handle.read()
    except OSError:
        return {}
    return dict(re.findall(r"^    server_name mta-sts\.(\S+);$[^}]*?\\nmode: (\w+)", said, re.MULTILINE))


def answers(link: socket.socket, host: str) -> str:
    """Ask a server for the policy under the name ``host``; return what is wrong with the answer, or nothing."""
    link.sendall(f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    reply = b""
    while more := link.recv(4096):
        reply += more
    head, _, body = reply.partition(b"\r\n\r\n")
    status = head.split(b"\r\n")[0].decode(errors="replace")
    if not re.match(r"HTTP/1\.1 200 ", status):
        return f"answers {status or 'nothing'}"
    if not re.search(rb"^content-type: text/plain\r?$", head, re.MULTILINE | re.IGNORECASE):
        return "does not answer with plain text"
    return "" if body.startswith(b"version: STSv1\r\n") else "does not answer with a policy"
