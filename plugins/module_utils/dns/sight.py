# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Look at single record sets on every authoritative server of their zones: who answers what, and what may be stale."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .authority import NoRoute, ServerReport, ask, behind
from .providers.base import Server
from .records import Key, Value, shown

_WORKERS = 16


@dataclass(frozen=True)
class Seen:
    """What the servers of a zone answer for one record set.

    :param stale: for how many seconds a resolver may answer otherwise, at most: what it was told before (RFC 2308 5)
    """

    key: Key
    servers: tuple[ServerReport, ...]
    stale: int

    @property
    def exact(self) -> bool:
        """Whether every server that can be reached has what was expected, and each has an address that can be."""
        return bool(self.servers) and not behind(self.servers)

    @property
    def detail(self) -> str:
        """What stands in the way, empty if nothing does."""
        return "; ".join(map(str, behind(self.servers))) or ("" if self.servers else "the zone has no name server")


def look(zone: str, servers: Sequence[Server], wanted: Mapping[Key, Value | None]) -> list[Seen]:
    """Ask all ``servers`` of ``zone`` once for each of the ``wanted`` sets, which are of one value or absent."""
    if not wanted:
        return []
    keys = sorted(wanted)
    with ThreadPoolExecutor(_WORKERS) as pool:
        ages = list(pool.map(lambda server: _guarded(server, lambda: _negative(server, zone)), servers))
        asked = [(server, key) for key in keys for server in servers]
        answers = list(pool.map(lambda one: _guarded(one[0], lambda: _differs(one[0], one[1], wanted[one[1]])), asked))
    # A server that does not tell is found by its other answers; until then a day is what RFC 2308 5 allows at most.
    stale = max((int(detail) if state == "current" else 86400 for state, detail in ages), default=0)
    return [
        Seen(
            key,
            tuple(
                ServerReport(server, state if state != "current" or not detail else "lagging", detail)
                for (server, about), (state, detail) in zip(asked, answers, strict=True)
                if about == key
            ),
            stale,
        )
        for key in keys
    ]


def _guarded(server: Server, question: Callable[[], str]) -> tuple[str, str]:
    """Return (state, answer) where the question was answered, with the reason where it was not."""
    if not server.address:
        return "lagging", "no address of it could be found"
    try:
        return "current", question()
    except NoRoute as error:
        return "unreachable", str(error)
    except ValueError as error:
        return "lagging", str(error)


def _negative(server: Server, zone: str) -> str:
    """Return for how many seconds resolvers keep "there is none" (RFC 2308 5): the lesser of SOA TTL and MINIMUM."""
    found = ask(server, (zone, "SOA"))
    if found is None:
        raise ValueError("it has no SOA")
    return str(min(found.ttl, int(str(found.values[0]).split()[6])))


def _differs(server: Server, key: Key, wanted: Value | None) -> str:
    """Return how the answer differs from ``wanted``, empty if it does not."""
    found = ask(server, key)
    values = set(found.values) if found else set()
    if values == (set() if wanted is None else {wanted}):
        return ""
    return f"it answers {', '.join(sorted(map(shown, values))) or 'with nothing'}"
