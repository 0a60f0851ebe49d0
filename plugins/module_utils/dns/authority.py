# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ask every authoritative server of a zone whether it answers with what was published, and wait until it does.

Resolvers are of no use here: their negative cache would answer from before the change. Queries carry RD=0, and only
answers with AA count.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

from .providers.base import Server
from .records import Key, RRset, shown
from .wire import absolute, rrset_of

_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_TIMEOUT = 3.0
Expected = Mapping[Key, RRset | None]


class NoRoute(Exception):
    """This machine has no way to the address, as with IPv6 on an IPv4-only controller: no fault of the server."""


@dataclass(frozen=True)
class WaitPolicy:
    """How long to wait in all, the first pause and the longest pause between two looks, in seconds."""

    timeout: float = 60.0
    first: float = 0.05
    longest: float = 8.0


@dataclass(frozen=True)
class ServerReport:
    """One server's answer. ``state``: ``current``, ``lagging`` or ``unreachable`` from this machine."""

    server: Server
    state: str
    detail: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.server}: {self.state}" + (f", {self.detail}" if self.detail else "")


def ask(server: Server, key: Key) -> RRset | None:
    """Return the set as ``server`` knows it, ``None`` if it has none.

    Raises :class:`NoRoute`, and :class:`ValueError` with the reason for an answer that does not count.
    """
    name, rrtype = key
    query = dns.message.make_query(absolute(name), rrtype)
    query.flags &= ~dns.flags.RD
    try:
        answer, _ = dns.query.udp_with_fallback(
            query, server.address, port=server.port, timeout=_TIMEOUT, ignore_unexpected=True
        )
    except OSError as error:
        if error.errno in _NO_ROUTE:
            raise NoRoute(str(error)) from error
        raise ValueError(f"no answer: {error.strerror or error}") from error
    except dns.exception.Timeout:
        raise ValueError(f"no answer within {_TIMEOUT:.0f} s") from None
    except (dns.exception.DNSException, EOFError) as error:
        raise ValueError(f"not a usable answer: {error}") from error
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise ValueError(f"it answers {dns.rcode.to_text(answer.rcode())}")
    if not answer.flags & dns.flags.AA:
        raise ValueError("it answers without authority (no AA)")
    found = [
        rrset_of(name, section, rrtype, section.ttl)
        for section in answer.answer
        if section.name == absolute(name) and section.rdtype == dns.rdatatype.from_text(rrtype)
    ]
    return found[0] if found else None


def difference(server: Server, expected: Expected) -> str:
    """Return how ``server`` differs from ``expected``, empty if it does not. Raises like :func:`ask`."""
    for key, wanted in sorted(expected.items()):
        found = ask(server, key)
        have, want = (set(rrset.values) if rrset else set() for rrset in (found, wanted))
        if have != want:
            missing = ", ".join(sorted(map(shown, want - have)))
            return f"{key[0]} {key[1]} " + (f"lacks {missing}" if missing else "still has values that are gone")
    return ""


def serial(server: Server, zone: str) -> int:
    """Return the serial number that ``server`` has of ``zone``. Raises like :func:`ask`."""
    found = ask(server, (zone, "SOA"))
    if found is None:
        raise ValueError("it has no SOA")
    return int(str(found.values[0]).split()[2])


@dataclass(frozen=True)
class Watch:
    """Look at servers of ``zone`` until they answer with ``expected``.

    :param tell: gets a line when a server has to be waited for
    :param known_serial: a server with this serial is taken as current without looking closer; only right where
        nothing was written
    """

    zone: str
    expected: Expected
    policy: WaitPolicy
    tell: Callable[[str], None]
    known_serial: int | None = None

    def all(self, servers: Sequence[Server]) -> list[ServerReport]:
        """Watch all ``servers`` at once until each is current or the time is up; one report per server."""
        deadline = time.monotonic() + self.policy.timeout
        if len(servers) <= 1:
            return [self.one(server, deadline) for server in servers]
        with ThreadPoolExecutor(len(servers)) as pool:
            return list(pool.map(lambda server: self.one(server, deadline), servers))

    def one(self, server: Server, deadline: float) -> ServerReport:
        """Watch one server until it is current or ``deadline`` (of the monotonic clock) has passed."""
        if not server.address:
            return ServerReport(server, "lagging", "no address of it could be found")
        started, pause, told = time.monotonic(), self.policy.first, False
        while True:
            try:
                detail = self._look(server)
            except NoRoute as error:
                return ServerReport(server, "unreachable", str(error))
            except ValueError as error:
                detail = str(error)
            now = time.monotonic()
            if not detail:
                return ServerReport(server, "current", "", now - started)
            if now >= deadline:
                return ServerReport(server, "lagging", detail, now - started)
            if not told and now - started > 1:
                self.tell(f"zone {self.zone}: waiting for {server}: {detail}")
                told = True
            time.sleep(min(pause, max(deadline - now, 0.0)))
            pause = min(pause * 1.5, self.policy.longest)

    def _look(self, server: Server) -> str:
        if self.known_serial is not None and serial(server, self.zone) == self.known_serial:
            return ""
        return difference(server, self.expected)


def behind(reports: Iterable[ServerReport]) -> list[ServerReport]:
    """Return the reports that mean failure: a server that lags, or one of whose addresses none could be reached."""
    listed = list(reports)
    seen = {report.server.name for report in listed if report.state == "current"}
    return [
        report
        for report in listed
        if report.state == "lagging" or (report.state == "unreachable" and report.server.name not in seen)
    ]


def resolver(addresses: Sequence[str]) -> dns.resolver.Resolver:
    """Return a resolver that asks ``addresses``, or those of this machine if there are none."""
    if not addresses:
        return dns.resolver.Resolver()
    made = dns.resolver.Resolver(configure=False)
    made.nameservers = list(addresses)
    return made


def addresses_of(name: str, ask_resolver: dns.resolver.Resolver) -> list[str]:
    """Return the addresses of a host name, none if they cannot be found."""
    try:
        return sorted(ask_resolver.resolve_name(absolute(name), lifetime=_TIMEOUT).addresses())
    except dns.exception.DNSException:
        return []
