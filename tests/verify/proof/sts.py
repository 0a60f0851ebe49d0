# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The MTA-STS policy of a domain, fetched as senders fetch it (RFC 8461 3.2, 3.3)."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from .names import Names
from .outcome import CheckFailedError
from .smtp import UnavailableError
from .tls import of_the_world

PATH = "/.well-known/mta-sts.txt"
LIMIT = 64 * 1024  # RFC 8461 3.3
SECONDS = 10.0
DAY, YEAR = 86400, 31557600


@dataclass(frozen=True)
class Policy:
    """What the policy host answers: HTTP status, media type, text; ``failure`` is why HTTPS did not come about."""

    status: int = 0
    kind: str = ""
    text: str = ""
    failure: str = ""

    def fields(self) -> dict[str, list[str]]:
        """Return the values of each key of the policy, in order."""
        found: dict[str, list[str]] = {}
        for line in self.text.splitlines():
            name, colon, value = line.partition(":")
            if colon:
                found.setdefault(name.strip(), []).append(value.strip())
        return found


def fetch(domain: str, names: Names, ca: str | None, port: int = 443) -> Policy:
    """Fetch the policy of ``domain``; raises :class:`UnavailableError` if its host does not answer in time."""
    host = f"mta-sts.{domain}"
    addresses = names.addresses(host)
    if not addresses:
        return Policy(failure=f"{host} has no address")
    try:
        plain = socket.create_connection((addresses[0], port), timeout=SECONDS)
    except OSError as error:
        raise UnavailableError(f"{host} ({addresses[0]}) cannot be reached: {error.strerror or error}") from None
    secured = of_the_world(ca).wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    # Every read has a limit of its own; this one holds for all of them together.
    end = threading.Timer(SECONDS, _cut, (secured,))
    end.daemon = True
    end.start()
    try:
        secured.do_handshake()
        return _get(secured, host)
    except ssl.SSLCertVerificationError as error:
        return Policy(failure=f"the certificate of {host} is not valid: {error.verify_message}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnavailableError(f"{host} does not answer as HTTPS: {error}") from None
    finally:
        end.cancel()
        secured.close()


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        # Of the connection below TLS: a goodbye inside TLS would wait for the peer's.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _get(secured: ssl.SSLSocket, host: str) -> Policy:
    secured.sendall(f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    with http.client.HTTPResponse(secured, method="GET") as answer:
        answer.begin()
        body = answer.read(LIMIT + 1)
        return Policy(answer.status, answer.headers.get_content_type(), body.decode("utf-8", "replace"))


def expect_policy(policy: Policy, exchanges: Iterable[str]) -> None:
    """Pass if senders can use the policy, and it covers every host that receives mail."""
    if policy.failure:
        raise CheckFailedError(policy.failure)
    if policy.status != http.client.OK:
        raise CheckFailedError(f"the policy is answered with status {policy.status}; redirects are not followed")
    said = policy.fields()
    wrong = [] if policy.kind == "text/plain" else [f"its media type is {policy.kind}, not text/plain"]
    if said.get("version") != ["STSv1"]:
        wrong.append("it does not say version: STSv1")
    if (mode := said.get("mode", ["nothing"])[0]) not in ("enforce", "testing"):
        wrong.append(f"its mode is {mode}")
    age = said.get("max_age", [""])[0]
    if not age.isdigit() or not DAY <= int(age) <= YEAR:
        wrong.append(f"max_age is {age or 'missing'}, not between {DAY} and {YEAR}")
    uncovered = [host for host in exchanges if not any(_covers(pattern, host) for pattern in said.get("mx", []))]
    wrong += [f"it does not name {host}, which receives mail" for host in uncovered]
    if wrong:
        raise CheckFailedError("; ".join(wrong))


def _covers(pattern: str, host: str) -> bool:
    """Tell whether an ``mx`` pattern matches; a wildcard stands for the leftmost label (RFC 8461 4.1)."""
    pattern, host = pattern.rstrip(".").lower(), host.lower()
    return pattern == host or (pattern.startswith("*.") and host.partition(".")[2] == pattern[2:])
