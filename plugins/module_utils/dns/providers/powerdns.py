# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""PowerDNS Authoritative Server by its HTTP API (https://doc.powerdns.com/authoritative/http-api/zone.html).

One GET reads a zone, one PATCH writes a plan, which the server does as a whole or not at all. Marks of ownership are
comments of the record sets: they need no record of their own, and live and die with the set.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from ...model.providers import PowerDns as Settings
from ..errors import ConflictError, Refused, TransportError, ZoneNotFound
from ..ownership import format_line, parse_line
from ..plan import ZonePlan
from ..records import Key, RRset, Value, canonical_name, text, within
from ..snapshot import Change, Mark, Snapshot
from .base import Batch, Capabilities, Server
from .nameservers import Locate, NameServers
from .powerdns_http import TIMEOUT, Http
from .presentation import check, parsed

ACCOUNT = "postseal"
"""Whose comments are marks of ownership."""

_SECONDARY = frozenset({"slave", "secondary", "consumer"})
_PRIMARY = frozenset({"master", "primary", "producer"})


@dataclass(frozen=True)
class RawSet:
    """One record set as the API has it: every record and comment that a change must bring along."""

    ttl: int
    records: tuple[tuple[str, bool], ...]
    comments: tuple[tuple[str, str, int], ...]

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> RawSet:
        """Return the set that the API describes with ``written``; records are (content, disabled)."""
        return cls(
            int(written.get("ttl", 0)),
            tuple(sorted((str(entry["content"]), bool(entry.get("disabled"))) for entry in written["records"])),
            tuple(
                sorted(
                    (str(entry["content"]), str(entry.get("account", "")), int(entry.get("modified_at", 0)))
                    for entry in written.get("comments", ())
                )
            ),
        )


_NOTHING = RawSet(0, (), ())


@dataclass(frozen=True)
class _Patch:
    """One request: the body, and what the sets must still be for it to be right."""

    rrsets: tuple[dict[str, Any], ...]
    expected: Mapping[Key, object] = field(repr=False)


class PowerDnsProvider:
    """The zones of one PowerDNS server that it is not itself a secondary for.

    :param resolvers: who knows the addresses of name servers; empty: whom this machine asks
    :param locate: returns the servers to wait for, in place of the zone's NS set
    """

    caps = Capabilities(atomic="zone", registry=False)

    def __init__(
        self,
        settings: Settings,
        resolvers: Sequence[str] = (),
        *,
        timeout: float = TIMEOUT,
        locate: Locate | None = None,
    ) -> None:
        self.name = settings.name
        self._http = Http(settings, timeout)
        self._locate = locate or NameServers(resolvers)
        self._lock = Lock()
        self._zones: dict[str, tuple[str, str]] | None = None
        self._standing_serials: set[str] = set()

    def zone_of(self, name: str) -> str:
        """Return the longest zone of the server that holds ``name``; see :class:`.base.Provider`."""
        zones = self._listed()
        zone = max((zone for zone in zones if within(name, zone)), key=len, default="")
        if not zone:
            hint = f"Create the zone of {name} there, or give postseal_dns.zones the provider that has it"
            raise ZoneNotFound(self.name, "", f"{self._http.url} has no zone for {name}", hint)
        if zones[zone][1] in _SECONDARY:
            message = f"{self._http.url} is only a secondary of it"
            raise Refused(self.name, zone, message, f"Let {self._http.variable}.url be the zone's primary server")
        return zone

    def _listed(self) -> dict[str, tuple[str, str]]:
        """Return id and kind of every zone, asked for once."""
        with self._lock:
            if self._zones is None:
                # Without dnssec=false the server looks at every record of every zone to compute serials.
                found = self._http.get("/zones?dnssec=false")
                self._zones = {
                    canonical_name(zone["name"]): (str(zone["id"]), str(zone.get("kind", "")).lower()) for zone in found
                }
            return self._zones

    def fetch(self, zone: str, keys: Collection[Key]) -> Snapshot:
        """Return the whole zone; see :class:`.base.Provider`."""
        body = self._read(zone)
        native = _native(body)
        rrsets = {key: found for key, raw in native.items() if (found := self._rrset(zone, key, raw))}
        marks = tuple(mark for key, raw in native.items() for mark in _marks(zone, key, raw))
        if str(body.get("kind", "")).lower() in _PRIMARY and not body.get("soa_edit_api"):
            self._standing_serials.add(zone)
        serial = int(body.get("edited_serial") or body.get("serial") or 0)
        return Snapshot(zone, serial, rrsets, signed=bool(body.get("dnssec")), marks=marks, native=native)

    def _read(self, zone: str) -> dict[str, Any]:
        body = self._http.get(self._path(zone), zone)
        if not isinstance(body, dict) or not isinstance(body.get("rrsets"), list):
            raise TransportError(self.name, zone, f"{self._http.url} does not list the zone's records")
        return body

    def _path(self, zone: str) -> str:
        zones = self._listed()
        if zone not in zones:
            raise ZoneNotFound(self.name, zone, f"{self._http.url} does not have it", "Create it there")
        return f"/zones/{zones[zone][0]}"  # the server made the id safe for this place

    def _rrset(self, zone: str, key: Key, raw: RawSet) -> RRset | None:
        try:
            values = [parsed(key[1], content) for content, disabled in raw.records if not disabled]
        except ValueError as error:
            message = f"{key[0]} {key[1]} cannot be read: {error}"
            raise TransportError(self.name, zone, message, "Correct it on the server") from None
        return RRset.of(*key, raw.ttl, values) if values else None

    def render(self, plan: ZonePlan, snapshot: Snapshot) -> Sequence[Batch]:
        """Return the one request that ``plan`` takes; see :class:`.base.Provider`."""
        check(self.name, plan.zone, plan.changes)
        if plan.zone in self._standing_serials:
            message = "the server would change the zone without raising its serial number, so secondaries keep the old"
            hint = f"On the server: pdnsutil set-meta {plan.zone} SOA-EDIT-API DEFAULT"
            raise Refused(self.name, plan.zone, message, hint)
        expected: dict[Key, object] = {}
        for change in plan.changes:
            expected.update(_expected(change, snapshot))
        rrsets = tuple(_replacement(change, plan, snapshot) for change in plan.changes)
        return [Batch(plan.changes, _Patch(rrsets, expected), calls=2)]

    def apply(self, zone: str, batch: Batch) -> None:
        """Look whether the sets are still as they were, and write; see :class:`.base.Provider`.

        The API knows no condition on a write, so what somebody else writes between our two requests can be lost.
        """
        patch = batch.body
        assert isinstance(patch, _Patch)  # noqa: S101  # made by render
        now = _native(self._read(zone))
        for key, before in patch.expected.items():
            if now.get(key) != before:
                message = f"the zone changed while we looked at it ({key[0]} {key[1]})"
                raise ConflictError(self.name, zone, message, "Run dns.yml again")
        self._http.patch(self._path(zone), {"rrsets": list(patch.rrsets)}, zone)

    def authorities(self, snapshot: Snapshot) -> Sequence[Server]:
        """Return the servers of the zone's NS set, every address of each."""
        return self._locate(snapshot)


def _native(body: Mapping[str, Any]) -> dict[Key, RawSet]:
    return {(canonical_name(rrset["name"]), str(rrset["type"])): RawSet.of(rrset) for rrset in body["rrsets"]}


def _marks(zone: str, key: Key, raw: RawSet) -> list[Mark]:
    found = (_mark(zone, content) for content, account, _ in raw.comments if account == ACCOUNT)
    return [mark for mark in found if mark and mark.key == key]


def _mark(zone: str, content: str) -> Mark | None:
    # A mark is octets and a comment is text: ISO 8859-1 gives each octet a character of its own.
    try:
        return parse_line(content.encode("latin-1"), zone)
    except UnicodeEncodeError:
        return None


def _expected(change: Change, snapshot: Snapshot) -> dict[Key, object]:
    """Return what must still stand when the change is written, ``None`` for what must still be missing."""
    name, rrtype = change.key
    expected = {change.key: snapshot.native.get(change.key)}
    if change.before is None and rrtype != "CNAME":
        expected[name, "CNAME"] = snapshot.native.get((name, "CNAME"))
    return expected


def _replacement(change: Change, plan: ZonePlan, snapshot: Snapshot) -> dict[str, Any]:
    """Return one set of the request's body: it replaces records and comments, so it has all that shall stay."""
    name, rrtype = change.key
    found = snapshot.native.get(change.key, _NOTHING)
    assert isinstance(found, RawSet)  # noqa: S101  # made by fetch
    records = _records(change, found)
    body: dict[str, Any] = {"name": f"{name}.", "type": rrtype}
    if not records:
        return {**body, "changetype": "DELETE"}
    ttl = change.after.ttl if change.after else found.ttl
    body |= {"changetype": "REPLACE", "ttl": ttl, "comments": _comments(change.key, found, plan)}
    return body if change.before == change.after else {**body, "records": records}


def _records(change: Change, found: RawSet) -> list[dict[str, Any]]:
    """Return all records of the set after the change; what stays, and what is switched off, as it was written."""
    wanted: tuple[Value, ...] = change.after.values if change.after else ()
    kept = [entry for entry in found.records if not entry[1] and parsed(change.key[1], entry[0]) in wanted]
    new = [(text(value), False) for value in change.adds]
    off = [entry for entry in found.records if entry[1] and parsed(change.key[1], entry[0]) not in wanted]
    return [{"content": content, "disabled": disabled} for content, disabled in (*kept, *new, *off)]


def _comments(key: Key, found: RawSet, plan: ZonePlan) -> list[dict[str, Any]]:
    """Return all comments of the set after the change: our mark, and those of others as they were."""
    others = []
    for content, account, modified in found.comments:
        mark = _mark(plan.zone, content) if account == ACCOUNT else None
        if mark is None or mark.key != key or mark.owner != plan.owner:
            others.append({"content": content, "account": account, "modified_at": modified})
    ours = plan.marks.get(key)
    if ours is None or not ours.digests:
        return others
    return [*others, {"content": format_line(ours, plan.zone).decode("latin-1"), "account": ACCOUNT}]
