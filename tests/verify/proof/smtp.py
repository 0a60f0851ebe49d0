# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A small SMTP client that shows everything and repairs nothing: no EOL conversion, no retry, every wait bounded.

The standard library's client normalises line ends and hides replies, which makes it useless for the probes here.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from base64 import b64encode
from dataclasses import dataclass
from types import TracebackType

from .counted import count

MAX_LINE = (
    4096  # RFC 5321 4.5.3.1.5 allows a server 512 octets; be generous to the lines of others, but not without end
)
MAX_LINES = 128
PATIENCE = 8.0  # seconds for one answer; a server that delays refusals on purpose takes two
EHLO_NAME = "postseal-probe.invalid"  # RFC 2606 2: a name that is certain not to exist, and easy to find in a header
_REPLY = re.compile(rb"(\d{3})([ -]?)(.*)", re.DOTALL)


class UnavailableError(Exception):
    """The peer could not be asked: refused, timed out, closed, shutting down (421) or not speaking the protocol."""


class RefusedError(UnavailableError):
    """The peer's address answered that nothing listens on the port."""


class Closed(UnavailableError):  # it is an event, and for some probes the right one
    """The peer ended the connection before it answered."""


@dataclass(frozen=True)
class Reply:
    """One SMTP reply: its code and its lines without the code (RFC 5321 4.2)."""

    code: int
    lines: tuple[str, ...]

    def __str__(self) -> str:
        text = f"{self.code} {self.lines[0]}" if self.lines else str(self.code)
        return text if len(text) <= 160 else text[:157] + "..."

    @property
    def refused(self) -> bool:
        """Whether the reply is a permanent refusal. A temporary one (4xx) proves nothing."""
        return 500 <= self.code <= 599

    @property
    def accepted(self) -> bool:
        """Whether the server said yes."""
        return 200 <= self.code <= 299

    def keywords(self) -> dict[str, str]:
        """Return the EHLO keywords of this reply with their parameters, in upper case (RFC 5321 4.1.1.1)."""
        words = (line.upper().partition(" ") for line in self.lines[1:])
        return {keyword: rest for keyword, _, rest in words}


class Client:
    """One connection. Use it as a context manager; every method raises :class:`UnavailableError`."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._socket = connection
        self._deadline = time.monotonic() + seconds
        self._buffer = b""
        self.greeting: Reply | None = None
        self.own_address: str = connection.getsockname()[0]

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection."""
        self._socket.close()

    @classmethod
    def connect(cls, address: str, port: int, seconds: float = 20.0) -> Client:
        """Open a TCP connection to ``address``; the whole conversation must fit into ``seconds``."""
        count("smtp")
        try:
            connection = socket.create_connection((address, port), timeout=min(seconds, 10.0))
        except ConnectionRefusedError:
            raise RefusedError(f"port {port} of {address} refuses connections") from None
        except TimeoutError:
            raise UnavailableError(
                f"port {port} of {address} does not answer within {min(seconds, 10.0):.0f} s"
            ) from None
        except OSError as error:
            raise UnavailableError(f"port {port} of {address} cannot be reached: {error.strerror or error}") from None
        return cls(connection, seconds)

    def starttls(self, context: ssl.SSLContext, name: str) -> ssl.SSLSocket:
        """Do the TLS handshake now and talk inside it from here on; ``name`` is sent as SNI and may be verified.

        Raises :class:`ssl.SSLError` for a handshake that fails, so that the caller can tell why. Bytes the peer sent
        in the clear after its last reply stay in the buffer: a probe wants to see them.
        """
        self._set_timeout()
        try:
            wrapped = context.wrap_socket(self._socket, server_hostname=name)
        except ssl.SSLError:
            raise
        except OSError as error:
            raise UnavailableError(f"the TLS handshake was cut off: {error}") from None
        self._socket = wrapped
        return wrapped

    def send(self, data: bytes) -> None:
        """Send ``data`` as it is."""
        self._set_timeout()
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise Closed(f"the server closed the connection: {error}") from None

    def receive(self, seconds: float | None = None) -> bytes:
        """Return what arrives next, at least one byte; ``seconds`` bounds this wait more tightly."""
        if self._buffer:
            taken, self._buffer = self._buffer, b""
            return taken
        self._set_timeout(seconds)
        try:
            data = self._socket.recv(MAX_LINE)
        except TimeoutError:
            raise UnavailableError("the server does not answer in time") from None
        except OSError as error:
            raise Closed(f"the server closed the connection: {error}") from None
        if not data:
            raise Closed("the server closed the connection")
        return data

    def reply(self) -> Reply:
        """Return the next reply; a 421 is raised as :class:`UnavailableError`, it says nothing about the question."""
        lines: list[str] = []
        while len(lines) < MAX_LINES:
            line = self._line()
            match = _REPLY.fullmatch(line)
            if match is None:
                raise UnavailableError(f"the server does not speak SMTP: {line[:60]!r}")
            lines.append(match[3].decode("utf-8", "replace"))
            if match[2] != b"-":
                answer = Reply(int(match[1]), tuple(lines))
                if answer.code == 421:
                    raise UnavailableError(f"the server is not available: {answer}")
                return answer
        raise UnavailableError(f"a reply has more than {MAX_LINES} lines")

    def command(self, line: str) -> Reply:
        """Send one command line and return the reply to it."""
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def greet(self) -> Reply:
        """Read the greeting and say EHLO; return the reply to that. Raises if either is not a 2xx."""
        greeting = self.reply()
        if greeting.code != 220:
            raise UnavailableError(f"the greeting is {greeting}")
        self.greeting = greeting
        return self.ehlo()

    def ehlo(self) -> Reply:
        """Say EHLO and return the reply; raises if it is not 250."""
        answer = self.command(f"EHLO {EHLO_NAME}")
        if answer.code != 250:
            raise UnavailableError(f"EHLO is answered {answer}")
        return answer

    def authenticate(self, login: str, secret: str) -> Reply:
        """AUTH PLAIN with an initial response (RFC 4616, RFC 4954 4); the caller has verified the peer."""
        token = b64encode(f"\0{login}\0{secret}".encode()).decode()
        return self.command(f"AUTH PLAIN {token}")

    def quit(self) -> None:
        """Say goodbye; nobody minds if the peer has left."""
        try:
            self.command("QUIT")
        except UnavailableError:
            return

    def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            if len(self._buffer) > MAX_LINE:
                raise UnavailableError(f"a reply line is longer than {MAX_LINE} bytes")
            kept, self._buffer = self._buffer, b""
            self._buffer = kept + self.receive()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def _set_timeout(self, seconds: float | None = None) -> None:
        left = min(self._deadline - time.monotonic(), PATIENCE)
        if left <= 0:
            raise UnavailableError("the server took too long")
        self._socket.settimeout(left if seconds is None else min(left, seconds))
