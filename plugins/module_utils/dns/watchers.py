# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Look at records without the provider that writes them: the zone and its servers are found as the world finds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dns.exception
import dns.resolver

from .authority import addresses_of, resolver
from .errors import DnsError
from .providers.base import Server
from .records import Key, Value
from .sight import Seen, look
from .wire import absolute, plain


def look_up(name: str, wanted: Mapping[Key, Value | None], resolvers: Sequence[str]) -> list[Seen]:
    """Return what every authoritative server of the zone that holds ``name`` answers for the ``wanted`` sets.

    ``resolvers`` as in :func:`.authority.resolver`. Raises :class:`DnsError` where the zone cannot be found.
    """
    if not wanted:
        return []
    asked = resolver(resolvers)
    try:
        zone = plain(dns.resolver.zone_for_name(absolute(name), resolver=asked))
        listed = asked.resolve(absolute(zone), "NS", search=False)
    except dns.exception.DNSException as error:
        raise DnsError(f"its name servers cannot be found: {error}") from None
    servers = []
    for one in sorted(plain(record.target) for record in listed):
        servers += [Server(one, address) for address in addresses_of(one, asked)] or [Server(one, "")]
    return look(zone, servers, wanted)
