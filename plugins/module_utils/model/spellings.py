# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Domains as Postfix looks them up: in an address of SMTPUTF8 mail as the application wrote it (SMTPUTF8_README)."""

from __future__ import annotations

import idna


def spellings(domain: str) -> tuple[str, ...]:
    """Return ``domain``, or ``.domain``, in A-labels, and in U-labels if these are others (RFC 5890 2.3.2.1)."""
    dot = "." if domain.startswith(".") else ""
    try:
        return tuple(dict.fromkeys((domain, dot + idna.decode(domain.removeprefix(".")))))
    except (idna.IDNAError, UnicodeError):
        return (domain,)
