#!/usr/bin/python3
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The MTA-STS policy (RFC 8461 3.2) of domains whose MX is this host, and nothing else, over HTTPS."""

from __future__ import annotations

import json
import socket
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CERTIFICATE, KEY = "/etc/lab/policy.crt", "/etc/lab/policy.key"
PATH = "/.well-known/mta-sts.txt"
POLICIES = json.loads(Path("/etc/lab/policies.json").read_text("utf-8"))


def policy(host: str) -> bytes:
    """The policy that is served under the name HOST; empty if none is."""
    said = POLICIES.get(host.partition(":")[0].removeprefix("mta-sts."))
    if said is None:
        return b""
    return f"version: STSv1\r\nmode: {said['mode']}\r\nmx: {said['mx']}\r\nmax_age: 86400\r\n".encode()


class Handler(BaseHTTPRequestHandler):
    """Answers GET."""

    def do_GET(self) -> None:
        """Send the policy, or 404."""
        body = policy(self.headers.get("Host", "")) if self.path == PATH else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Listens on IPv4 and IPv6; the handshake is done where the request is, so that no client holds up another."""

    address_family = socket.AF_INET6


def main() -> None:
    """Serve for ever."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE, KEY)
    server = Server(("::", 443), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main()
