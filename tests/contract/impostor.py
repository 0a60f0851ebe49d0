# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A server on loopback that answers every question in its own way, over UDP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dns.flags
import dns.message

from .knot import HOST


@contextmanager
def impostor(name: str, spoil: Callable[[dns.message.Message], None]) -> Iterator[int]:
    """Answer each question with an authoritative, empty answer for ``name`` after ``spoil``; yields the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HOST, 0))
        server.settimeout(0.1)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    wire, client = server.recvfrom(65535)
                except TimeoutError:
                    continue
                answer = dns.message.make_query(name, "SOA", id=int.from_bytes(wire[:2]))
                answer.flags = dns.flags.QR | dns.flags.AA
                spoil(answer)
                server.sendto(answer.to_wire(), client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            done.set()
            thread.join()
