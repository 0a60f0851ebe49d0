# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Where ownership is kept in a zone whose provider has no other place for it: TXT sets beside the records.

The first is ``_postseal-owner.<zone>``. When it is full, further ones follow: ``_postseal-owner-1``, ``-2`` and so on.
A line counts wherever it stands; it is moved only when it changes and does not fit any more. So growing never touches
the lines of others nor of records that stay as they are, and there is no moment at which a line is nowhere.

Each environment writes its own lines only, in the same update as the values they speak of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .ownership import format_line, merged, parse_line
from .records import CHUNK, Key, RRset, Value, sort_key, within
from .snapshot import Mark, Snapshot

LABEL = "_postseal-owner"
TTL = 300
# BIND refuses updates and transfers of sets with more than 100 records (max-records-per-type, since 9.18.28). Where
# nothing is atomic a set holds old and new lines for a while, so one is full when it has half as many.
MOST_LINES = 48
_NUMBERED = re.compile(rf"{LABEL}(?:-([1-9][0-9]{{0,4}}))?")
_SETS = re.compile(rb"v=postseal1 sets=([1-9][0-9]{0,4})")


def registry_key(zone: str, number: int = 0) -> Key:
    """Return where a set of the registry of ``zone`` is; ``number`` 0 is the first."""
    return (f"{LABEL}-{number}.{zone}" if number else f"{LABEL}.{zone}", "TXT")


def number_of(key: Key, zone: str) -> int | None:
    """Return which set of the registry ``key`` is, ``None`` if it is none of them."""
    name, rrtype = key
    if rrtype != "TXT" or not name.startswith(LABEL) or not within(name, zone):
        return None
    match = _NUMBERED.fullmatch(name.removesuffix("." + zone))
    return int(match[1] or 0) if match else None


def registry_keys(snapshot: Snapshot) -> list[Key]:
    """Return where the sets of the registry are, in their order: those that the first one names, and those seen.

    Where the first does not name the last one seen, one more is looked for.
    """
    zone = snapshot.zone
    found = {number for key in snapshot.rrsets if (number := number_of(key, zone)) is not None}
    named, last = max(map(_named, snapshot.values(registry_key(zone))), default=0), max(found, default=0)
    more = range(named if named > last else last + 2)
    return [registry_key(zone, number) for number in sorted({*found, *more})]


def _named(line: Value) -> int:
    match = _SETS.fullmatch(line) if isinstance(line, bytes) else None
    return int(match[1]) if match else 0


def marks_of(snapshot: Snapshot) -> dict[str, dict[Key, Mark]]:
    """Return all marks of a zone, by owner and record set. Lines that are not ours to read mark nothing."""
    lines = (line for key in registry_keys(snapshot) for line in snapshot.values(key))
    told = filter(None, (parse_line(line, snapshot.zone) for line in lines))
    return merged(snapshot, (*snapshot.marks, *told))


def registry_after(snapshot: Snapshot, owner: str, updates: Mapping[Key, Mark | None], room: int) -> dict[Key, RRset]:
    """Return the sets of the registry that change, with the lines of ``owner`` for the sets in ``updates`` replaced.

    A set without values is one that goes.

    :param updates: marks by record set; ``None`` or a mark without digests removes the line
    :param room: octets for the lines of one set
    """
    pages = _Pages(snapshot, room)
    wanted: dict[Key, Value] = {
        key: format_line(mark, snapshot.zone) for key, mark in updates.items() if mark is not None and mark.digests
    }
    moved: dict[Key, int] = {}
    for number, line, mark in pages.lines():
        if mark is None or mark.owner != owner or mark.key not in updates:
            continue
        if wanted.get(mark.key) == line:
            del wanted[mark.key]
            # The same line may stand somewhere else too; one is enough.
            continue
        pages.remove(number, line)
        moved.setdefault(mark.key, number)
    for key in sorted(wanted, key=lambda key: (key not in moved, key)):
        pages.add(wanted[key], moved.get(key))
    return pages.changed()


class _Pages:
    """The sets of a registry while they change."""

    def __init__(self, snapshot: Snapshot, room: int) -> None:
        self._snapshot, self._room = snapshot, room
        keys = registry_keys(snapshot)
        self._before = {number_of(key, snapshot.zone) or 0: snapshot.values(key) for key in keys}
        self._pages = {number: dict.fromkeys(values) for number, values in self._before.items()}
        self._used = {number: sum(map(_octets, page)) for number, page in self._pages.items()}

    def lines(self) -> Iterator[tuple[int, Value, Mark | None]]:
        """Yield every line as it was, with where it stands and the mark that it is."""
        for number, values in self._before.items():
            for line in values:
                yield number, line, parse_line(line, self._snapshot.zone)

    def remove(self, number: int, line: Value) -> None:
        """Take a line out of the set ``number``."""
        del self._pages[number][line]
        self._used[number] -= _octets(line)

    def add(self, line: Value, where: int | None) -> None:
        """Put a line back ``where`` it was, or into the first set that has room."""
        needs = _octets(line)
        candidates = [*([] if where is None else [where]), *sorted(self._pages), max(self._pages) + 1]
        number = next(number for number in candidates if self._fits(number, needs))
        self._pages.setdefault(number, {})[line] = None
        self._used[number] = self._used.get(number, 0) + needs

    def _fits(self, number: int, needs: int) -> bool:
        page = self._pages.get(number)
        return not page or (len(page) < MOST_LINES and self._used[number] + needs <= self._room)

    def changed(self) -> dict[Key, RRset]:
        """Return the sets that are not as they were."""
        self._name_them()
        zone = self._snapshot.zone
        found = {}
        for number, page in sorted(self._pages.items()):
            key = registry_key(zone, number)
            before = self._snapshot.rrsets.get(key)
            after = RRset.of(*key, before.ttl if before else TTL, page)
            if after.values != (before.values if before else ()):
                found[key] = after
        return found

    def _name_them(self) -> None:
        """Let the first set say how many there are, for those who read a zone set by set.

        The number only grows, because others may be adding to a set that looks empty from here, until nothing is left.
        """
        first = self._pages[0]
        named = [line for line in first if _named(line)]
        count = max([number + 1 for number, page in self._pages.items() if page], default=1)
        wanted = 1 if len(named) == len(first) and count == 1 else max([count, *map(_named, named)])
        line = b"v=postseal1 sets=%d" % wanted
        if wanted == 1 or named != [line]:
            for old in named:
                del first[old]
            if wanted > 1:
                first[line] = None


def _octets(line: Value) -> int:
    """Return what a line takes in a message: its strings, each with its length, and their head (RFC 1035 3.2.1)."""
    data = sort_key(line)
    return 12 + len(data) + (len(data) // CHUNK + 1)


def is_registry(key: Key, zone: str) -> bool:
    """Tell whether ``key`` is a set of the registry of ``zone``."""
    return number_of(key, zone) is not None


def spoken_of(line: Value, zone: str) -> Key | None:
    """Return the record set that a line speaks of, ``None`` for a line about the registry itself."""
    mark = parse_line(line, zone)
    return mark.key if mark else None
