# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Answer one HTTP-01 request (RFC 8555 8.3) on standard input, or send it on to the next mail host.

Several hosts share the name applications connect to, so the authority may ask any of them for a token that only one
of them has. A host without it redirects to the next one by that host's own name, at most once round. systemd starts
this per connection. Standard library, Python 3.9.

usage: http01.py DIRECTORY [NEXT HOPS]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

LONGEST = 2048
PREFIX = "/.well-known/acme-challenge/"
# Token alphabet: base64url (RFC 8555 8.3), so that no request can name a file elsewhere.
REQUEST = re.compile(
    rf"(GET|HEAD) {re.escape(PREFIX)}([A-Za-z0-9_-]{{16,128}})(?:\?hop=(\d{{1,3}}))? HTTP/1\.[01]\r?\n"
)


class Answer(NamedTuple):
    """One HTTP response."""

    status: str
    body: bytes = b""
    location: str = ""

    def wire(self, *, body: bool) -> bytes:
        """Return it as bytes, with or without its body."""
        location = f"Location: {self.location}\r\n" if self.location else ""
        head = (
            f"HTTP/1.1 {self.status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {len(self.body)}\r\n"
            f"{location}Connection: close\r\n\r\n"
        )
        return head.encode("ascii") + (self.body if body else b"")


def answer(line: str, directory: Path, following: str = "", hops: int = 0) -> Answer:
    """Return the response to the request line ``line``.

    ``directory`` is certbot's webroot, ``following`` the next mail host, ``hops`` how many others there are.
    """
    request = REQUEST.fullmatch(line)
    if not request:
        return Answer("404 Not Found")
    token, hop = request.group(2), int(request.group(3) or 0)
    try:
        return Answer("200 OK", (directory / PREFIX.strip("/") / token).read_bytes())
    except OSError:
        pass
    if following and hop < hops:
        return Answer("302 Found", location=f"http://{following}{PREFIX}{token}?hop={hop + 1}")
    return Answer("404 Not Found")


def main(arguments: list[str]) -> None:
    """Serve the connection on standard input and output."""
    line = sys.stdin.buffer.readline(LONGEST).decode("latin-1")
    following, hops = (arguments[1], int(arguments[2])) if arguments[1:] else ("", 0)
    response = answer(line, Path(arguments[0]), following, hops)
    # Unread headers would turn the close into a reset, which may overtake the response.
    for _ in range(100):
        if sys.stdin.buffer.readline(LONGEST).strip() == b"":
            break
    sys.stdout.buffer.write(response.wire(body=not line.startswith("HEAD")))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
