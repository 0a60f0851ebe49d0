# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Cloudflare: one listing reads a zone, one batch writes it, all or nothing; ownership is in the records' comments.

The API has no compare and swap. A batch that touches records which exist is therefore preceded by a second listing,
and addresses them by id, so that one which is gone fails the whole batch. A batch that only adds goes out on the
strength of the first listing while that is fresh: at worst a record of somebody else's, made in the meantime, stands
beside ours, and the next run says so.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import dns.exception

from ...model.types import Cloudflare as Settings
from ..authority import resolver
from ..errors import ConflictError, InvalidRecord, ProviderError, ZoneNotFound
from ..ownership import digest
from ..plan import ZonePlan
from ..records import Key, RRset, canonical_name
from ..snapshot import Snapshot
from ..wire import absolute
from .base import Batch, Capabilities, Server
from .cloudflare_api import Api
from .cloudflare_batch import Body, bodies, proxied, records_of
from .cloudflare_marks import marks_of
from .cloudflare_records import PROXIABLE, Record, read, sets_of
from .nameservers import Locate, NameServers

# Seconds for which a listing is good enough to add records on.
FRESH = 300.0
# The API lists no SOA record, and Cloudflare's servers make one up with these values unless told otherwise
# (developers.cloudflare.com/dns/manage-dns-records/reference/dns-record-types). Its serial is not ours to know.
_SOA = "{} dns.cloudflare.com. 0 10000 2400 604800 1800"
_SOA_TTL = _NS_TTL = 86400
# Where mail goes through these names, nothing but the host itself may answer.
_TARGET_WORD = {"MX": 1, "SRV": 3}


@dataclass(frozen=True)
class _Zone:
    id: str
    name_servers: tuple[str, ...] = ()
    status: str = "active"
    kind: str = "full"


@dataclass(frozen=True)
class _Snapshot(Snapshot):
    """With the moment of the listing, in seconds of the monotonic clock."""

    read_at: float = 0.0


class CloudflareProvider:
    """The zones that one API token may edit.

    :param resolvers: who knows the addresses of name servers; empty: whom this machine asks
    :param locate: returns the servers to wait for, in place of those that Cloudflare names
    :param fresh: how long a listing is good enough to add records on, in seconds
    """

    caps = Capabilities(atomic="batch", registry=False, min_ttl=60, max_ttl=86400)

    def __init__(
        self, settings: Settings, resolvers: Sequence[str] = (), *, locate: Locate | None = None, fresh: float = FRESH
    ) -> None:
        self.name = settings.name
        self._api, self._fresh = Api(settings), fresh
        self._resolvers = tuple(resolvers)
        self._locate = locate or NameServers(resolvers)
        self._lock = Lock()
        self._zones: Mapping[str, tuple[_Zone, ...]] | None = None
        if settings.zone_ids:
            self._zones = {canonical_name(zone): (_Zone(zone_id),) for zone, zone_id in settings.zone_ids}

    def zone_of(self, name: str) -> str:
        """Return the longest zone that holds ``name``; see :class:`.base.Provider`."""
        known, zone = self._known(), name
        while zone and zone not in known:
            zone = zone.partition(".")[2]
        if not zone:
            hint = (
                f"Add the zone to the account, let the token of {self._api.variable} see it (permissions DNS Write and "
                f"Zone Read), name it in zone_ids, or give postseal_dns.zones the provider that has {name}"
            )
            raise ZoneNotFound(self.name, "", f"the token shows no zone that holds {name}", hint)
        return zone

    def _known(self) -> Mapping[str, tuple[_Zone, ...]]:
        with self._lock:
            if self._zones is None:
                found: dict[str, tuple[_Zone, ...]] = {}
                for entry in self._api.zones():
                    name = canonical_name(str(entry["name"]))
                    found[name] = (*found.get(name, ()), _zone(entry))
                self._zones = found
            return self._zones

    def _zone(self, zone: str) -> _Zone:
        """Return what is known of a zone; raises where it is not clear which one it is, or not ours to answer for."""
        found = self._known().get(zone, ())
        if not found:
            raise ZoneNotFound(self.name, zone, "the token shows no such zone", f"Check {self._api.variable}.api_token")
        live = [each for each in found if each.status == "active"] or list(found)
        if len(live) > 1:
            ids = ", ".join(sorted(each.id for each in live))
            hint = f"Say which one in {self._api.variable}.zone_ids"
            raise ProviderError(self.name, zone, f"there are {len(live)} zones of this name: {ids}", hint)
        if live[0].kind in ("partial", "secondary"):
            # developers.cloudflare.com/dns/zone-setups: the records are another server's.
            hint = "Name the provider of the primary server in postseal_dns.zones"
            raise ProviderError(self.name, zone, f"it is a {live[0].kind} zone, answered for elsewhere", hint)
        return live[0]

    def fetch(self, zone: str, keys: Collection[Key]) -> Snapshot:
        """Return the whole zone by one listing; see :class:`.base.Provider`.

        Whether it is signed is asked only where ``keys`` have a TLSA set, the one type that depends on it.
        """
        known, now = self._zone(zone), time.monotonic()
        entries = self._api.records(zone, known.id)
        signed = any(rrtype == "TLSA" for _, rrtype in keys) and self._api.signed(zone, known.id)
        try:
            records = [read(entry) for entry in entries]
        except ValueError as error:
            raise ProviderError(self.name, zone, f"the API lists {error}") from None
        snapshot = self._snapshot(zone, records, signed=signed, read_at=now)
        self._check_unproxied(snapshot, keys)
        return snapshot

    def _snapshot(self, zone: str, records: Sequence[Record], *, signed: bool, read_at: float) -> _Snapshot:
        rrsets, native = sets_of(records)
        servers = [f"{name}." for name in self._name_servers(zone)]
        # At the apex Cloudflare answers with its own name servers; NS records of the zone would be in the listing.
        rrsets.setdefault((zone, "NS"), RRset.of(zone, "NS", _NS_TTL, servers))
        rrsets[zone, "SOA"] = RRset.of(zone, "SOA", _SOA_TTL, [_SOA.format(servers[0])])
        marks = marks_of((record.key, record.value, record.comment) for record in records)
        return _Snapshot(zone, 0, rrsets, signed, marks, native, read_at=read_at)

    def _name_servers(self, zone: str) -> Sequence[str]:
        known = self._zone(zone)
        if known.name_servers:
            return known.name_servers
        try:
            answer = resolver(self._resolvers).resolve(absolute(zone), "NS", lifetime=5.0)
        except dns.exception.DNSException as error:
            hint = f"Delegate the zone, or leave {self._api.variable}.zone_ids out and give the token Zone Read"
            raise ProviderError(self.name, zone, f"its name servers cannot be found: {error}", hint) from None
        names = tuple(sorted(canonical_name(str(rdata.target)) for rdata in answer))
        with self._lock:
            self._zones = {**(self._zones or {}), zone: (_Zone(known.id, names),)}
        return names

    def _check_unproxied(self, snapshot: Snapshot, keys: Collection[Key]) -> None:
        """Raise for a claimed name where somebody else's record is proxied; ours are put right by the plan."""
        ours = {(mark.key, wrote) for mark in snapshot.marks for wrote in mark.digests}
        names = {name for name, rrtype in keys if rrtype in PROXIABLE}
        for record in proxied(snapshot, names):
            if (record.key, digest(record.key, record.value)) not in ours:
                raise self._is_proxied(snapshot.zone, record, "mail")

    def _is_proxied(self, zone: str, record: Record, user: str) -> InvalidRecord:
        message = f"{record.key[0]} {record.key[1]} is proxied by Cloudflare, which carries HTTP and no {user}"
        return InvalidRecord(self.name, zone, message, "Set the record to 'DNS only' in the dashboard")

    def render(self, plan: ZonePlan, snapshot: Snapshot) -> Sequence[Batch]:
        """Return the batches of ``plan``: one, unless it changes more than 200 records; see :class:`.base.Provider`."""
        for key, rrset in plan.expected.items():
            word = _TARGET_WORD.get(key[1])
            if rrset is None or word is None:
                continue
            targets = {canonical_name(str(value).split(" ")[word]) for value in rrset.values}
            replaced = {change.key for change in plan.changes}
            for record in proxied(snapshot, targets):
                if record.key not in replaced:
                    raise self._is_proxied(plan.zone, record, f"{key[1]} traffic for {key[0]}")
        return [
            Batch(changes, body, calls=1 if body.only_adds and body.first else 2)
            for changes, body in bodies(self.name, plan, snapshot)
            if len(body)
        ]

    def apply(self, zone: str, batch: Batch) -> Snapshot | None:
        """Write one batch, all or nothing, and return the zone as the answer shows it; see :class:`.base.Provider`."""
        body = batch.body
        assert isinstance(body, Body)  # noqa: S101  # made by render
        base = body.on
        age = time.monotonic() - base.read_at if isinstance(base, _Snapshot) else self._fresh
        if not (body.only_adds and body.first) or age >= self._fresh:
            base = self._unchanged(zone, batch, base)
        answer = self._api.batch(zone, self._zone(zone).id, body.lists())
        return self._after(base, body, answer)

    def _unchanged(self, zone: str, batch: Batch, planned: Snapshot) -> Snapshot:
        """Return the zone as it is now; raises :class:`ConflictError` where a set is not as it was planned for."""
        now = self.fetch(zone, ())
        for change in batch.changes:
            name, rrtype = change.key
            aliased = change.before is None and rrtype != "CNAME" and (name, "CNAME") in now.rrsets
            if records_of(now, change.key) != records_of(planned, change.key) or (
                aliased and (name, "CNAME") not in planned.rrsets
            ):
                message = f"{name} {rrtype} changed while we looked; nothing of this batch was written"
                raise ConflictError(self.name, zone, message, "Run it again")
        signed = planned.signed  # what was planned rests on it, and a listing does not tell
        read_at = now.read_at if isinstance(now, _Snapshot) else 0.0
        return _Snapshot(zone, now.serial, now.rrsets, signed, now.marks, now.native, read_at=read_at)

    def _after(self, base: Snapshot, body: Body, answer: Mapping[str, Any]) -> Snapshot | None:
        """Return ``base`` with the records as the API says it stored them; ``None`` if it does not say all of them."""
        result = answer.get("result") or {}
        echoed: dict[str, list[Any]] = {name: list(result.get(name) or ()) for name in body.lists()}
        if any(len(echoed[name]) != len(items) for name, items in body.lists().items()):
            return None
        try:
            stored = {record.id: record for record in map(read, (*echoed["patches"], *echoed["posts"]))}
        except ValueError:
            return None
        gone = {str(item["id"]) for item in body.deletes}
        before = [record for key in base.native for record in records_of(base, key) if record.id not in gone]
        kept = [stored.pop(record.id, record) for record in before]
        read_at = base.read_at if isinstance(base, _Snapshot) else 0.0
        return self._snapshot(base.zone, [*kept, *stored.values()], signed=base.signed, read_at=read_at)

    def authorities(self, snapshot: Snapshot) -> Sequence[Server]:
        """Return the name servers that Cloudflare has given the zone, every address of each."""
        return self._locate(snapshot)


def _zone(entry: Mapping[str, Any]) -> _Zone:
    servers = tuple(canonical_name(str(name)) for name in entry.get("name_servers") or ())
    return _Zone(str(entry["id"]), servers, str(entry.get("status") or "active"), str(entry.get("type") or "full"))
