# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a provider holds at one moment, and the change that a plan makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from .records import Key, RRset, Value, within


@dataclass(frozen=True)
class Mark:
    """Ownership of values in one record set.

    :param owner: the environment that wrote them
    :param digests: of the values it last wrote there
    :param share: its part of a value that is merged with foreign ones
    """

    owner: str
    key: Key
    digests: frozenset[str]
    share: bytes | None = None


@dataclass(frozen=True)
class Snapshot:
    """A zone, or of it the record sets that were asked for; never less.

    :param rrsets: by (name, type), without what DNSSEC generates
    :param signed: the apex has a DNSKEY
    :param marks: ownership, where the provider keeps it beside the records; else it is in the registry record
    :param native: the provider's own form of each set (wire data, record ids), opaque to everyone else
    :param whole: it is the whole zone, whatever was asked for
    """

    zone: str
    serial: int
    rrsets: Mapping[Key, RRset]
    signed: bool
    marks: tuple[Mark, ...] = ()
    native: Mapping[Key, object] = field(default_factory=dict, repr=False)
    whole: bool = True

    def values(self, key: Key) -> tuple[Value, ...]:
        """Return the values of a set; none if it does not exist."""
        found = self.rrsets.get(key)
        return found.values if found else ()

    @cached_property
    def _types(self) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for owner, rrtype in self.rrsets:
            found.setdefault(owner, set()).add(rrtype)
        return {owner: frozenset(types) for owner, types in found.items()}

    def types_at(self, name: str) -> frozenset[str]:
        """Return which types of records stand at ``name``."""
        return self._types.get(name, frozenset())

    @cached_property
    def cuts(self) -> tuple[str, ...]:
        """Names below the apex that are delegated to other zones."""
        return tuple(sorted(owner for owner, rrtype in self.rrsets if rrtype == "NS" and owner != self.zone))

    def cut(self, name: str) -> str | None:
        """Return the delegation at or above ``name`` inside the zone, if there is one: that data is elsewhere."""
        return next((owner for owner in self.cuts if within(name, owner)), None)


@dataclass(frozen=True)
class Change:
    """One record set before and after; ``None`` is a set that does not exist, equal ones change marks only.

    :param guarded: the write must fail if the set is no longer as it was before
    :param removed: how many of our values go and are not replaced
    :param replaced: how many of our values are replaced by others
    """

    key: Key
    before: RRset | None
    after: RRset | None
    guarded: bool = True
    removed: int = 0
    replaced: int = 0

    @cached_property
    def deletes(self) -> tuple[Value, ...]:
        """Values that go."""
        kept = frozenset(self.after.values) if self.after else frozenset()
        return tuple(value for value in (self.before.values if self.before else ()) if value not in kept)

    @cached_property
    def adds(self) -> tuple[Value, ...]:
        """Values that come."""
        had = frozenset(self.before.values) if self.before else frozenset()
        return tuple(value for value in (self.after.values if self.after else ()) if value not in had)

    @property
    def ttl_changes(self) -> bool:
        """Tell whether values that stay get another TTL."""
        return bool(self.before and self.after and self.before.ttl != self.after.ttl)
