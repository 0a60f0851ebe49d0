# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""How fast mail goes to the recipients' own servers, and the transports that large receivers have for themselves.

A pace is a property of a transport of Postfix (postconf(5): transport_destination_concurrency_limit,
transport_transport_rate_delay). A receiver with several domains counts all that one address sends it, so it has one
transport for all of them, whose processes are as many as it may have connections (master(5), maxproc).
docs/decisions/0037-pace.md
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .relays import DIRECT, Route
from .spellings import spellings
from .transports import Transport, Transports, shortened
from .warm_up import WarmUp


@dataclass(frozen=True)
class Receiver:
    """Who runs the servers of some domains, and how much they are to get at one time.

    :param concurrency: connections at one time; 1 with a ``delay``
    :param delay: seconds between one message and the next; 0 for none
    :param said: it is named in the inventory
    """

    name: str
    domains: tuple[str, ...]
    concurrency: int
    delay: int = 0
    said: bool = False

    def __str__(self) -> str:
        if self.delay:
            return f"{self.name} one message in {self.delay} seconds"
        return f"{self.name} {self.concurrency} connection{'' if self.concurrency == 1 else 's'} at one time"


# None of them documents how many connections somebody new may have. Google wants volume to rise slowly
# (support.google.com/a/answer/81126). Microsoft forbids more than 500 (sendersupport.olc.protection.outlook.com,
# Policies). Yahoo asks to be sparing with them and takes 20 messages by each (help.yahoo.com/kb/SLN3433.html). Orange
# answers "421 OFR004_104 Too many connections", and senders say from three on. So these numbers are careful ones.
BUILT_IN = (
    Receiver("google", ("gmail.com", "googlemail.com"), 5),
    Receiver(
        "microsoft",
        (
            *("outlook.com", "outlook.de", "outlook.es", "outlook.fr", "outlook.it"),
            *("hotmail.com", "hotmail.co.uk", "hotmail.de", "hotmail.es", "hotmail.fr", "hotmail.it"),
            *("live.com", "live.co.uk", "live.de", "live.fr", "live.it", "live.nl", "msn.com", "windowslive.com"),
        ),
        5,
    ),
    Receiver(
        "yahoo",
        (
            *("yahoo.com", "yahoo.ca", "yahoo.co.in", "yahoo.co.uk", "yahoo.com.br", "yahoo.de", "yahoo.es"),
            *("yahoo.fr", "yahoo.it", "ymail.com", "rocketmail.com", "aol.com", "aim.com", "verizon.net"),
        ),
        5,
    ),
    Receiver("apple", ("icloud.com", "me.com", "mac.com"), 5),
    Receiver("gmx", ("gmx.de", "gmx.net", "gmx.at", "gmx.ch", "gmx.com", "web.de", "mail.com"), 5),
    Receiver("telekom", ("t-online.de", "magenta.de"), 3),
    Receiver("orange", ("orange.fr", "wanadoo.fr"), 2),
)


@dataclass(frozen=True)
class Pace:
    """How fast mail leaves directly.

    :param concurrency: connections at one time to one recipient domain that no receiver has
    :param warm_up: how many messages a new address sends a day; ``None``: as many as there are
    """

    concurrency: int = 10
    receivers: tuple[Receiver, ...] = BUILT_IN
    warm_up: WarmUp | None = None


@dataclass(frozen=True)
class Paced:
    """A transport for one receiver: ``base`` at another pace."""

    receiver: Receiver
    base: Transport

    @property
    def name(self) -> str:
        """The service of master.cf. No receiver and no relay has an underscore in its name."""
        way = "" if self.base.way == (DIRECT,) else f"_{self.base.name}"
        return shortened(f"to_{self.receiver.name}{way}")

    @property
    def target(self) -> str:
        """``transport:`` as tables name it; the next hop is the recipient's domain."""
        return f"{self.name}:"


def by_domain(receivers: Iterable[Receiver], routes: Iterable[Route], transports: Transports) -> dict[str, Paced]:
    """Return the transport of each domain whose mail begins its way directly, of those that a receiver has.

    Where routes go by sender, mail that takes the default way gets none: a table of recipients would go before them.
    """
    listed = tuple(routes)
    said = {domain: route for route in listed for domain in route.recipient_domains}
    by_sender = any(route.senders for route in listed)
    default = None if by_sender else next((route for route in listed if route.default), None)
    found: dict[str, Paced] = {}
    for receiver in receivers:
        for domain in receiver.domains:
            route = said.get(domain, default)
            if route is not None and route.via[0] == DIRECT:
                found |= dict.fromkeys(spellings(domain), Paced(receiver, transports.of(route)))
    return found
