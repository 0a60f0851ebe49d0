# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""RFC 2136 dynamic update with TSIG (RFC 8945): Knot, BIND, PowerDNS and whatever else speaks it.

A zone is read by one AXFR (RFC 5936) or, where the key may not transfer, by one query per record set to that very
server. A plan is one update message whose prerequisites (RFC 2136 2.4) make it a compare and swap.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdata
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.update

from ...model.types import Rfc2136 as Settings
from ..errors import InvalidRecord, ProviderError, ZoneNotFound
from ..order import groups as groups_of
from ..plan import ZonePlan
from ..records import Key, Value, shown, within
from ..registry import registry_key, spoken_of
from ..snapshot import Change, Snapshot
from ..wire import GENERATED, absolute, plain, rdata_of, rrset_of, value_of
from .base import Batch, Capabilities, Server
from .nameservers import Locate, NameServers
from .signed import TIMEOUT, Signed, TransferRefused

# A message has at most 65535 octets (RFC 1035 4.2.2); leave room for names that compress badly and the signature.
_MAX_MESSAGE = 48 * 1024


class Rfc2136Provider:
    """A primary server that takes updates.

    :param resolvers: who knows the addresses of name servers; empty: whom this machine asks
    :param locate: returns the servers to wait for, in place of the zone's NS set (several servers on one machine)
    """

    caps = Capabilities(atomic="zone")

    def __init__(
        self,
        settings: Settings,
        resolvers: Sequence[str] = (),
        *,
        timeout: float = TIMEOUT,
        locate: Locate | None = None,
    ) -> None:
        self.name = settings.name
        self._signed = Signed(settings, timeout)
        self._locate = locate or NameServers(resolvers)
        self._untransferable: set[str] = set()

    def zone_of(self, name: str) -> str:
        """Return the zone of which the server has ``name``; see :class:`.base.Provider`."""
        asked = name
        while asked:
            answer = self._signed.query(asked, "SOA")
            if answer.rcode() == dns.rcode.REFUSED or not answer.flags & dns.flags.AA:
                break
            found = [plain(section.name) for section in (*answer.answer, *answer.authority) if _is(section, "SOA")]
            zones = [zone for zone in found if within(asked, zone)]
            if zones:
                return zones[0]
            asked = asked.partition(".")[2]  # an alias leads elsewhere; its own zone is that of the name above
        hint = f"Serve the zone of {name} there, or give postseal_dns.zones the provider that does"
        raise ZoneNotFound(self.name, "", f"{self._signed.where} is not authoritative for {name}", hint)

    def fetch(self, zone: str, keys: Collection[Key]) -> Snapshot:
        """Return the zone by AXFR, or the sets in ``keys`` one by one; see :class:`.base.Provider`."""
        if zone not in self._untransferable:
            try:
                copy = self._signed.transfer(zone)
            except TransferRefused:
                self._untransferable.add(zone)
            else:
                sets = {
                    (plain(name), dns.rdatatype.to_text(rdataset.rdtype)): rdataset
                    for name, rdataset in copy.iterate_rdatasets()
                }
                return _snapshot(zone, sets)
        return _snapshot(zone, self._look_up(zone, keys), whole=False)

    def _look_up(self, zone: str, keys: Collection[Key]) -> dict[Key, dns.rdataset.Rdataset]:
        apex = [(zone, rrtype) for rrtype in ("SOA", "NS", "DNSKEY")]
        sets: dict[Key, dns.rdataset.Rdataset] = {}
        for key, answer in self._signed.queries(zone, dict.fromkeys([*apex, registry_key(zone), *sorted(keys)])):
            said = dns.rcode.to_text(answer.rcode())
            if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                raise ProviderError(self.name, zone, f"{self._signed.where} answers {key[0]} {key[1]} with {said}")
            referral = not answer.flags & dns.flags.AA
            wanted = [section for section in answer.authority if _is(section, "NS")] if referral else answer.answer
            if referral and not wanted:
                message = f"{self._signed.where} answers {key[0]} {key[1]} without authority"
                raise ProviderError(self.name, zone, message, "Name the zone's primary server")
            for section in wanted:
                # Other names are where an alias leads; they are no part of what was asked for.
                if referral or section.name == absolute(key[0]):
                    sets[plain(section.name), dns.rdatatype.to_text(section.rdtype)] = section.to_rdataset()
        return sets

    def render(self, plan: ZonePlan, snapshot: Snapshot) -> Sequence[Batch]:
        """Return the update messages of ``plan``: one, unless it is larger than a message can be.

        A line of the registry goes out with the set that it speaks of; what is about the registry itself, first.
        """
        lines = _lines(plan)
        units: list[tuple[tuple[Change, ...], list[_Line]]] = [((), lines.pop(None, []))]
        for group in groups_of(change for change in plan.changes if change.guarded):
            about = [line for change in group for line in lines.pop(change.key, [])]
            units.append((group, about))
        units += [((), about) for about in lines.values()]
        messages: list[tuple[tuple[Change, ...], list[_Line]]] = []
        size = _MAX_MESSAGE
        for group, about in units:
            needs = self._size(snapshot, group, about) if group or about else 0
            if needs > _MAX_MESSAGE:
                name = group[0].key[0] if group else about[0].owner
                raise InvalidRecord(self.name, plan.zone, f"the records of {name} do not fit into one message")
            if needs and size + needs > _MAX_MESSAGE:
                messages.append(((), []))
                size = 0
            if needs:
                before, told = messages[-1]
                messages[-1] = ((*before, *group), [*told, *about])
                size += needs
        return [Batch(group, self._message(snapshot, group, about)) for group, about in messages]

    def _size(self, snapshot: Snapshot, changes: Sequence[Change], lines: Sequence[_Line]) -> int:
        try:
            return len(self._message(snapshot, changes, lines).to_wire())
        except dns.exception.TooBig:
            return _MAX_MESSAGE + 1

    def _message(
        self, snapshot: Snapshot, changes: Sequence[Change], lines: Sequence[_Line]
    ) -> dns.update.UpdateMessage:
        """Return the update that makes ``changes`` and moves ``lines``."""
        message = dns.update.UpdateMessage(absolute(snapshot.zone))
        going = {change.key[0] for change in changes if change.before and not change.after}
        for change in changes:
            self._add_change(message, snapshot, change, makes_room=change.key[0] in going)
        for line in lines:
            if line.ttl is None:
                message.delete(absolute(line.owner), *_native(snapshot, (line.owner, "TXT"), [line.text]))
            else:
                message.add(absolute(line.owner), line.ttl, rdata_of("TXT", line.text))
        return message

    def _add_change(
        self, message: dns.update.UpdateMessage, snapshot: Snapshot, change: Change, *, makes_room: bool
    ) -> None:
        """Add one record set: that it is still as it was, and what becomes of it.

        :param makes_room: another set of that name goes in the same message; that it is there is said of it alone
        """
        owner, rrtype = absolute(change.key[0]), change.key[1]
        if change.before is not None:
            message.present(owner, *_native(snapshot, change.key, change.before.values))
        elif rrtype == "CNAME" and not makes_room:
            message.absent(owner)  # nothing stands beside a CNAME, and a server drops one silently (RFC 2136 3.4.2.2)
        else:
            message.absent(owner, rrtype)
            if rrtype != "CNAME" and not makes_room:
                message.absent(owner, "CNAME")
        if change.after is None:
            message.delete(owner, rrtype)
        elif change.ttl_changes:
            kept = [value for value in change.after.values if value not in change.adds]
            new = self._new(snapshot.zone, change)
            message.replace(owner, change.after.ttl, *_native(snapshot, change.key, kept), *new)
        else:
            if change.deletes:
                message.delete(owner, *_native(snapshot, change.key, change.deletes))
            for rdata in self._new(snapshot.zone, change):
                message.add(owner, change.after.ttl, rdata)

    def _new(self, zone: str, change: Change) -> list[dns.rdata.Rdata]:
        try:
            return [rdata_of(change.key[1], value) for value in change.adds]
        except (dns.exception.DNSException, ValueError) as error:
            values = " ".join(map(shown, change.adds))
            raise InvalidRecord(
                self.name, zone, f"{change.key[0]} {change.key[1]} cannot be {values}: {error}"
            ) from None

    def apply(self, zone: str, batch: Batch) -> None:
        """Send one update message; see :class:`.base.Provider`."""
        assert isinstance(batch.body, dns.update.UpdateMessage)  # noqa: S101  # made by render
        self._signed.update(zone, batch.body)

    def authorities(self, snapshot: Snapshot) -> Sequence[Server]:
        """Return the servers of the zone's NS set, every address of each."""
        return self._locate(snapshot)


def _is(section: dns.rrset.RRset, rrtype: str) -> bool:
    return section.rdtype == dns.rdatatype.from_text(rrtype)


def _snapshot(zone: str, sets: dict[Key, dns.rdataset.Rdataset], *, whole: bool = True) -> Snapshot:
    native = {key: rdataset for key, rdataset in sets.items() if key[1] not in GENERATED}
    rrsets = {key: rrset_of(key[0], rdataset, key[1], rdataset.ttl) for key, rdataset in native.items()}
    soa = native.get((zone, "SOA"))
    serial = int(soa[0].serial) if soa else 0
    return Snapshot(zone, serial, rrsets, signed=(zone, "DNSKEY") in rrsets, native=native, whole=whole)


def _native(snapshot: Snapshot, key: Key, values: Collection[Value]) -> list[dns.rdata.Rdata]:
    """Return values that stand in the snapshot as the server has them, cut into strings in its own way."""
    rdataset = snapshot.native[key]
    assert isinstance(rdataset, dns.rdataset.Rdataset)  # noqa: S101  # made by fetch
    return [rdata for rdata in rdataset if value_of(rdata) in values]


@dataclass(frozen=True)
class _Line:
    """A line of the registry that comes, with the ``ttl`` of its set, or goes."""

    owner: str
    text: Value
    ttl: int | None = None


def _lines(plan: ZonePlan) -> dict[Key | None, list[_Line]]:
    """Return the lines that come and go by the record set that they speak of."""
    found: dict[Key | None, list[_Line]] = {}
    for change in plan.changes:
        if change.guarded:
            continue
        ttl = change.after.ttl if change.after else 0
        moves = [_Line(change.key[0], text) for text in change.deletes]
        moves += [_Line(change.key[0], text, ttl) for text in change.adds]
        for line in moves:
            found.setdefault(spoken_of(line.text, plan.zone), []).append(line)
    return found
