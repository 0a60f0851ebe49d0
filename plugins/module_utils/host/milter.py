# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Show a milter one message, the way Postfix would, and see what it does to it. Standard library, Python 3.9.

Source of the protocol: libmilter/mfdef.h of Sendmail 8.14 and later (commands, replies, negotiation flags).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time

from .errors import HostError

VERSION = 6
ACTIONS = 0x1FF  # all that a milter may ask for
# A milter that sets one of these does not answer the command (SMFIP_NR_*).
SILENT = {
    b"C": 0x1000,
    b"H": 0x2000,
    b"M": 0x4000,
    b"R": 0x8000,
    b"T": 0x10000,
    b"L": 0x80,
    b"N": 0x40000,
    b"B": 0x80000,
}
REFUSED = {b"t": "defers it", b"r": "rejects it", b"d": "discards it"}


class MilterError(HostError):
    """The milter does not do what it is there for; the text says what it does instead."""


def negotiate(link: socket.socket) -> int:
    """Agree on options; return the milter's protocol flags. Raises :class:`MilterError`."""
    _send(link, b"O", struct.pack("!III", VERSION, ACTIONS, sum(SILENT.values())))
    code, data = _receive(link)
    if code != b"O" or len(data) < 12:  # noqa: PLR2004  # three numbers of 32 bits
        raise MilterError("the milter does not answer the negotiation")
    flags: int = struct.unpack("!III", data[:12])[2]
    return flags


def show(link: socket.socket, login: str, sender: str) -> list[str]:
    """Show a message from ``sender``, by ``login`` (or nobody), to nobody; return the names of headers it adds.

    Raises :class:`MilterError` if the milter would not let it pass.
    """
    flags = negotiate(link)
    text = [
        ("From", f"<{sender}>"),
        ("To", "<postmaster@postseal-probe.invalid>"),
        ("Subject", "postseal probe"),
        ("Date", time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())),
        ("Message-ID", f"<{time.time_ns()}@postseal-probe.invalid>"),
    ]
    steps = [
        (b"D", b"C" + _strings("j", "localhost", "{client_addr}", "127.0.0.1")),
        (b"C", b"localhost\0" + b"4" + struct.pack("!H", 25) + b"127.0.0.1\0"),
        (b"H", _strings("localhost")),
        (b"D", b"M" + _strings("i", "probe", "{mail_addr}", sender, *(("{auth_authen}", login) if login else ()))),
        (b"M", _strings(f"<{sender}>")),
        (b"R", _strings("<postmaster@postseal-probe.invalid>")),
        (b"T", b""),
        *((b"L", _strings(name, value)) for name, value in text),
        (b"N", b""),
        (b"B", b"This message is shown to the milter alone.\r\n"),
    ]
    for code, data in steps:
        _send(link, code, data)
        if code != b"D" and not flags & SILENT[code]:
            _judge(*_receive(link))
    _send(link, b"E", b"")
    added: list[str] = []
    while True:
        code, data = _receive(link)
        if code in (b"a", b"c"):
            return added
        if code in (b"h", b"i"):
            added.append(data[4 if code == b"i" else 0 :].split(b"\0")[0].decode(errors="replace"))
        _judge(code, data)


def part(link: socket.socket) -> None:
    """End the conversation as agreed; a milter complains in its log about a connection that just ends."""
    with contextlib.suppress(OSError):
        _send(link, b"Q", b"")


def _judge(code: bytes, data: bytes) -> None:
    if code == b"y":
        raise MilterError(f"the milter answers {data.rstrip(bytes(1)).decode(errors='replace')!r}")
    if code in REFUSED:
        raise MilterError(f"the milter {REFUSED[code]}")


def _strings(*values: str) -> bytes:
    return b"".join(value.encode() + b"\0" for value in values)


def _send(link: socket.socket, code: bytes, data: bytes) -> None:
    link.sendall(struct.pack("!I", len(data) + 1) + code + data)


def _receive(link: socket.socket) -> tuple[bytes, bytes]:
    length: int = struct.unpack("!I", _exactly(link, 4))[0]
    packet = _exactly(link, length)
    return packet[:1], packet[1:]


def _exactly(link: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        more = link.recv(count - len(received))
        if not more:
            raise MilterError("the milter closed the connection")
        received += more
    return received
