# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Public halves of the keys that live on the mail hosts: the only part of a key the controller ever sees."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..dkim.states import Lifecycle


@dataclass(frozen=True)
class NewKey:
    """A DKIM key to make."""

    domain: str
    selector: str
    algorithm: str


@dataclass(frozen=True)
class DkimPublicKey:
    """One DKIM key: ``public`` is the base64 text of the record's ``p=`` tag (RFC 6376 3.6.1, RFC 8463 4.2)."""

    domain: str
    selector: str
    algorithm: str
    public: str


@dataclass(frozen=True)
class TlsPublicKey:
    """One TLS key: ``spki_sha256`` is the lower-case hex of TLSA 3 1 1 association data (RFC 6698)."""

    name: str
    spki_sha256: str


@dataclass(frozen=True)
class HostKeys:
    """What one mail host holds: its inventory name, its keys, and what it knows of the DKIM keys' states."""

    host: str
    dkim: tuple[DkimPublicKey, ...]
    tls: tuple[TlsPublicKey, ...]
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
