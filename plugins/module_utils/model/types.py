# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The validated model: what an inventory says, in one shape that every reader shares.

All names are lower-case A-labels without a trailing dot, all addresses are canonical text. Nothing in here is ever
half-valid: :mod:`.load` either returns a whole :class:`Model` or raises every problem it found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_network

from .credentials import Credential, Probe, Quota, Rate
from .defences import Bounces, Containment, CounterStore, Firewall, Log, SendingLimits, Spike
from .domains import Dkim, Dmarc, Domain, MtaSts, Mx, Spf
from .outbound import OutboundTls
from .pace import Pace, Paced, by_domain
from .providers import Cloudflare, OctoDns, PowerDns, Provider, Rfc2136, Route53, Tsig, ZoneFile
from .relays import DIRECT, Relay, Route
from .secret import Secret
from .transports import Transports, build

__all__ = [
    "Bounces",
    "Caa",
    "Cloudflare",
    "Containment",
    "CounterStore",
    "Credential",
    "Dkim",
    "Dmarc",
    "Dns",
    "DnsLimits",
    "Domain",
    "Firewall",
    "Limits",
    "Log",
    "MailHost",
    "Model",
    "MtaSts",
    "Mx",
    "OctoDns",
    "Ports",
    "PowerDns",
    "Probe",
    "Provider",
    "Quota",
    "Rate",
    "Relay",
    "Rfc2136",
    "Route",
    "Route53",
    "Secret",
    "SendingLimits",
    "Spf",
    "Spike",
    "Submission",
    "Tls",
    "Transports",
    "Tsig",
    "ZoneFile",
]


@dataclass(frozen=True)
class MailHost:
    """One mail host: its inventory name (an FQDN) and the addresses the world sees it send from."""

    name: str
    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        """IPv4 addresses, then IPv6 addresses."""
        return self.ipv4 + self.ipv6


@dataclass(frozen=True)
class Ports:
    """TCP ports applications submit to: RFC 8314 implicit TLS, RFC 6409 STARTTLS, and an optional second STARTTLS."""

    implicit_tls: int = 465
    starttls: int = 587
    alternative: int | None = None

    @property
    def all(self) -> tuple[int, ...]:
        """Every configured port, in ascending order."""
        return tuple(sorted(p for p in (self.implicit_tls, self.starttls, self.alternative) if p is not None))


@dataclass(frozen=True)
class Limits:
    """Limits of one message: size in bytes, number of recipients."""

    message_size: int = 25 * 1024 * 1024
    recipients: int = 100


@dataclass(frozen=True)
class Submission:
    """The submission service: the shared name applications connect to (``None``: each host's own), ports, limits.

    :param reveal: what headers tell of the sender: ``client`` (its address), ``login``, ``user_agent``
    :param shared_senders: addresses and ``@domain`` that more than one credential may write as
    :param queue_lifetime: for how many seconds mail is tried that cannot be delivered; a DKIM key outlives it
    :param delay_warning: after how many seconds in the queue its sender is told so; 0 for never
    """

    hostname: str | None = None
    ports: Ports = field(default_factory=Ports)
    limits: Limits = field(default_factory=Limits)
    reveal: tuple[str, ...] = ()
    shared_senders: tuple[str, ...] = ()
    queue_lifetime: int = 5 * 86400
    delay_warning: int = 4 * 3600


@dataclass(frozen=True)
class Caa:
    """Which authority may certify the names of the service, and how (RFC 8659, RFC 8657).

    :param issuer: the domain name by which the authority calls itself
    :param accounts: URIs of the ACME accounts that may ask; empty for any
    :param methods: ACME challenges that may prove control; empty for any
    :param iodef: where the authority reports refused requests, a ``mailto:`` or ``https:`` URI
    """

    issuer: str
    accounts: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("http-01",)
    iodef: str | None = None


@dataclass(frozen=True)
class Tls:
    """Where certificates come from: ACME directory URL, account contact (an address), CA file on the controller.

    ``caa`` is published at the names of the service; ``None`` publishes nothing.
    """

    directory: str
    contact: str | None
    ca: str | None = None
    caa: Caa | None = None


@dataclass(frozen=True)
class DnsLimits:
    """How much one plan may change before it refuses itself."""

    max_deletes: int = 5
    max_changed_percent: int = 30


@dataclass(frozen=True)
class Dns:
    """DNS settings: providers by name, which provider serves which zone, TTL in seconds.

    :param resolvers: addresses the controller asks when it looks names up; empty means the system's own
    :param adopt: foreign values that stand where ours belong are taken over instead of being a conflict
    :param prune: what we published for domains and hosts that the inventory no longer names is removed
    """

    providers: tuple[Provider, ...]
    zones: tuple[tuple[str, str], ...] = ()
    ttl: int = 300
    resolvers: tuple[str, ...] = ()
    limits: DnsLimits = field(default_factory=DnsLimits)
    adopt: bool = False
    prune: bool = False

    def provider(self, name: str) -> Provider:
        """Return the provider called ``name``; raises :class:`KeyError` for one the inventory does not define."""
        return {provider.name: provider for provider in self.providers}[name]


@dataclass(frozen=True)
class Model:
    """One environment, whole and valid.

    :param limits: how much credentials may send; what one message may hold is ``submission.limits``
    """

    environment: str
    hosts: tuple[MailHost, ...]
    submission: Submission
    tls: Tls
    dns: Dns
    domains: tuple[Domain, ...]
    credentials: tuple[Credential, ...]
    probe: Probe | None = None
    limits: SendingLimits = field(default_factory=SendingLimits)
    firewall: Firewall = field(default_factory=Firewall)
    containment: Containment = field(default_factory=Containment)
    log: Log = field(default_factory=Log)
    relays: tuple[Relay, ...] = ()
    routes: tuple[Route, ...] = (Route((DIRECT,)),)
    outbound: OutboundTls = field(default_factory=OutboundTls)
    pace: Pace = field(default_factory=Pace)

    @cached_property
    def transports(self) -> Transports:
        """What Postfix needs for the routes."""
        return build(self.relays, self.routes)

    @cached_property
    def paced(self) -> dict[str, Paced]:
        """Recipient domain -> the transport by which its receiver gets mail at its own pace."""
        return by_domain(self.pace.receivers, self.routes, self.transports)

    @cached_property
    def delivers_directly(self) -> bool:
        """Whether any mail goes to the recipients' own servers."""
        return any(DIRECT in route.via for route in self.routes)

    @property
    def resolves(self) -> bool:
        """Whether mail hosts need a resolver that validates."""
        return self.delivers_directly and (self.outbound.dane or self.outbound.mta_sts)

    @property
    def obeys_mta_sts(self) -> bool:
        """Whether mail hosts ask for the policies of recipient domains."""
        return self.delivers_directly and self.outbound.mta_sts

    @cached_property
    def relays_used(self) -> tuple[Relay, ...]:
        """The relays that some route leads to, in the order of the inventory."""
        used = {name for route in self.routes for name in route.via}
        return tuple(relay for relay in self.relays if relay.name in used)

    def aliases_of(self, domain: Domain) -> tuple[tuple[str, str], ...]:
        """Return the names below ``domain``, and below no nearer one of ours, that are to lead to relays in use."""
        pairs = dict.fromkeys(pair for relay in self.relays_used for pair in relay.aliases)
        names = [one.name for one in self.sending_domains]
        return tuple(
            (alias, target)
            for alias, target in pairs
            if max((name for name in names if alias.endswith(f".{name}")), key=len, default="") == domain.name
        )

    @property
    def default_route(self) -> Route:
        """The way of all mail that no other route names."""
        return next(route for route in self.routes if route.default)

    @cached_property
    def never_banned(self) -> tuple[str, ...]:
        """Networks that failed logins never ban: those said, those applications are tied to, and the hosts' own."""
        own = (str(ip_network(address)) for host in self.hosts for address in host.addresses)
        tied = (network for credential in self.credentials for network in credential.networks)
        return tuple(dict.fromkeys((*self.firewall.never, *tied, *own)))

    @property
    def sending_domains(self) -> tuple[Domain, ...]:
        """The domains that send mail: all but the parked ones."""
        return tuple(domain for domain in self.domains if not domain.parked)

    @cached_property
    def policy_domains(self) -> tuple[Domain, ...]:
        """The domains whose MTA-STS policy the mail hosts serve."""
        return tuple(domain for domain in self.domains if domain.mta_sts and domain.mta_sts.served)

    @cached_property
    def named(self) -> frozenset[str]:
        """The domains and zones that the inventory names."""
        return frozenset((*(domain.name for domain in self.domains), *(zone for zone, _ in self.dns.zones)))

    def domain(self, name: str) -> Domain:
        """Return the domain called ``name``; raises :class:`KeyError`."""
        for candidate in self.domains:
            if candidate.name == name:
                return candidate
        raise KeyError(name)

    def host(self, name: str) -> MailHost:
        """Return the mail host called ``name``; raises :class:`KeyError`."""
        return {host.name: host for host in self.hosts}[name]

    @cached_property
    def _credentials(self) -> dict[str, Credential]:
        names = {credential.name: credential for credential in reversed(self.credentials)}
        return {**names, **{credential.login: credential for credential in self.credentials}}

    def credential(self, name: str) -> Credential:
        """Return the credential with that login, or the first with that name; raises :class:`KeyError`."""
        return self._credentials[name]

    def service_names(self, host: MailHost) -> tuple[str, ...]:
        """Names a certificate of ``host`` must carry: its own, then the shared submission name."""
        shared = self.submission.hostname
        return (host.name,) if shared in (None, host.name) else (host.name, str(shared))
