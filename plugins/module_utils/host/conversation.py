# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A conversation with somebody else's mail server that costs no more than it may. Standard library, Python 3.9.

The standard library's client has a time limit for each line only, and keeps lines without end.
"""

from __future__ import annotations

import re
import socket
import ssl
import time

SECONDS = 5.0  # to connect to one address
LARGEST = 65536
ADDRESSES = 2  # of one server
_REPLY = re.compile(rb"(?:[2-5]\d\d-[^\n]*\n)*([2-5]\d\d)(?: ([^\n]*))?\r?\n")


class NoReplyError(OSError):
    """The server says nothing that can be used."""


class Conversation:
    """One conversation, which ends at ``end`` (time.monotonic)."""

    def __init__(self, link: socket.socket, end: float) -> None:
        self._link, self._end, self._got, self._room = link, end, b"", LARGEST

    def reply(self) -> tuple[int, str]:
        """Return code and last line of the next reply (RFC 5321 4.2.1), and keep all of its lines in ``said``."""
        while not (found := _REPLY.match(self._got)):
            self._wait()
            more = self._link.recv(4096)
            self._room -= len(more)
            if not more or self._room < 0:
                raise NoReplyError("the reply does not end")
            self._got += more
        self.said, self._got = found[0].upper(), self._got[found.end() :]
        return int(found[1]), (found[2] or b"").decode("utf-8", "replace").strip()

    def ask(self, command: str) -> tuple[int, str]:
        """Say a command and return the reply."""
        self._wait()
        self._link.sendall(command.encode("ascii") + b"\r\n")
        return self.reply()

    def secure(self, context: ssl.SSLContext, name: str = "") -> None:
        """Go on inside TLS with the server called ``name``."""
        self._wait()
        self._link, self._got = context.wrap_socket(self._link, server_hostname=name or None), b""

    def close(self) -> None:
        """Break it off."""
        self._link.close()

    def _wait(self) -> None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise NoReplyError("the time is up")
        self._link.settimeout(left)


def connect(host: str, port: int, end: float) -> socket.socket:
    """Return a connection to ``host``; raises :class:`OSError`, or :class:`ValueError` for a name that is none."""
    problem: OSError = NoReplyError("no address")
    for family, kind, number, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[:ADDRESSES]:
        link = socket.socket(family, kind, number)
        link.settimeout(max(0.1, min(SECONDS, end - time.monotonic())))
        try:
            link.connect(place)
        except OSError as error:
            link.close()
            problem = error
        else:
            return link
    raise problem
