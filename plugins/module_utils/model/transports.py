# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""From routes to what Postfix is made of: one transport for each stretch of a way, handed over from one to the next.

A transport of Postfix has one mode of TLS and one credential for each destination. Relays that agree in that share one,
which tries them in order. Where a way goes on with another mode, with a second credential at the same place, or
directly, the transport hands what it cannot deliver over to a listener on loopback, whose mail goes by the next one
(postconf(5): smtp_fallback_relay, content_filter). docs/decisions/0028-ways-out.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .relays import DIRECT, IMPLICIT, Relay, Route

_LONGEST = 40
FIRST_PORT = 10590


def shortened(name: str) -> str:
    """Return the name of a service of master.cf, which remains one of its own where it would be too long."""
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Handover:
    """A listener on loopback, and the transport that all mail takes which comes in there.

    :param wrapped: it speaks TLS from the first byte, because the transport before it can do nothing else
    """

    port: int
    wrapped: bool
    onward: Transport

    @property
    def nexthop(self) -> str:
        """The listener as a destination."""
        return f"[127.0.0.1]:{self.port}"


@dataclass(frozen=True)
class Transport:
    """One stretch of a way: relays to try in order; without relays it delivers to the recipient's own servers.

    :param way: the names of this and all further stretches
    :param handover: where goes what none of the relays took for now; ``None``: it waits in the queue
    """

    way: tuple[str, ...]
    relays: tuple[Relay, ...]
    handover: Handover | None

    @property
    def name(self) -> str:
        """The service of master.cf; the same as long as the way is, since mail in the queue remembers it."""
        if self.way == (DIRECT,):
            return "smtp"
        plain = "_".join(("via", *self.way))  # no relay has an underscore in its name
        return shortened(plain)

    @property
    def target(self) -> str:
        """``transport:nexthop`` as tables name it (transport(5)); without next hop the recipient's domain counts."""
        return f"{self.name}:{','.join(relay.nexthop for relay in self.relays)}"

    @property
    def wrapped(self) -> bool:
        """Whether it speaks TLS from the first byte."""
        return bool(self.relays) and self.relays[0].mode == IMPLICIT

    @property
    def relay_names(self) -> tuple[str, ...]:
        """The names of its relays."""
        return tuple(relay.name for relay in self.relays)


@dataclass(frozen=True)
class Transports:
    """Everything that routes need of Postfix: ``by_way`` finds the first stretch of each."""

    all: tuple[Transport, ...]
    handovers: tuple[Handover, ...]

    def of(self, route: Route) -> Transport:
        """Return where mail of ``route`` begins its way."""
        return next(transport for transport in self.all if transport.way == route.via)

    def named(self, way: Sequence[str]) -> Transport | None:
        """Return where the way begins that has these names, or the shortest one that begins with them.

        ``direct`` alone is always there, whatever the routes say.
        """
        wanted = tuple(way)
        if wanted == (DIRECT,):
            return Transport(wanted, (), None)
        fitting = [transport for transport in self.all if transport.way[: len(wanted)] == wanted]
        return min(fitting, key=lambda transport: len(transport.way), default=None) if wanted else None


def build(relays: Iterable[Relay], routes: Iterable[Route]) -> Transports:
    """Return the transports of ``routes``, of which each names only ``relays`` and ``direct``."""
    by_name = {relay.name: relay for relay in relays}
    made: dict[tuple[str, ...], Transport] = {}
    handovers: dict[tuple[tuple[str, ...], bool], Handover] = {}

    def transport(way: tuple[str, ...]) -> Transport:
        if way not in made:
            first = stretch(way, by_name)
            rest = way[max(1, len(first)) :]
            made[way] = Transport(way, first, _handover(rest, first) if rest else None)
        return made[way]

    def _handover(rest: tuple[str, ...], before: Sequence[Relay]) -> Handover:
        wrapped = bool(before) and before[0].mode == IMPLICIT
        onward = transport(rest)
        key = (rest, wrapped)
        if key not in handovers:
            handovers[key] = Handover(FIRST_PORT + len(handovers), wrapped, onward)
        return handovers[key]

    for route in routes:
        transport(route.via)
    return Transports(tuple(made.values()), tuple(handovers.values()))


def stretch(way: Sequence[str], relays: dict[str, Relay]) -> tuple[Relay, ...]:
    """Return the relays at the beginning of ``way`` that one transport can try; none if it begins directly."""
    found: list[Relay] = []
    for name in way:
        relay = relays.get(name)
        if relay is None or (found and relay.mode != found[0].mode):
            break
        if relay.nexthop in {one.nexthop for one in found}:
            break
        found.append(relay)
    return tuple(found)
