# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ask mail servers whether they take mail for addresses, without sending any. Standard library, Python 3.9.

A message is begun with the empty sender, as a bounce is, and given up before its content (RFC 5321 4.1.4, 4.5.5).
Whatever the other side does, it costs no more than ``LONGEST`` seconds and ``LARGEST`` octets.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PORT = 25
SECONDS = 5.0  # to connect to one address
LONGEST = 15.0  # for the servers of a domain, all in all
LARGEST = 65536
ADDRESSES = 2  # of one server
AT_ONCE = 8
_REPLY = re.compile(rb"(?:[2-5]\d\d-[^\n]*\n)*([2-5]\d\d)(?: ([^\n]*))?\r?\n")


class _NoReplyError(OSError):
    """The server says nothing that can be used."""


class _Session:
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
                raise _NoReplyError("the reply does not end")
            self._got += more
        self.said, self._got = found[0].upper(), self._got[found.end() :]
        return int(found[1]), (found[2] or b"").decode("utf-8", "replace").strip()

    def ask(self, command: str) -> tuple[int, str]:
        """Say a command and return the reply."""
        self._wait()
        self._link.sendall(command.encode("ascii") + b"\r\n")
        return self.reply()

    def secure(self) -> None:
        """Go on inside TLS, as opportunistic TLS does: whose certificate it is is for another check."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._wait()
        self._link, self._got = context.wrap_socket(self._link), b""

    def close(self) -> None:
        self._link.close()

    def _wait(self) -> None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise _NoReplyError("the time is up")
        self._link.settimeout(left)


def ask(groups: list[dict[str, Any]], hello: str, port: int = PORT) -> list[list[str]]:
    """Return for each group the answer to each of its ``recipients``, like ``250 2.1.5 Ok``.

    A group is ``{"hosts", "recipients"}``: the servers in the order in which senders try them. An answer is empty where
    none of them could be asked. ``hello`` is the name that this host greets with.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda group: _group(group["hosts"], group["recipients"], hello, port), groups))


def _group(hosts: list[str], recipients: list[str], hello: str, port: int) -> list[str]:
    found = [""] * len(recipients)
    end = time.monotonic() + LONGEST
    for host in hosts:
        try:
            # ValueError: a name that is none.
            for number, answer in enumerate(_answers(host, recipients, hello, port, end)):
                found[number] = answer
        except (OSError, ValueError):
            pass  # as a sender would go on to the next one
        if any(found) or time.monotonic() > end:
            break
    return found


def _answers(host: str, recipients: list[str], hello: str, port: int, end: float) -> Iterator[str]:
    session = _Session(_connect(host, port, end), end)
    try:
        code, _ = session.reply()
        if code != 220:  # noqa: PLR2004  # RFC 5321 4.3.2
            return
        session.ask(f"EHLO {hello}")
        if re.search(rb"^250[- ]STARTTLS\s", session.said, re.M) and session.ask("STARTTLS")[0] == 220:  # noqa: PLR2004
            session.secure()
            session.ask(f"EHLO {hello}")
        code, text = session.ask("MAIL FROM:<>")
        for recipient in recipients:
            if code == 250:  # noqa: PLR2004
                yield _said(*session.ask(f"RCPT TO:<{recipient}>"))
            else:
                yield _said(code, text)
        session.ask("QUIT")
    finally:
        session.close()


def _connect(host: str, port: int, end: float) -> socket.socket:
    problem: OSError = _NoReplyError("no address")
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


def _said(code: int, text: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return f"{code} {shown}"[:300]
