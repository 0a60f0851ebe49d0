# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""DKIM key records (RFC 6376 3.6.1, RFC 8463): build and parse."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass

from . import tags

_ED25519_LENGTH = 32


@dataclass(frozen=True)
class Dkim:
    """What a key record says: ``key_type`` is ``rsa`` or ``ed25519``; ``public`` is base64, empty when revoked."""

    key_type: str
    public: str
    hashes: tuple[str, ...] = ()
    services: tuple[str, ...] = ("*",)
    flags: tuple[str, ...] = ()


def record_name(domain: str, selector: str) -> str:
    """Return where the key of ``selector`` is published."""
    return f"{selector}._domainkey.{domain}"


def key_type(algorithm: str) -> str:
    """Return the ``k=`` tag of one of our algorithms (``rsa2048``, ``rsa-sha256``, ``ed25519``...)."""
    if algorithm.startswith("rsa"):
        return "rsa"
    if algorithm.startswith("ed25519"):
        return "ed25519"
    raise ValueError(f"{algorithm} is not a DKIM algorithm (RFC 8301, RFC 8463)")


def build(algorithm: str, public: str) -> bytes:
    """Return the key record as TXT data.

    ``h=sha256`` forbids SHA-1 (RFC 8301 3.1), ``s=email`` any other service, ``t=s`` signatures whose ``i=`` is a
    subdomain: nothing of ours makes such. Raises :class:`ValueError` for a key that is not base64 of its type.
    """
    record = Dkim(key_type(algorithm), public)
    _check(record)
    head = [("v", "DKIM1"), ("k", record.key_type), ("h", "sha256"), ("s", "email"), ("t", "s")]
    return tags.build([*head, ("p", record.public)])


REVOKED = b"v=DKIM1; p="
"""A key record without a key: whatever is signed with its selector fails (RFC 6376 3.6.1)."""


def parse(data: bytes) -> Dkim:
    """Return what the record in TXT data says; raises :class:`ValueError` for one that verifiers would ignore."""
    found = tags.parse(data)
    if found.get("v", "DKIM1") != "DKIM1" or ("v" in found and next(iter(found)) != "v"):
        raise ValueError("v= must come first and be DKIM1 (RFC 6376 3.6.1)")
    if "p" not in found:
        raise ValueError("p= is missing (RFC 6376 3.6.1)")

    def listed(tag: str, default: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in found.get(tag, default).split(":") if part.strip())

    public = re.sub(r"\s+", "", found["p"])
    record = Dkim(found.get("k", "rsa"), public, listed("h", ""), listed("s", "*"), listed("t", ""))
    _check(record)
    return record


def _check(record: Dkim) -> None:
    try:
        key = b64decode(record.public, validate=True)
    except (Base64Error, ValueError):
        raise ValueError("p= is not base64 (RFC 6376 3.6.1)") from None
    if record.key_type == "ed25519" and key and len(key) != _ED25519_LENGTH:
        raise ValueError(f"an Ed25519 key has 32 octets, this one {len(key)} (RFC 8463 4.2)")
