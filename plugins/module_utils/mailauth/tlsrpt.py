# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Where to send reports on TLS towards a domain (RFC 8460 3): build and parse."""

from __future__ import annotations

from collections.abc import Sequence

from . import tags

VERSION = "TLSRPTv1"


def record_name(domain: str) -> str:
    """Return where the record of ``domain`` is published."""
    return f"_smtp._tls.{domain}"


def is_tlsrpt(data: bytes) -> bool:
    """Tell whether TXT data is such a record; the others at its name are discarded by senders (RFC 8460 3)."""
    return tags.begins_with(data, VERSION)


def build(rua: Sequence[str]) -> bytes:
    """Return the record as TXT data, from ``mailto:`` and ``https:`` URIs; raises :class:`ValueError` without any."""
    if not rua:
        raise ValueError("a TLSRPT record needs at least one URI (RFC 8460 3)")
    return tags.build([("v", VERSION), ("rua", ",".join(map(tags.encoded_uri, rua)))])


def parse(data: bytes) -> tuple[str, ...]:
    """Return the URIs of the record in TXT data; raises :class:`ValueError` for one that senders discard."""
    found = tags.parse(data)
    if not is_tlsrpt(data):
        raise ValueError("v=TLSRPTv1 must come first (RFC 8460 3)")
    rua = tuple(uri.strip() for uri in found.get("rua", "").split(",") if uri.strip())
    if not rua:
        raise ValueError("rua= is missing (RFC 8460 3)")
    for uri in rua:
        if not uri.lower().startswith(("mailto:", "https:")):
            raise ValueError(f"{uri} is neither mailto: nor https: (RFC 8460 3)")
    return rua
