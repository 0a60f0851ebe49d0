# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Cloudflare's side of the DNS API as a store of zones: what a request does, without HTTP.

Every rule says where it is documented (DOCS is developers.cloudflare.com) or who saw it. Those of names, values and
sizes are in :mod:`.rules`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

from .rules import UNKNOWN, ApiError, Fields, record, wire

# DOCS/dns/manage-dns-records/how-to/batch-record-changes, DOCS/dns (quotas per zone).
BATCH_LIMIT = {"free": 200, "pro": 3500, "business": 3500, "enterprise": 3500}
QUOTA = {"free": 200, "pro": 3500, "business": 3500, "enterprise": 3500}
ADDRESSES = ("A", "AAAA")

Touched = set[tuple[str, str]]
Mirror = Callable[["Zone", Touched], None]


def identifier() -> str:
    return secrets.token_hex(16)


@dataclass
class Zone:
    """One zone. ``dnssec``: active, pending, disabled."""

    name: str
    name_servers: tuple[str, ...] = ("ada.ns.cloudflare.com", "bob.ns.cloudflare.com")
    plan: str = "free"
    status: str = "active"
    kind: str = "full"
    dnssec: str = "disabled"
    id: str = field(default_factory=identifier)
    records: dict[str, Fields] = field(default_factory=dict)

    def shown(self) -> Fields:
        """DOCS/api/resources/zones: an entry of the listing of zones."""
        return {
            "id": self.id,
            "name": self.name,
            "name_servers": list(self.name_servers),
            "status": self.status,
            "type": self.kind,
            "paused": False,
            "plan": {"legacy_id": self.plan},
        }


class Store:
    """All zones of an account. ``mirror`` is told which sets changed, once they have."""

    def __init__(self, mirror: Mirror | None = None) -> None:
        self.zones: dict[str, Zone] = {}
        self.mirror = mirror
        self.lock = RLock()

    def add(self, zone: Zone) -> Zone:
        self.zones[zone.id] = zone
        return zone

    def zone(self, zone_id: str) -> Zone:
        if zone_id not in self.zones:
            # The message for ids that are nobody's: favonia/cloudflare-ddns#897.
            raise ApiError(
                7003, f"Could not route to /zones/{zone_id}, perhaps your object identifier is invalid?", 404
            )
        return self.zones[zone_id]

    def batch(self, zone_id: str, body: Mapping[str, Any]) -> Fields:
        """DOCS/dns/manage-dns-records/how-to/batch-record-changes.

        Deletes, patches, puts and posts in this order, each list in the order given, in one transaction: if one fails,
        nothing is applied, and only the first error is told. Propagation is record by record.
        """
        with self.lock:
            zone = self.zone(zone_id)
            lists = {name: body.get(name) or [] for name in ("deletes", "patches", "puts", "posts")}
            if sum(map(len, lists.values())) > BATCH_LIMIT[zone.plan]:
                raise ApiError(UNKNOWN, f"A batch may have at most {BATCH_LIMIT[zone.plan]} operations.")
            work = _Transaction(zone)
            operations = {"deletes": work.delete, "patches": work.patch, "puts": work.put, "posts": work.post}
            result: Fields = {}
            for name, operation in operations.items():
                result[name] = []
                for position, item in enumerate(lists[name]):
                    try:
                        result[name].append(operation(item))
                    except ApiError as error:
                        error.pointer = error.pointer or f"/{name}/{position}"
                        raise
            work.commit()
            self._told(zone, work.touched)
            return result

    def one(self, zone_id: str, name: str, item: Mapping[str, Any]) -> Fields:
        """Carry out one operation, as ``POST``, ``PATCH``, ``PUT`` and ``DELETE`` on single records do."""
        result: Fields = self.batch(zone_id, {name: [item]})[name][0]
        return result

    def _told(self, zone: Zone, touched: Touched) -> None:
        if self.mirror:
            self.mirror(zone, touched)


class _Transaction:
    """Works on a copy of the zone's records until it is committed."""

    def __init__(self, zone: Zone) -> None:
        self.zone, self.records = zone, dict(zone.records)
        self.touched: Touched = set()

    def commit(self) -> None:
        if len(self.records) > max(QUOTA[self.zone.plan], len(self.zone.records)):
            # DOCS/dns/manage-dns-records: 200 records a zone on Free; the code is cited nowhere official.
            raise ApiError(81045, "Record quota exceeded.")
        self.zone.records = self.records

    def delete(self, item: Mapping[str, Any]) -> Fields:
        """DOCS (batch): only the id counts."""
        gone = self._found(item)
        del self.records[gone["id"]]
        return self._note(gone)

    def patch(self, item: Mapping[str, Any]) -> Fields:
        """DOCS (batch): what is not specified stays as it is."""
        old = self._found(item)
        return self._store({**old, **{name: value for name, value in item.items() if value is not None}}, old)

    def put(self, item: Mapping[str, Any]) -> Fields:
        """DOCS (batch): what is not specified gets its default value, comment and tags among them."""
        old = self._found(item)
        return self._store(dict(item), old)

    def post(self, item: Mapping[str, Any]) -> Fields:
        return self._store(dict(item), None)

    def _found(self, item: Mapping[str, Any]) -> Fields:
        found = self.records.get(str(item.get("id")))
        if found is None:
            raise ApiError(81044, "Record does not exist.", 404)  # zanjie1999/cloudflare-api-v4-ddns#5
        if found["meta"].get("read_only"):
            # DNSControl/dnscontrol#3850; DOCS/email-routing/setup/email-routing-dns-records: locked.
            raise ApiError(UNKNOWN, "This record is managed by Email Routing. Disable Email Routing to modify it.")
        return found

    def _store(self, entry: Fields, old: Fields | None) -> Fields:
        kept = record(self.zone.name, entry)
        kept["id"] = old["id"] if old else identifier()
        others = [other for other in self.records.values() if other["id"] != kept["id"]]
        self._check(kept, [other for other in others if other["name"] == kept["name"]])
        if old:
            self._note(old)
        self.records[kept["id"]] = kept
        return self._note(kept)

    def _check(self, kept: Fields, beside: Iterable[Fields]) -> None:
        same = [other for other in beside if other["type"] == kept["type"]]
        if any(wire(other) == wire(kept) for other in same):
            raise ApiError(81058, "An identical record already exists.")  # jeessy2/ddns-go#1378
        # DOCS/dns/manage-dns-records/troubleshooting/records-with-same-name: addresses and aliases exclude each other.
        types = {other["type"] for other in beside}
        if kept["type"] == "CNAME" and types & {*ADDRESSES, "CNAME"}:
            raise ApiError(81053, "An A, AAAA, or CNAME record with that host already exists.")
        if kept["type"] in ADDRESSES and "CNAME" in types:
            raise ApiError(81054, "A CNAME record with that host already exists.")  # favonia/cloudflare-ddns#990
        # DOCS/dns/manage-dns-records/reference/dns-record-types: together at most 8192 characters.
        if sum(len(other["content"]) for other in (*same, kept)) > 8192:
            raise ApiError(83011, "Combined content length of records with this name and type exceeds 8192 characters.")

    def _note(self, entry: Fields) -> Fields:
        self.touched.add((entry["name"], entry["type"]))
        return deepcopy(entry)
