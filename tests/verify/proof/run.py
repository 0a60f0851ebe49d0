# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a report says about the run itself, and about whom each result speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .changes import Changes
from .horizon import Expiry
from .outcome import Result

SERVICE = "the service"


@dataclass(frozen=True)
class Run:
    """One run; ``started`` and ``finished`` are seconds of the epoch.

    :param connections: how many were made, by kind: smtp, ssh, dns
    :param expiries: what expires, the next first
    :param changes: the difference to the run before; ``None`` if there is none to compare with
    """

    environment: str
    started: float
    finished: float
    hosts: tuple[str, ...]
    domains: tuple[str, ...]
    connections: Mapping[str, int] = field(default_factory=dict)
    expiries: tuple[Expiry, ...] = ()
    changes: Changes | None = None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.finished - self.started

    @property
    def began(self) -> datetime:
        """When it started, to the second."""
        return datetime.fromtimestamp(int(self.started), UTC)

    def subject(self, result: Result) -> str:
        """Return the host or domain that a result is about, :data:`SERVICE` for what several share."""
        named = (result.host, result.domain, result.target)
        return next((name for name in named if name in (*self.hosts, *self.domains)), SERVICE)
