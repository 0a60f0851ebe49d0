# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""See whether mail servers can do what an MTA-STS policy asks of them (RFC 8461 4.2). Standard library, Python 3.9."""

from __future__ import annotations

import re
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .conversation import Conversation, connect

PORT = 25
LONGEST = 20.0  # for one server
WORKERS = 8
READY = 220  # RFC 5321 4.2.3


def look(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return ``{"wrong": {host: why}}`` of those of ``hosts`` that were not seen to offer STARTTLS with a certificate
    that is valid for their name by an authority this host knows.
    """
    hosts = arguments["hosts"]
    with ThreadPoolExecutor(WORKERS) as pool:
        return {"wrong": {host: why for host, why in zip(hosts, pool.map(wrong, hosts)) if why}}


def wrong(host: str, port: int = PORT) -> str:
    """Return what keeps a server from being trusted by its name, empty if nothing does."""
    try:
        return _wrong(host, port, time.monotonic() + LONGEST)
    except ssl.SSLCertVerificationError as error:
        return f"shows a certificate that is not valid: {error.verify_message}"
    except (OSError, ValueError) as error:
        return f"could not be looked at from a mail host (port {port}): {error}"


def _wrong(host: str, port: int, end: float) -> str:
    client = Conversation(connect(host, port, end), end)
    try:
        if client.reply()[0] != READY:
            return "lets nobody in"
        client.ask(f"EHLO {socket.getfqdn()}")
        if not re.search(rb"^250[- ]STARTTLS\s", client.said, re.M) or client.ask("STARTTLS")[0] != READY:
            return "does not offer STARTTLS"
        client.secure(ssl.create_default_context(), host)
        client.ask(f"EHLO {socket.getfqdn()}")
        client.ask("QUIT")
    finally:
        client.close()
    return ""
