# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a DNS provider must do for the engine. Providers know zones, record sets and their own API; nothing of mail."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..plan import ZonePlan
from ..records import Key
from ..snapshot import Change, Snapshot


@dataclass(frozen=True)
class Capabilities:
    """What the engine must know beforehand.

    :param atomic: what happens together or not at all: ``zone`` a whole plan, ``batch`` one batch, ``none``
    :param registry: ownership needs the registry record; else the provider keeps marks beside the records
    :param min_ttl: the smallest TTL in seconds that the provider accepts
    :param max_ttl: the largest
    :param registry_room: octets that the lines of one registry set may take, half of what a set or a request can hold:
        where nothing is atomic it holds old and new lines for a while
    """

    atomic: str
    registry: bool = True
    min_ttl: int = 0
    max_ttl: int = 2**31 - 1
    registry_room: int = 16_000


@dataclass(frozen=True)
class Batch:
    """Changes that go out together. ``body`` is the provider's own form of them, ``calls`` how many requests it takes.

    Together they are as atomic as :attr:`Capabilities.atomic` says. Where changes must be spread over batches, those of
    one owner name stay in one, in the order of :func:`~..order.groups`.
    """

    changes: tuple[Change, ...]
    body: object
    calls: int = 1


@dataclass(frozen=True)
class Server:
    """One address of one authoritative name server. Without an address its name could not be resolved."""

    name: str
    address: str
    port: int = 53

    def __str__(self) -> str:
        where = self.address if self.port == 53 else f"{self.address} port {self.port}"  # noqa: PLR2004
        return f"{self.name} ({where or 'no address'})"


class Provider(Protocol):
    """One provider of the inventory. Methods may be called from several threads, for different zones.

    All raise subclasses of :class:`~..errors.ProviderError`, whose text never holds a secret.
    """

    name: str
    caps: Capabilities

    def zone_of(self, name: str) -> str:
        """Return the zone that holds ``name``; raises :class:`~..errors.ZoneNotFound`."""

    def fetch(self, zone: str, keys: Collection[Key]) -> Snapshot:
        """Return the zone, with at least the sets in ``keys``, the apex, the registry and delegations above ``keys``.

        Complete or an error, never a part.
        """

    def render(self, plan: ZonePlan, snapshot: Snapshot) -> Sequence[Batch]:
        """Return the calls that carry out ``plan``, without any I/O; their number is the estimate in check mode.

        A provider that keeps marks beside the records brings those of every changed set from ``plan.held`` to
        ``plan.marks``. A change whose ``before`` and ``after`` are equal is about its mark alone; plans for providers
        that need the registry have none. Values in ``after`` that the plan neither adds nor marks are other people's:
        they are written back exactly as the provider had them.

        Raises :class:`~..errors.InvalidRecord` for what the provider cannot hold.
        """

    def apply(self, zone: str, batch: Batch) -> Snapshot | None:
        """Write one batch, once: only where the provider surely did nothing (429) may the same request go out again.

        Return the zone as the provider's own answer to the write shows it, marks included; that spares reading it
        back. ``None`` where the answer does not show what is stored now.

        Raises :class:`~..errors.ConflictError` when a guarded set is no longer what the snapshot said,
        :class:`~..errors.TransportError` with ``maybe_applied`` when the outcome is unknown, and
        :class:`~..errors.PartialApply` when some of the batch was written and some refused. What stands there then is
        read again by the caller.
        """

    def authorities(self, snapshot: Snapshot) -> Sequence[Server]:
        """Return every server that answers for the zone in public; those are waited for."""
