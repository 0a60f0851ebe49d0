# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Amazon Route 53.

A change is a DELETE of the set exactly as it was read and a CREATE of what it becomes, in one request that is done as a
whole or not at all. So the service itself refuses when somebody wrote in between; an UPSERT would not notice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from ...model.providers import Route53 as Settings
from ..errors import InvalidRecord, ProviderError, Refused, TransportError, ZoneNotFound
from ..order import groups, stages
from ..plan import ZonePlan
from ..records import Key, RRset, canonical_name, within
from ..snapshot import Change, Snapshot
from .base import Batch, Capabilities, Server
from .nameservers import Locate, NameServers
from .presentation import check
from .route53_api import Api
from .route53_text import name_of, text_of, value_of

# Of one request, and of one value (DNSLimitations.html, API_ResourceRecord.html).
_MAX_RECORDS, _MAX_CHARACTERS, _MAX_VALUE = 1000, 32000, 4000
# Changes reach all name servers within 60 s under normal conditions (API_GetChange.html).
_SYNC_TIMEOUT, _SYNC_PAUSE = 120.0, 2.0


@dataclass(frozen=True)
class _Steered:
    """A set that answers by weight, place, health or as an alias of AWS; it is not ours to change."""


class Route53Provider:
    """The public zones that one AWS credential may change.

    :param resolvers: who knows the addresses of name servers; empty: whom this machine asks
    :param locate: returns the servers to wait for, in place of the zone's NS set
    :param sleep: waits for some seconds, between two questions whether a change is everywhere
    """

    # Of a request's characters a set that changes takes twice its own: it is deleted as it was, and made anew.
    caps = Capabilities(atomic="batch", registry_room=_MAX_CHARACTERS // 8)

    def __init__(
        self,
        settings: Settings,
        resolvers: Sequence[str] = (),
        *,
        locate: Locate | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = settings.name
        self._api = Api(settings)
        self._locate, self._sleep = locate or NameServers(resolvers), sleep
        self._given = {canonical_name(zone): zone_id for zone, zone_id in settings.zone_ids}
        self._lock = Lock()
        self._listed: dict[str, list[str]] | None = None
        self._on_the_way: dict[str, str] = {}

    def zone_of(self, name: str) -> str:
        """Return the longest zone that holds ``name``; see :class:`.base.Provider`."""
        zone = _longest(name, self._given) or _longest(name, self._zones())
        if not zone:
            hint = f"Create it there, name it in {self._api.variable}.zone_ids, or say in postseal_dns.zones who has it"
            raise ZoneNotFound(self.name, "", f"Route 53 has no public zone for {name}", hint)
        self._id(zone)
        return zone

    def _zones(self) -> Mapping[str, Sequence[str]]:
        """Return the ids of all public zones by name, asked for once."""
        with self._lock:
            if self._listed is None:
                found: dict[str, list[str]] = {}
                for name, zone_id in self._api.public_zones():
                    found.setdefault(name_of(name), []).append(zone_id)
                self._listed = found
            return self._listed

    def _id(self, zone: str) -> str:
        if zone in self._given:
            return self._given[zone]
        found = self._zones().get(zone, ())
        if len(found) > 1:
            message = f"Route 53 has {len(found)} public zones of this name: {', '.join(found)}"
            raise ProviderError(self.name, zone, message, f"Say which one in {self._api.variable}.zone_ids")
        if not found:
            raise ZoneNotFound(self.name, zone, "Route 53 does not have it", "Create it there")
        return found[0]

    def fetch(self, zone: str, keys: Collection[Key]) -> Snapshot:
        """Return the whole zone. Whether it is signed is asked only where it counts, for TLSA records.

        Route 53 does not raise serial numbers, so 0 stands for one that says nothing.
        """
        native: dict[Key, object] = {}
        for written in self._api.record_sets(zone, self._id(zone)):
            key = (name_of(written["Name"]), str(written["Type"]))
            plain = "ResourceRecords" in written and "SetIdentifier" not in written and key not in native
            native[key] = written if plain else _Steered()
        rrsets = {key: self._rrset(zone, key, written) for key, written in native.items() if isinstance(written, dict)}
        signed = any(rrtype == "TLSA" for _, rrtype in keys) and self._api.signed(zone, self._id(zone))
        return Snapshot(zone, 0, rrsets, signed=signed, native=native)

    def _rrset(self, zone: str, key: Key, written: Mapping[str, Any]) -> RRset:
        try:
            values = [value_of(key[1], record["Value"]) for record in written["ResourceRecords"]]
        except ValueError as error:
            message = f"{key[0]} {key[1]} cannot be read: {error}"
            raise TransportError(self.name, zone, message, "Correct it at Route 53") from None
        return RRset.of(*key, int(written.get("TTL", 0)), values)

    def render(self, plan: ZonePlan, snapshot: Snapshot) -> Sequence[Batch]:
        """Return the requests of ``plan``: one, unless it is larger than a request can be."""
        check(self.name, plan.zone, plan.changes)
        batches: list[tuple[list[Change], list[dict[str, Any]]]] = []
        found = dict(snapshot.native)
        for group in (group for stage in stages(plan.changes) for group in groups(stage)):
            actions = [action for change in group for action in self._actions(plan.zone, change, found)]
            if not _fits(actions):
                hint = "Give some of the domains a zone of their own"
                message = f"the records of {group[0].key[0]} do not fit into one request"
                raise InvalidRecord(self.name, plan.zone, message, hint)
            # A set of the registry may change twice; one request has room for one change of it.
            twice = batches and {change.key for change in batches[-1][0]} & {change.key for change in group}
            if not batches or twice or not _fits(batches[-1][1] + actions):
                batches.append(([], []))
            batches[-1][0].extend(group)
            batches[-1][1].extend(actions)
        return [Batch(tuple(changes), tuple(actions)) for changes, actions in batches]

    def _actions(self, zone: str, change: Change, native: dict[Key, object]) -> list[dict[str, Any]]:
        """Return what makes ``change``, and note in ``native`` what stands there then."""
        name, rrtype = change.key
        beside = native.get((name, "CNAME")) if change.before is None else None
        found = native.pop(change.key, None)
        if isinstance(found, _Steered) or isinstance(beside, _Steered):
            message = f"{name} {rrtype} is an alias or has a routing policy there, which is not ours to change"
            raise Refused(self.name, zone, message, "Replace it by a simple record set, or use another name")
        actions = []
        kept: list[dict[str, str]] = []
        if isinstance(found, dict):
            actions.append({"Action": "DELETE", "ResourceRecordSet": found})
            wanted = change.after.values if change.after else ()
            kept = [record for record in found["ResourceRecords"] if value_of(rrtype, record["Value"]) in wanted]
        if change.after is not None:
            new = [{"Value": text_of(value)} for value in change.adds]
            long = [record["Value"] for record in new if len(record["Value"]) > _MAX_VALUE]
            if long:
                message = f"{name} {rrtype}: Route 53 takes {_MAX_VALUE} characters a value, this has {len(long[0])}"
                raise InvalidRecord(self.name, zone, message)
            made = {"Name": f"{name}.", "Type": rrtype, "TTL": change.after.ttl, "ResourceRecords": [*kept, *new]}
            actions.append({"Action": "CREATE", "ResourceRecordSet": made})
            native[change.key] = made
        return actions

    def apply(self, zone: str, batch: Batch) -> None:
        """Make one request; see :class:`.base.Provider`."""
        assert isinstance(batch.body, tuple)  # noqa: S101  # made by render
        change = self._api.change(zone, self._id(zone), batch.body)
        with self._lock:
            self._on_the_way[zone] = change

    def authorities(self, snapshot: Snapshot) -> Sequence[Server]:
        """Return the servers of the zone's NS set, after the last change has reached all places where they stand.

        One address leads to many of them, of which only the nearest can be asked from here.
        """
        with self._lock:
            change = self._on_the_way.pop(snapshot.zone, "")
        waited = 0.0
        while change and not self._api.done(snapshot.zone, change) and waited < _SYNC_TIMEOUT:
            self._sleep(_SYNC_PAUSE)
            waited += _SYNC_PAUSE
        return self._locate(snapshot)


def _longest(name: str, zones: Collection[str]) -> str:
    return max((zone for zone in zones if within(name, zone)), key=len, default="")


def _fits(actions: Sequence[Mapping[str, Any]]) -> bool:
    records = [record for action in actions for record in action["ResourceRecordSet"]["ResourceRecords"]]
    return len(records) <= _MAX_RECORDS and sum(len(record["Value"]) for record in records) <= _MAX_CHARACTERS
