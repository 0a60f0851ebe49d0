# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A server inside TLS that says whatever a test wants."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.postseal.mail.tests.verify.proof.targets import Endpoint

from .listening import listening


@contextmanager
def talker(certificate: Path, *, implicit: bool, says: Callable[[ssl.SSLSocket, bytes], None]) -> Iterator[Endpoint]:
    """Serve TLS on loopback; ``says`` gets the connection and the first thing that was read, and does as it likes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as secured:
            says(secured, b"")

    with listening(serve) as port:
        yield Endpoint("h", "smtp.example.com", "127.0.0.1", port, implicit_tls=implicit)
