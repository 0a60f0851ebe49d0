# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""From a plan to the bodies of Cloudflare's batch endpoint, without any I/O.

developers.cloudflare.com/dns/manage-dns-records/how-to/batch-record-changes: deletes, then patches, then posts, all or
nothing, at most 200 records a call on the smallest plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import InvalidRecord
from ..order import groups
from ..ownership import digest
from ..plan import ZonePlan
from ..records import Key, Value, shown, text
from ..snapshot import Change, Snapshot
from ..wire import absolute, rdata_of
from .cloudflare_marks import Comment, Entry, compose, shares_in
from .cloudflare_records import PROXIABLE, Fields, Record, fields
from .presentation import check

MAX_RECORDS = 200
# developers.cloudflare.com/dns/manage-dns-records/reference/dns-record-types: octets of one record in wire format,
# characters of all contents of one name and type.
_MAX_RECORD, _MAX_SET = 4096, 8192
# Characters for one octet, as zone-file text writes it: \\255. A set this much smaller needs no closer look.
_WORST = 4
# Type, class, TTL and length stand between a record's name and its data (RFC 1035 3.2.1).
_RECORD_HEAD = 10


@dataclass
class Body:
    """One request. ``on`` is the zone that it was made for, ``first`` whether nothing of the plan went out before."""

    on: Snapshot
    first: bool = True
    deletes: list[Fields] = field(default_factory=list)
    patches: list[Fields] = field(default_factory=list)
    posts: list[Fields] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.deletes) + len(self.patches) + len(self.posts)

    @property
    def only_adds(self) -> bool:
        """Tell whether no record that exists is touched."""
        return not self.deletes and not self.patches

    def lists(self) -> Mapping[str, Sequence[Fields]]:
        """Return the lists as the API names them."""
        return {"deletes": self.deletes, "patches": self.patches, "posts": self.posts}

    def add(self, other: Body) -> None:
        """Append what ``other`` does."""
        self.deletes += other.deletes
        self.patches += other.patches
        self.posts += other.posts


def bodies(provider: str, plan: ZonePlan, snapshot: Snapshot) -> Iterator[tuple[tuple[Change, ...], Body]]:
    """Yield the requests that carry out ``plan``, with the changes that each of them is about.

    Changes of one name stay together, so that a record and its replacement never go out in different requests.
    Raises :class:`~..errors.InvalidRecord` for what Cloudflare cannot hold or will not let go.
    """
    check(provider, plan.zone, plan.changes)
    writer = _Writer(provider, plan, snapshot)
    changes: tuple[Change, ...] = ()
    body = Body(snapshot)
    for group in groups(plan.changes):
        more = Body(snapshot)
        for change in group:
            writer.check_size(change)
            more.add(writer.write(change))
        if len(more) > MAX_RECORDS:
            message = f"{group[0].key[0]} needs {len(more)} changes, and one request has room for {MAX_RECORDS}"
            raise InvalidRecord(provider, plan.zone, message)
        if len(body) + len(more) > MAX_RECORDS:
            yield changes, body
            changes, body = (), Body(snapshot, first=False)
        changes += group
        body.add(more)
    if changes:
        yield changes, body


class _Writer:
    """Writes the changes of one plan as operations on records."""

    def __init__(self, provider: str, plan: ZonePlan, snapshot: Snapshot) -> None:
        self.provider, self.plan, self.snapshot = provider, plan, snapshot

    def write(self, change: Change) -> Body:
        """Return what makes ``change``.

        A value that replaces another is patched into its record: there is no moment at which neither is answered,
        and what else the record carries (tags, people's comments) stays.
        """
        body, key = Body(self.snapshot), change.key
        records = records_of(self.snapshot, key)
        gone = [record for record in records if record.value in change.deletes]
        new = list(change.adds)
        ttl = change.after.ttl if change.after else 0
        for record, value in zip(gone, new, strict=False):
            mine = self._mine(key, value)
            body.patches.append(self._patch(record, value, ttl if mine else record.ttl))
        for record in gone[len(new) :]:
            body.deletes.append({"id": self._editable(record).id})
        for value in new[len(gone) :]:
            comment = self._comment(key, value, None)
            post = {"name": key[0], "type": key[1], "ttl": ttl, **self._fields(key, value)}
            body.posts.append({**post, "comment": comment} if comment else post)
        stays = set(change.after.values if change.after else ()) - set(new)
        body.patches += filter(None, (self._touch(record, ttl) for record in records if record.value in stays))
        return body

    def _touch(self, record: Record, ttl: int) -> Fields | None:
        """Return what a record whose value stays needs: another TTL or mark, or not to be proxied; often nothing."""
        mine = self._mine(record.key, record.value)
        comment = self._comment(record.key, record.value, record)
        outdated = mine and (record.effective_ttl != ttl or record.proxied)
        if comment == compose(record.comment, record.value) and not outdated:
            return None
        patch: Fields = {"id": self._editable(record).id, "name": record.key[0], "type": record.key[1]}
        patch |= {"ttl": ttl if outdated else record.ttl, "comment": comment}
        return patch | ({"proxied": False} if mine and record.key[1] in PROXIABLE else {})

    def _patch(self, record: Record, value: Value, ttl: int) -> Fields:
        head = {"id": self._editable(record).id, "name": record.key[0], "type": record.key[1], "ttl": ttl}
        comment = self._comment(record.key, value, record)
        return {**head, **self._fields(record.key, value), "comment": comment}

    def _editable(self, record: Record) -> Record:
        if record.read_only:
            name, rrtype = record.key
            message = f"{name} {rrtype} {shown(record.value)} belongs to a service of Cloudflare's and is locked"
            hint = "Disable or unlock it there first (Email Routing, in the dashboard), or leave the name to it"
            raise InvalidRecord(self.provider, self.plan.zone, message, hint)
        return record

    def _mine(self, key: Key, value: Value) -> bool:
        mark = self.plan.marks.get(key)
        return mark is not None and digest(key, value) in mark.digests

    def _comment(self, key: Key, value: Value, record: Record | None) -> str:
        """Return the comment of a record that holds ``value`` from now on. Other owners' marks and people's text stay.

        Raises :class:`~..errors.InvalidRecord` when there is no room for our mark.
        """
        owner, mark = self.plan.owner, self.plan.marks.get(key)
        kept = record.comment.without(owner) if record else Comment()
        ours: tuple[Entry, ...] = ()
        if mark is not None and self._mine(key, value):
            share = mark.share if mark.share is not None and shares_in(value, mark.share) else None
            ours = (Entry(owner, digest(key, value), share),)
        try:
            return compose(Comment(kept.text, (*kept.entries, *ours)), value)
        except ValueError as error:
            message = f"{key[0]} {key[1]}: the mark of ownership does not fit into the record's comment: {error}"
            hint = "Use a shorter postseal_environment, or fewer of them on one record"
            raise InvalidRecord(self.provider, self.plan.zone, message, hint) from None

    def _fields(self, key: Key, value: Value) -> Fields:
        try:
            return fields(key[1], value)
        except ValueError as error:
            raise InvalidRecord(self.provider, self.plan.zone, f"{key[0]}: {error}") from None

    def check_size(self, change: Change) -> None:
        """Raise :class:`~..errors.InvalidRecord` for a set that is larger than Cloudflare takes."""
        if not change.adds or change.after is None or sum(map(len, change.after.values)) * _WORST < _MAX_RECORD // 2:
            return
        name, rrtype = change.key
        too_large = ""
        for value in change.adds:
            octets = len(absolute(name).to_wire() or b"") + _RECORD_HEAD + len(rdata_of(rrtype, value).to_wire() or b"")
            if octets > _MAX_RECORD:
                too_large = f"one of them takes {octets} octets, Cloudflare's limit is {_MAX_RECORD}"
        total = sum(len(text(value)) for value in change.after.values)
        if total > _MAX_SET:
            too_large = f"together they have {total} characters, Cloudflare's limit is {_MAX_SET}"
        if too_large:
            raise InvalidRecord(
                self.provider, self.plan.zone, f"the records of {name} {rrtype} do not fit: {too_large}"
            )


def records_of(snapshot: Snapshot, key: Key) -> Sequence[Record]:
    """Return the records of a set as the API listed them."""
    found = snapshot.native.get(key, ())
    assert isinstance(found, tuple)  # noqa: S101  # made by fetch
    return found


def proxied(snapshot: Snapshot, names: Iterable[str]) -> list[Record]:
    """Return the records at ``names`` that Cloudflare's proxy answers for."""
    wanted = sorted(set(names))
    keys = [(name, rrtype) for name in wanted for rrtype in sorted(PROXIABLE)]
    return [record for key in keys for record in records_of(snapshot, key) if record.proxied]
