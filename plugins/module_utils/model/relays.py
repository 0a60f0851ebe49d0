# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The ways out: smarthosts that take mail for delivery, and which mail goes by which of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from .secret import Secret
from .spellings import spellings

DIRECT = "direct"
IMPLICIT, STARTTLS = "implicit_tls", "starttls"
VERIFY, ENCRYPT, MAY, NONE = "verify", "encrypt", "may", "none"


@dataclass(frozen=True)
class Relay:
    """A smarthost.

    :param mode: ``starttls``, or ``implicit_tls`` as on port 465 (RFC 8314 3.3)
    :param tls: ``verify`` (the certificate must be valid for ``host``), ``encrypt``, ``may`` or ``none``
    :param login: its credential with ``secret``; both or neither
    :param ca: file on the controller with the authority of its certificate; ``None`` for the host's own store
    :param spf: names to include in the SPF record of every domain that sends by it
    :param rewrites: it replaces the envelope sender by one of its own, so SPF is its own business
    :param aliases: names below sending domains, and where its operator wants them to lead
    """

    name: str
    host: str
    port: int = 587
    mode: str = STARTTLS
    tls: str = VERIFY
    login: str | None = field(default=None, repr=False)  # for some providers it is the password too
    secret: Secret | None = None
    ca: str | None = None
    spf: tuple[str, ...] = ()
    rewrites: bool = False
    aliases: tuple[tuple[str, str], ...] = ()

    @property
    def nexthop(self) -> str:
        """The destination as Postfix writes it; brackets: the host itself, not its MX."""
        return f"[{self.host}]:{self.port}"


@dataclass(frozen=True)
class Route:
    """The way of the mail that one of its criteria names; all of them are of one kind. None: the default.

    :param via: names of relays, or ``direct``, in the order in which they are tried
    :param streams: labels of credentials
    :param credentials: logins
    :param recipient_domains: where the mail is going
    :param senders: envelope senders, addresses or ``@domain``
    """

    via: tuple[str, ...]
    streams: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    recipient_domains: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()

    @property
    def recipient_keys(self) -> tuple[str, ...]:
        """The recipient domains as Postfix may look them up."""
        return tuple(key for domain in self.recipient_domains for key in spellings(domain))

    @property
    def default(self) -> bool:
        """Whether it is the way of all that no other route names."""
        return not (self.streams or self.credentials or self.recipient_domains or self.senders)
