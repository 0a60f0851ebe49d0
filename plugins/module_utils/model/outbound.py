# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""TLS of mail that goes to the recipients' own servers, and the resolver that DANE stands on."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address

from .relays import ENCRYPT, MAY, NONE, VERIFY
from .spellings import spellings

DANE, DANE_ONLY = "dane", "dane-only"
LEVELS = (DANE, DANE_ONLY, VERIFY, ENCRYPT, MAY, NONE)
# "verify" of everybody would return most of the world's mail, "none" would send all of it in clear.
DEFAULTS = (DANE, ENCRYPT, MAY)
# Loopback of its own, so that another resolver of the host can stay on 127.0.0.1 (or 127.0.0.53, systemd-resolved).
RESOLVER = "127.0.0.153"
# Port on loopback of the table of MTA-STS policies: the default of postfix-mta-sts-resolver.
POLICIES = 8461


@dataclass(frozen=True)
class Destination:
    """A recipient domain, or with a leading dot all domains below one, whose level is another than the default.

    :param names: what the certificate must be valid for, with ``verify``; a leading dot: any name below. Empty: the
        domain or a name below it
    """

    domain: str
    tls: str
    names: tuple[str, ...] = ()

    @property
    def policy(self) -> str:
        """The level as Postfix writes it: its own ``verify`` believes names out of the DNS, ``secure`` does not."""
        if self.tls != VERIFY:
            return self.tls
        return f"secure match={':'.join(self.names)}" if self.names else "secure"

    @property
    def entries(self) -> tuple[tuple[str, str], ...]:
        """Every key by which Postfix may look it up, and the level there."""
        bare = self.domain.removeprefix(".")
        # A certificate has A-labels, and what is looked up has not.
        other = f"secure match={bare}:.{bare}" if self.policy == "secure" else self.policy
        return tuple((key, self.policy if key == self.domain else other) for key in spellings(self.domain))


@dataclass(frozen=True)
class Resolver:
    """The validating resolver on each mail host.

    :param forwarders: resolvers of the network to ask, instead of the name servers of the world
    :param private: domain -> resolvers that know it, where it is not signed, or not known to the world
    :param anchors: DS or DNSKEY records of zones whose chain of trust does not begin at the root
    """

    forwarders: tuple[str, ...] = ()
    private: tuple[tuple[str, tuple[str, ...]], ...] = ()
    anchors: tuple[str, ...] = ()

    @property
    def trusted(self) -> tuple[str, ...]:
        """The names where chains of trust begin that are said here."""
        return tuple(dict.fromkeys(anchor.split()[0] for anchor in self.anchors))

    @property
    def asks_this_host(self) -> bool:
        """Whether another resolver of the mail host itself is asked."""
        servers = (*self.forwarders, *(server for _, several in self.private for server in several))
        return any(ip_address(server).is_loopback for server in servers)

    @property
    def proven(self) -> str:
        """A name of which every answer must be signed while the resolver works."""
        return next(iter(self.trusted), ".")


@dataclass(frozen=True)
class OutboundTls:
    """How mail that goes to the recipients' own servers is protected.

    :param default: ``dane`` (where TLSA records are published, else as ``may``), ``may`` or ``encrypt``
    :param mta_sts: whether policies of recipient domains are obeyed (RFC 8461)
    :param tlsrpt_socket: where a collector of the host's own takes reports (RFC 8460), for Postfix 3.10 and later
    """

    default: str = DANE
    mta_sts: bool = True
    destinations: tuple[Destination, ...] = ()
    resolver: Resolver = field(default_factory=Resolver)
    tlsrpt_socket: str | None = None

    @property
    def address(self) -> str:
        """Where the resolver listens, on loopback."""
        return RESOLVER

    @property
    def policies_port(self) -> int:
        """Where the table of policies listens, on loopback."""
        return POLICIES

    @property
    def dane(self) -> bool:
        """Whether TLSA records are looked for anywhere."""
        levels = (self.default, *(destination.tls for destination in self.destinations))
        return any(level in (DANE, DANE_ONLY) for level in levels)

    def of(self, domain: str) -> Destination | None:
        """Return what is said of ``domain``, or else of the nearest domain above it, as Postfix looks it up."""
        said = {destination.domain: destination for destination in self.destinations}
        labels = domain.split(".")
        names = (domain, *(f".{'.'.join(labels[index:])}" for index in range(1, len(labels))))
        return next((said[name] for name in names if name in said), None)
