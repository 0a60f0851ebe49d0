# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A gateway in front of an HTTP API on loopback: passes requests on, loses answers or gives its own."""

from __future__ import annotations

import http.client
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from .knot import HOST


class Gateway:
    """``lose``: methods whose requests arrive and whose answers do not, each once; ``answer``: statuses of its own."""

    def __init__(self, target: int, *, certificate: Path | None = None, key: Path | None = None) -> None:
        self.seen: list[str] = []
        self.lose: set[str] = set()
        self.answer: dict[str, int] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._pass_on(self, target)

            do_PATCH = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  # the names that http.server calls

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer((HOST, 0), Handler)
        if certificate and key:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://{HOST}:{self.server.server_port}"
        # A client that does not trust us hangs up; that is what the test looks for, no traceback needed.
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]

    def _pass_on(self, handler: BaseHTTPRequestHandler, target: int) -> None:
        method = handler.command
        self.seen.append(method)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        if method in self.answer:
            handler.send_response(self.answer[method])
            handler.send_header("Location", f"{self.url}/elsewhere")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        connection = http.client.HTTPConnection(HOST, target, timeout=10)
        connection.request(method, handler.path, body or None, dict(handler.headers))
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        if method in self.lose:
            self.lose.discard(method)
            handler.close_connection = True
            return
        handler.send_response(answer.status)
        handler.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
        handler.send_header("Content-Length", str(len(said)))
        handler.end_headers()
        handler.wfile.write(said)

    def __enter__(self) -> Gateway:
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Return certificate and key for the loopback address."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    options = ["-subj", "/CN=gateway", "-addext", f"subjectAltName=IP:{HOST}", "-days", "2", "-nodes"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command = ["openssl", "req", "-x509", *curve, *options, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key
