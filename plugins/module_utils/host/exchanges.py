# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""See whether mail servers can do what an MTA-STS policy asks of them (RFC 8461 4.2). Standard library, Python 3.9."""

from __future__ import annotations

import smtplib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PORT = 25
SECONDS = 15
WORKERS = 8


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
        with smtplib.SMTP(host, port, timeout=SECONDS, local_hostname=socket.getfqdn()) as client:
            client.ehlo()
            if not client.has_extn("starttls"):
                return "does not offer STARTTLS"
            client.starttls(context=ssl.create_default_context())
            client.ehlo()
    except ssl.SSLCertVerificationError as error:
        return f"shows a certificate that is not valid: {error.verify_message}"
    except (OSError, smtplib.SMTPException) as error:
        return f"could not be looked at from a mail host (port {port}): {error}"
    return ""
