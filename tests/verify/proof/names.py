# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""DNS as the world sees it: every authoritative server asked by itself, and a resolver for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.reversename
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.dns.wire import value_of

from .counted import count

SECONDS = 2.0
ATTEMPTS = 2
MAX_NAMESERVERS = 20


class LookupFailedError(Exception):
    """A question to the DNS got no usable answer; the text says which and why. No answer is not the answer "no"."""


@dataclass(frozen=True)
class Server:
    """One authoritative server of a zone, by one of its addresses."""

    name: str
    address: str
    port: int = 53


@dataclass(frozen=True)
class Answer:
    """What one server said about a name and type. ``failure`` is set if it could not be asked or would not answer.

    ``until`` is when the first of its signatures expires, in seconds of the epoch; 0 without any.
    """

    server: Server
    values: tuple[Value, ...] = ()
    signed: bool = False
    failure: str = ""
    until: int = 0


@dataclass
class Names:
    """Asks and remembers. ``resolvers`` are addresses; none means those of the system."""

    resolvers: Sequence[str]
    _servers: dict[str, tuple[Server, ...]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._resolver = dns.resolver.Resolver(configure=not self.resolvers)
        if self.resolvers:
            self._resolver.nameservers = list(self.resolvers)
        self._resolver.lifetime = SECONDS * ATTEMPTS
        self._resolver.cache = dns.resolver.LRUCache()
        self._resolver.use_edns(0, dns.flags.DO, 1232)
        self._resolver.flags = dns.flags.RD | dns.flags.AD

    def resolve(self, name: str, rdtype: str) -> tuple[Value, ...]:
        """Return what the resolver says; nothing for NXDOMAIN and NODATA. Raises :class:`LookupFailedError`."""
        return self._ask_resolver(name, rdtype)[0]

    def exists(self, name: str) -> bool:
        """Whether the resolver says that there is such a name, or anything below it (RFC 8020 2)."""
        count("dns")
        try:
            self._resolver.resolve(dns.name.from_text(name), "TXT", raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return False
        except dns.exception.DNSException as error:
            raise LookupFailedError(f"{name} TXT cannot be resolved: {_short(error)}") from None
        return True

    def authenticated(self, name: str, rdtype: str) -> bool:
        """Whether the resolver vouches for the answer by DNSSEC (the AD bit, RFC 4035 3.2.3)."""
        return self._ask_resolver(name, rdtype)[1]

    def pointers(self, address: str) -> tuple[str, ...]:
        """Return the names in the PTR records of ``address``, without the trailing dot."""
        values = self.resolve(dns.reversename.from_address(address).to_text(), "PTR")
        return tuple(str(value).rstrip(".").lower() for value in values)

    def addresses(self, name: str) -> tuple[str, ...]:
        """Return the A and AAAA records of ``name``."""
        return tuple(str(value) for rdtype in ("A", "AAAA") for value in self.resolve(name, rdtype))

    def servers(self, name: str) -> tuple[Server, ...]:
        """Return the authoritative servers of the zone that ``name`` is in, one address each."""
        try:
            zone = dns.resolver.zone_for_name(name, resolver=self._resolver).to_text().rstrip(".").lower()
        except dns.exception.DNSException as error:
            raise LookupFailedError(f"the zone of {name} cannot be found: {_short(error)}") from None
        with self._lock:
            if zone in self._servers:
                return self._servers[zone]
        hosts = [str(value).rstrip(".").lower() for value in self.resolve(zone, "NS")][:MAX_NAMESERVERS]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(self.addresses, hosts))
        without = [host for host, addresses in zip(hosts, found, strict=True) if not addresses]
        if without or not hosts:
            raise LookupFailedError(
                f"no address is known for {', '.join(without) or 'any server'} of {zone or 'the root'}"
            )
        servers = tuple(Server(host, addresses[0]) for host, addresses in zip(hosts, found, strict=True))
        with self._lock:
            self._servers[zone] = servers
        return servers

    def ask_all(self, name: str, rdtype: str) -> tuple[Answer, ...]:
        """Ask every authoritative server of ``name``; raises :class:`LookupFailedError` if they cannot be found."""
        servers = self.servers(name)
        with ThreadPoolExecutor(len(servers)) as pool:
            return tuple(pool.map(lambda server: ask(server, name, rdtype), servers))

    def _ask_resolver(self, name: str, rdtype: str) -> tuple[tuple[Value, ...], bool]:
        count("dns")
        try:
            answer = self._resolver.resolve(dns.name.from_text(name), rdtype, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return (), False
        except dns.exception.DNSException as error:
            raise LookupFailedError(f"{name} {rdtype} cannot be resolved: {_short(error)}") from None
        values = _values(answer.response, answer.canonical_name, rdtype)
        return values, bool(answer.response.flags & dns.flags.AD)


def ask(server: Server, name: str, rdtype: str) -> Answer:
    """Ask one server, over UDP and then TCP if the answer is cut off; no exception, the failure is in the answer."""
    query = dns.message.make_query(name, rdtype, want_dnssec=True, payload=1232)
    query.flags &= ~dns.flags.RD
    failure = ""
    for _ in range(ATTEMPTS):
        count("dns")
        try:
            response, _tcp = dns.query.udp_with_fallback(query, server.address, SECONDS, server.port)
        except (dns.exception.DNSException, OSError, EOFError) as error:
            failure = f"does not answer: {_short(error)}"
            continue
        if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return Answer(server, failure=f"answers {dns.rcode.to_text(response.rcode())}")
        if not response.flags & dns.flags.AA:
            return Answer(server, failure="does not answer with authority (lame delegation)")
        ends = _signatures_end(response)
        values = _values(response, query.question[0].name, rdtype)
        return Answer(server, values, bool(ends), until=min(ends, default=0))
    return Answer(server, failure=failure)


def _signatures_end(response: dns.message.Message) -> list[int]:
    """Return when each signature in a response expires (RFC 4034 3.1.5)."""
    sections = response.answer + response.authority
    return [int(rdata.expiration) for rrset in sections if rrset.rdtype == dns.rdatatype.RRSIG for rdata in rrset]


def _values(response: dns.message.Message, name: dns.name.Name, rdtype: str) -> tuple[Value, ...]:
    """Return record data in the form in which it is claimed."""
    wanted = dns.rdatatype.from_text(rdtype)
    return tuple(
        value_of(rdata) for rrset in response.answer if rrset.rdtype == wanted and rrset.name == name for rdata in rrset
    )


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."
