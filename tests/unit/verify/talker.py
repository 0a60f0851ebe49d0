# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A server inside TLS that says whatever a test wants."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ansible_collections.postseal.mail.tests.verify.proof.targets import Endpoint


@contextmanager
def talker(certificate: Path, *, implicit: bool, says: Callable[[ssl.SSLSocket, bytes], None]) -> Iterator[Endpoint]:
    """Serve TLS on loopback; ``says`` gets the connection and the first thing that was read, and does as it likes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with suppress(OSError, ssl.SSLError), context.wrap_socket(peer, server_side=True) as secured:
                    says(secured, b"")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Endpoint("h", "smtp.example.com", "127.0.0.1", listener.getsockname()[1], implicit_tls=implicit)
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
