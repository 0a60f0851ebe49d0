# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Fetch an MTA-STS policy as senders do (RFC 8461 3.3), from one address of its host."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .mtasts import PATH, Policy, parse_policy, policy_host

LIMIT = 64 * 1024  # RFC 8461 3.3
SECONDS = 10.0
# Without a route, without an address of that family, and without the family.
NO_WAY = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class UnreachableError(Exception):
    """The host does not answer in time, or not as HTTPS; the text says why."""


class NoWayError(UnreachableError):
    """This machine has no way to such addresses, often to none of IPv6; that says nothing about the host."""


@dataclass(frozen=True)
class Fetched:
    """What a policy host answers: HTTP status, media type, text; ``failure`` is why HTTPS did not come about."""

    status: int = 0
    kind: str = ""
    text: str = ""
    failure: str = ""

    def policy(self) -> Policy:
        """Return the policy; raises :class:`ValueError` saying why senders would not take it."""
        if self.failure:
            raise ValueError(self.failure)
        if self.status != http.client.OK:
            raise ValueError(f"the policy is answered with status {self.status}; redirects are not followed")
        if self.kind != "text/plain":
            raise ValueError(f"its media type is {self.kind[:60]!r}, not text/plain")
        return parse_policy(self.text)


def trusting_the_world(ca: str | None) -> ssl.SSLContext:
    """Return a verifying context: the system's authorities, and those in the file ``ca`` besides."""
    context = ssl.create_default_context()
    if ca:
        context.load_verify_locations(Path(ca).expanduser())
    return context


def reach(address: str, port: int, seconds: float) -> socket.socket:
    """Return a connection; raises :class:`UnreachableError`."""
    try:
        return socket.create_connection((address, port), timeout=seconds)
    except OSError as error:
        kind = NoWayError if error.errno in NO_WAY else UnreachableError
        raise kind(f"cannot be reached: {error.strerror or error}") from None


def fetch(domain: str, address: str, context: ssl.SSLContext, port: int = 443) -> Fetched:
    """Fetch the policy of ``domain`` from ``address``; raises :class:`UnreachableError`."""
    host = policy_host(domain)
    plain = reach(address, port, SECONDS)
    try:
        secured = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    except OSError as error:  # it has hung up already
        plain.close()
        raise UnreachableError(f"does not answer as HTTPS: {error}") from None
    # Every read has a limit of its own; this one holds for all of them together.
    end = threading.Timer(SECONDS, _cut, (secured,))
    end.daemon = True
    end.start()
    try:
        secured.do_handshake()
        return _get(secured, host)
    except ssl.SSLCertVerificationError as error:
        return Fetched(failure=f"the certificate of {host} is not valid: {error.verify_message}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnreachableError(f"does not answer as HTTPS: {str(error)[:200]!r}") from None
    finally:
        end.cancel()
        secured.close()


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        # Of the connection below TLS: a goodbye inside TLS would wait for the peer's.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _get(secured: ssl.SSLSocket, host: str) -> Fetched:
    secured.sendall(f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    with http.client.HTTPResponse(secured, method="GET") as answer:
        answer.begin()
        body = answer.read(LIMIT + 1)
        # Without the header, or with one that means nothing, the library says text/plain.
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Fetched(answer.status, kind, body.decode("utf-8", "replace"))
