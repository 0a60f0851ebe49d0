# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Who wrote what: marks of ownership, and the registry record that keeps them where a provider has no other place.

The registry is one TXT set per zone with one line per environment and record set. A line names digests of the values
that the environment wrote there last, so a value that somebody changed since is nobody's and is left alone. Each
environment writes its own lines only, in the same update as the values they speak of.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

from .records import Key, RRset, Value, relative, sort_key
from .snapshot import Mark, Snapshot

REGISTRY_LABEL = "_postseal-owner"
REGISTRY_TTL = 300
_LINE = re.compile(
    rb"v=postseal1 owner=(?P<owner>\S+) name=(?P<name>\S+) type=(?P<type>[A-Z0-9]+) wrote=(?P<wrote>[0-9a-f,]+)"
    rb"(?: share=(?P<share>.*))?",
    re.DOTALL,
)
_DIGEST_LENGTH = 16


def digest(key: Key, value: Value) -> str:
    """Return what identifies one value of one record set: 64 bits of its SHA-256, in hex."""
    head = f"{key[0]}\0{key[1]}\0".encode()
    return hashlib.sha256(head + sort_key(value)).hexdigest()[:_DIGEST_LENGTH]


def registry_key(zone: str) -> Key:
    """Return where the registry of ``zone`` is."""
    return (f"{REGISTRY_LABEL}.{zone}", "TXT")


def marks_of(snapshot: Snapshot) -> dict[str, dict[Key, Mark]]:
    """Return all marks of a zone, by owner and record set. Lines that are not ours to read mark nothing."""
    found: dict[str, dict[Key, Mark]] = {}
    registry = snapshot.values(registry_key(snapshot.zone))
    for mark in (*snapshot.marks, *filter(None, (parse_line(line, snapshot.zone) for line in registry))):
        known = found.setdefault(mark.owner, {}).get(mark.key)
        digests = mark.digests | known.digests if known else mark.digests
        found[mark.owner][mark.key] = Mark(mark.owner, mark.key, digests, mark.share)
    return found


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


def registry_after(snapshot: Snapshot, owner: str, updates: Mapping[Key, Mark | None]) -> RRset | None:
    """Return the registry set with the lines of ``owner`` for the sets in ``updates`` replaced (``None``: removed)."""
    zone, key = snapshot.zone, registry_key(snapshot.zone)
    kept = [line for line in snapshot.values(key) if not _concerns(parse_line(line, zone), owner, updates)]
    new = [format_line(mark, zone) for mark in updates.values() if mark is not None and mark.digests]
    current = snapshot.rrsets.get(key)
    ttl = current.ttl if current else REGISTRY_TTL
    return RRset.of(*key, ttl, [*kept, *new]) if kept or new else None


def _concerns(mark: Mark | None, owner: str, keys: Iterable[Key]) -> bool:
    return mark is not None and mark.owner == owner and mark.key in keys
