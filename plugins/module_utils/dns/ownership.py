# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Who wrote what: marks of ownership, and the lines of text that tell them.

A line stands for one environment and one record set. It names digests of the values that the environment wrote there
last, so a value that somebody changed since is nobody's and is left alone. Where a provider keeps nothing beside the
records, lines are in the zone's registry (:mod:`.registry`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote

from .records import Key, Value, relative, sort_key
from .snapshot import Mark, Snapshot

_LINE = re.compile(
    rb"v=postseal1 owner=(?P<owner>\S+) name=(?P<name>\S+) type=(?P<type>[A-Z0-9]+) wrote=(?P<wrote>[0-9a-f,]+)"
    rb"(?: share=(?P<share>.*))?",
    re.DOTALL,
)
_DIGEST_LENGTH = 16


@lru_cache(maxsize=16384)  # of one value it is asked for again and again, but zone after zone
def digest(key: Key, value: Value) -> str:
    """Return what identifies one value of one record set: 64 bits of its SHA-256, in hex."""
    head = f"{key[0]}\0{key[1]}\0".encode()
    return hashlib.sha256(head + sort_key(value)).hexdigest()[:_DIGEST_LENGTH]


def merged(snapshot: Snapshot, marks: Iterable[Mark]) -> dict[str, dict[Key, Mark]]:
    """Return ``marks`` by owner and record set.

    After an accident two may speak of one set: what either says is ours is, and the share is that of the one whose
    value is there.
    """
    found: dict[str, dict[Key, Mark]] = {}
    for mark in marks:
        of_owner = found.setdefault(mark.owner, {})
        known = of_owner.get(mark.key)
        of_owner[mark.key] = mark if known is None else _both(snapshot, known, mark)
    return found


def _both(snapshot: Snapshot, one: Mark, other: Mark) -> Mark:
    there = {digest(one.key, value) for value in snapshot.values(one.key)}
    first = one if one.digests & there or not other.digests & there else other
    share = first.share if first.share is not None else (other if first is one else one).share
    return Mark(one.owner, one.key, one.digests | other.digests, share)


def parse_line(line: Value, zone: str) -> Mark | None:
    """Return the mark that a registry line stands for, ``None`` for anything else."""
    match = _LINE.fullmatch(line) if isinstance(line, bytes) else None
    if match is None:
        return None
    try:
        owner, name, rrtype, wrote = (match[part].decode("ascii") for part in ("owner", "name", "type", "wrote"))
    except UnicodeDecodeError:
        return None
    full = zone if name == "@" else f"{name}.{zone}"
    return Mark(unquote(owner), (full, rrtype), frozenset(filter(None, wrote.split(","))), match["share"])


def format_line(mark: Mark, zone: str) -> bytes:
    """Return the registry line of a mark."""
    name, rrtype = mark.key
    wrote = ",".join(sorted(mark.digests))
    line = f"v=postseal1 owner={quote(mark.owner, safe='')} name={relative(name, zone)} type={rrtype} wrote={wrote}"
    return line.encode() + (b"" if mark.share is None else b" share=" + mark.share)
