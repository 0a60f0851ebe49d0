# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Values of the records around a mail service that are no TXT: MX, TLSA, SRV, as zone-file text."""

from __future__ import annotations

import re

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_PORT = 65535


def mx(preference: int, host: str) -> str:
    """Return MX data (RFC 5321 5.1): the lower preference is tried first."""
    return f"{preference} {host}."


def null_mx() -> str:
    """Return the MX data that says: no mail here (RFC 7505 3)."""
    return "0 ."


def cname(target: str) -> str:
    """Return CNAME data (RFC 1034 3.6.2)."""
    return f"{target}."


def tlsa_name(port: int, host: str) -> str:
    """Return where the TLSA records of a TCP service are (RFC 6698 3)."""
    return f"_{port}._tcp.{host}"


def tlsa(spki_sha256: str) -> str:
    """Return TLSA data 3 1 1: end-entity key, SPKI, SHA-256 (RFC 7671 5.1), from the digest in hex.

    It depends on the key alone, so it can be published before there is a certificate, and renewals keep it. Raises
    :class:`ValueError` for text that is no such digest.
    """
    if not _SHA256.fullmatch(spki_sha256):
        raise ValueError(f"{spki_sha256!r} is not a SHA-256 digest in lower-case hex")
    return f"3 1 1 {spki_sha256}"


def srv_name(service: str, domain: str) -> str:
    """Return where the SRV records of a TCP service are (RFC 2782)."""
    return f"_{service}._tcp.{domain}"


def srv(priority: int, port: int, host: str) -> str:
    """Return SRV data (RFC 2782): lower priorities first; hosts of one priority share evenly (weight 1)."""
    if not 0 < port <= _MAX_PORT:
        raise ValueError(f"{port} is not a TCP port")
    return f"{priority} 1 {port} {host}."
