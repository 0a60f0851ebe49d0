# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which servers answer for a zone in public: those of its NS set, every address of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TypeAlias

import dns.exception
import dns.resolver

from ..authority import addresses_of, resolver
from ..errors import TransportError
from ..records import RRset
from ..snapshot import Snapshot
from ..wire import absolute, rrset_of
from .base import Server

Locate: TypeAlias = Callable[[Snapshot], Sequence[Server]]
"""Returns the servers to wait for."""


class NameServers:
    """Finds the servers of zones, and asks for each name once. Safe to use from several threads.

    :param resolvers: who knows the addresses of name servers; empty: whom this machine asks
    """

    def __init__(self, resolvers: Sequence[str] = ()) -> None:
        self._resolvers = tuple(resolvers)
        self._lock = Lock()
        self._addresses: dict[str, list[str]] = {}

    def __call__(self, snapshot: Snapshot) -> Sequence[Server]:
        """Return the servers in the zone's NS set; one whose name cannot be resolved has no address."""
        servers = []
        for value in snapshot.values((snapshot.zone, "NS")):
            name = str(value).rstrip(".").lower()
            glue = [str(address) for rrtype in ("A", "AAAA") for address in snapshot.values((name, rrtype))]
            servers += [Server(name, address) for address in glue or self._resolve(name)] or [Server(name, "")]
        return servers

    def _resolve(self, name: str) -> list[str]:
        with self._lock:
            if name not in self._addresses:
                self._addresses[name] = addresses_of(name, resolver(self._resolvers))
            return self._addresses[name]


def public(provider: str, zone: str, rrtype: str, resolvers: Sequence[str] = ()) -> RRset | None:
    """Return what the world sees at the apex of ``zone``, ``None`` if there is no such set.

    For what a provider's listing leaves out: SOA, NS, DNSKEY. Raises :class:`~..errors.TransportError` when no
    resolver answers.
    """
    try:
        answer = resolver(resolvers).resolve(absolute(zone), rrtype, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return None
    except dns.exception.DNSException as error:
        hint = "Check postseal_dns.resolvers, and that the zone is delegated to name servers that answer"
        raise TransportError(provider, zone, f"no resolver answers {zone} {rrtype}: {error}", hint) from None
    found = answer.rrset
    return rrset_of(zone, found, rrtype, found.ttl) if found else None
