# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What protects the service and its logs: where quotas are counted, who is banned, what suspends a credential."""

from __future__ import annotations

from dataclasses import dataclass, field

from .credentials import Rate
from .secret import Secret


@dataclass(frozen=True)
class CounterStore:
    """The Redis or Valkey server that all mail hosts of the environment count in.

    :param host: the mail host that runs it; ``None`` for a server that is somebody else's business
    :param address: where the mail hosts reach it
    :param password: ``None`` only where one mail host keeps it to itself
    """

    host: str | None
    address: str
    port: int = 6379
    password: Secret | None = None


@dataclass(frozen=True)
class SendingLimits:
    """Limits of what credentials may send: the default for those that say nothing, and where it is counted.

    ``store`` is ``None`` where no credential has a limit and nothing else has to be counted.
    """

    default: Rate = field(default_factory=Rate)
    store: CounterStore | None = None


@dataclass(frozen=True)
class Firewall:
    """Who is kept from the submission ports after failed logins from one address.

    :param failures: how many, within ``within`` seconds
    :param ban: seconds until the address may try again
    :param never: networks that are never banned
    """

    enabled: bool = True
    failures: int = 10
    within: int = 600
    ban: int = 3600
    never: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spike:
    """Suspend a credential that reaches ``at_least`` recipients and ``factor`` times its busiest hour so far."""

    factor: int = 10
    at_least: int = 200


@dataclass(frozen=True)
class Bounces:
    """Suspend a credential of whose recipients in a day ``percent`` and no fewer than ``at_least`` bounced."""

    percent: int = 20
    at_least: int = 50


@dataclass(frozen=True)
class Containment:
    """What suspends a credential by itself, ``None`` for what does not; ``notify`` are addresses that are told."""

    spike: Spike | None = None
    bounces: Bounces | None = None
    notify: tuple[str, ...] = ()

    @property
    def enabled(self) -> bool:
        """Whether anything does."""
        return self.spike is not None or self.bounces is not None


@dataclass(frozen=True)
class Log:
    """How long logs of mail are kept (seconds), what becomes of addresses in them, and which group may read them.

    ``addresses`` is ``keep``, ``hash`` or ``drop``.
    """

    retention: int = 30 * 86400
    addresses: str = "keep"
    readers: str = "adm"
