# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A submission server on loopback that keeps what clients say: TLS from the first byte, AUTH PLAIN or LOGIN."""

from __future__ import annotations

import base64
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Session:
    """What one client did."""

    tls: str | None = None
    login: str = ""
    password: str = ""
    sender: str = ""
    recipients: list[str] = field(default_factory=list)
    message: str = ""


@dataclass
class Server:
    """Where it listens, and what clients did so far."""

    port: int
    certificate: Path
    sessions: list[Session]


class _Handler(socketserver.StreamRequestHandler):
    server: _Listener

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def _line(self) -> str:
        return self.rfile.readline().decode().rstrip("\r\n")

    def _decoded(self) -> str:
        return base64.b64decode(self._line()).decode()

    def handle(self) -> None:
        session = Session(tls=self.request.version())
        self.server.sessions.append(session)
        self._say("220 localhost ESMTP")
        while line := self._line():
            verb, _, rest = line.partition(" ")
            if verb.upper() in ("EHLO", "HELO"):
                self._say("250-localhost")
                self._say("250 AUTH PLAIN LOGIN")
            elif verb.upper() == "AUTH":
                self._authenticate(session, *rest.split(" "))
                self._say("235 2.7.0 ok")
            elif verb.upper() == "MAIL":
                session.sender = rest.partition("<")[2].partition(">")[0]
                self._say("250 ok")
            elif verb.upper() == "RCPT":
                session.recipients.append(rest.partition("<")[2].partition(">")[0])
                self._say("250 ok")
            elif verb.upper() == "DATA":
                self._say("354 go on")
                while (data := self._line()) != ".":
                    session.message += data + "\n"
                self._say("250 ok")
            elif verb.upper() == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("502 what")

    def _authenticate(self, session: Session, mechanism: str, initial: str = "") -> None:
        if mechanism == "PLAIN":
            if not initial:
                self._say("334 ")
            text = base64.b64decode(initial).decode() if initial else self._decoded()
            _, session.login, session.password = text.split("\0")
            return
        self._say("334 VXNlcm5hbWU6")
        session.login = self._decoded()
        self._say("334 UGFzc3dvcmQ6")
        session.password = self._decoded()


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    sessions: list[Session]
    context: ssl.SSLContext

    def get_request(self) -> tuple[ssl.SSLSocket, object]:
        connection, address = super().get_request()
        return self.context.wrap_socket(connection, server_side=True), address


@contextmanager
def serving(directory: Path) -> Iterator[Server]:
    """Serve as ``localhost`` with a certificate of its own until the block ends."""
    key, certificate = directory / "server.key", directory / "server.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    with _Listener(("127.0.0.1", 0), _Handler) as listener:
        listener.sessions = []
        listener.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        listener.context.load_cert_chain(certificate, key)
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        try:
            yield Server(listener.server_address[1], certificate, listener.sessions)
        finally:
            listener.shutdown()
            thread.join()
