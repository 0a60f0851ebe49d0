# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A provider in memory that is as strict as real ones, with accidents on demand. It passes the contract suite."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from threading import Lock

from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import (
    ConflictError,
    InvalidRecord,
    PartialApply,
    ProviderError,
    TransportError,
    ZoneNotFound,
)
from ansible_collections.postseal.mail.plugins.module_utils.dns.order import groups, stages
from ansible_collections.postseal.mail.plugins.module_utils.dns.plan import ZonePlan
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.base import Batch, Capabilities, Server
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Key, RRset, Value, sort_key, within
from ansible_collections.postseal.mail.plugins.module_utils.dns.registry import registry_key
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Change, Mark, Snapshot

# What can happen to a call: it fails and did nothing; its request or its answer is lost; it answers with a part of the
# zone; with nothing of it but the apex; it does the first half of a batch that is not atomic.
ERROR, BEFORE, AFTER, TRUNCATED, EMPTY, PARTIAL = "error", "before", "after", "truncated", "empty", "partial"
_MOST = 60_000


@dataclass
class Zone:
    """What one zone holds. ``marks`` are used where ownership is kept beside the records."""

    rrsets: dict[Key, RRset]
    marks: dict[tuple[str, Key], Mark] = field(default_factory=dict)
    serial: int = 1


def fresh(zone: str) -> Zone:
    """Return a zone with its apex and nothing else."""
    apex = (RRset.of(zone, "SOA", 300, [f"ns.{zone}. hm.{zone}. 1 2 3 4 5"]), RRset.of(zone, "NS", 300, ["ns.test."]))
    return Zone({rrset.key: rrset for rrset in apex})


@dataclass(eq=False)
class Memory:
    """Zones in memory.

    :param accidents: by number of the call, counted from 0 over fetches and writes, what happens to it
    :param spoil: gets every change before it is carried out and returns what the server makes of it
    :param by_set: the zone is not read as a whole, only what is asked for
    """

    zones: dict[str, Zone]
    name: str = "memory"
    caps: Capabilities = field(default_factory=lambda: Capabilities("zone"))
    accidents: dict[int, str] = field(default_factory=dict)
    spoil: Callable[[Change], Change | None] = lambda change: change
    by_set: bool = False
    echo: bool = False
    calls: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def zone_of(self, name: str) -> str:
        found = [zone for zone in self.zones if within(name, zone)]
        if not found:
            raise ZoneNotFound(self.name, "", f"nothing is known of {name}", "Serve it")
        return max(found, key=len)

    def _accident(self, call: str) -> str:
        with self.lock:
            happening = self.accidents.get(len(self.calls), "")
            self.calls.append(call)
        return happening

    def fetch(self, zone: str, keys: Collection[Key]) -> Snapshot:
        happening = self._accident(f"fetch {zone}")
        if happening in (ERROR, PARTIAL):
            raise ProviderError(self.name, zone, "the server failed", "Ask it why")
        if happening in (BEFORE, AFTER):
            raise TransportError(self.name, zone, "no answer")
        return self._snapshot(zone, keys, happening)

    def _snapshot(self, zone: str, keys: Collection[Key], happening: str = "") -> Snapshot:
        held = self.zones[zone]
        rrsets, marks = dict(held.rrsets), list(held.marks.values())
        apex = {key: rrset for key, rrset in rrsets.items() if key[1] in ("SOA", "NS")}
        if self.by_set:
            wanted = {*keys, registry_key(zone)}
            rrsets = {**apex, **{key: rrset for key, rrset in rrsets.items() if key in wanted}}
        if happening == TRUNCATED:
            kept = sorted(rrsets)[: len(rrsets) // 2]
            rrsets = {**apex, **{key: rrsets[key] for key in kept}}
        if happening == EMPTY:
            rrsets = {}
        marks = [mark for mark in marks if mark.key in rrsets]
        return Snapshot(zone, held.serial, rrsets, signed=False, marks=tuple(marks), whole=not self.by_set)

    def render(self, plan: ZonePlan, snapshot: Snapshot) -> Sequence[Batch]:
        for change in plan.changes:
            if change.after and change.key[1] == "A":
                for value in change.after.values:
                    _address(self.name, plan.zone, change.key, value)
            size = sum(len(sort_key(value)) for value in (change.after.values if change.after else ()))
            if size > _MOST:
                raise InvalidRecord(self.name, plan.zone, f"the records of {change.key[0]} do not fit into one message")
        if self.caps.atomic == "zone":
            return [Batch(plan.changes, (plan.owner, dict(plan.marks)))]
        if self.caps.atomic == "batch":
            names = [group for stage in stages(plan.changes) for group in groups(stage)]
            found = [sum(names[at : at + 3], ()) for at in range(0, len(names), 3)]
        else:
            parts = stages(plan.changes)
            found = [part for stage in parts for part in (groups(stage) if stage[0].guarded else [stage])]
        return [Batch(part, (plan.owner, dict(plan.marks))) for part in found]

    def apply(self, zone: str, batch: Batch) -> Snapshot | None:
        happening = self._accident(f"apply {zone}")
        if happening in (ERROR, TRUNCATED, EMPTY):
            raise ProviderError(self.name, zone, "the server failed", "Ask it why")
        if happening == BEFORE:
            raise TransportError(self.name, zone, "no answer", maybe_applied=True)
        held = self.zones[zone]
        for change in batch.changes:
            if change.guarded and held.rrsets.get(change.key) != change.before:
                raise ConflictError(self.name, zone, "the zone changed while we looked at it", "Run dns.yml again")
        halves = len(batch.changes) // 2 if happening == PARTIAL else len(batch.changes)
        if happening == PARTIAL and (self.caps.atomic != "none" or not halves):
            raise ProviderError(self.name, zone, "the server failed", "Ask it why")
        for change in batch.changes[:halves]:
            self._carry_out(held, change, batch)
        held.serial += 1
        if happening == PARTIAL:
            raise PartialApply(self.name, zone, "it took half of it", "Ask it why")
        if happening == AFTER:
            raise TransportError(self.name, zone, "no answer", maybe_applied=True)
        return self._snapshot(zone, ()) if self.echo else None

    def _carry_out(self, held: Zone, change: Change, batch: Batch) -> None:
        made = self.spoil(change)
        if made is None:
            return
        current, before = held.rrsets.get(made.key), made.before.values if made.before else ()
        # Lines of others in the registry stay, as they do in an update that names values.
        others = [] if made.guarded or current is None else [value for value in current.values if value not in before]
        after = RRset.of(*made.key, made.after.ttl if made.after else 300, [*(made.after or _NONE).values, *others])
        clash = any(
            name == made.key[0] and (rrtype == "CNAME") != (made.key[1] == "CNAME") for name, rrtype in held.rrsets
        )
        if after.values and clash:
            return  # RFC 2136 3.4.2.2: silently
        held.rrsets.pop(made.key, None)
        if after.values:
            held.rrsets[made.key] = after
        if not self.caps.registry:
            assert isinstance(batch.body, tuple)
            owner, marks = batch.body
            held.marks.pop((owner, made.key), None)
            if made.key in marks:
                held.marks[owner, made.key] = marks[made.key]

    def authorities(self, snapshot: Snapshot) -> Sequence[Server]:
        return ()

    # The hand of somebody else.
    def put(self, name: str, rrtype: str, ttl: int, values: Sequence[Value]) -> None:
        zone = self.zones[self.zone_of(name)]
        found = zone.rrsets.get((name, rrtype))
        zone.rrsets[name, rrtype] = RRset.of(name, rrtype, ttl, [*(found.values if found else ()), *values])
        zone.serial += 1

    def drop(self, name: str, rrtype: str, value: Value) -> None:
        zone = self.zones[self.zone_of(name)]
        found = zone.rrsets.pop((name, rrtype))
        left = [other for other in found.values if other != value]
        if left:
            zone.rrsets[name, rrtype] = RRset.of(name, rrtype, found.ttl, left)
        zone.serial += 1

    def values(self, name: str, rrtype: str = "TXT") -> set[Value]:
        found = self.zones[self.zone_of(name)].rrsets.get((name, rrtype))
        return set(found.values) if found else set()


_NONE = RRset("", "", 0, ())


def _address(provider: str, zone: str, key: Key, value: Value) -> None:
    try:
        ipaddress.ip_address(str(value))
    except ValueError:
        raise InvalidRecord(provider, zone, f"{key[0]} {key[1]} cannot be {value!s}") from None
