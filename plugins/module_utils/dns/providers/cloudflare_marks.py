# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whose a record at Cloudflare is: a line in its comment, which every plan has and which costs no record.

A comment has room for 100 characters on the smallest plan (developers.cloudflare.com/dns/manage-dns-records/reference/
record-attributes), so it names the owner, a digest of what the owner wrote and, of a value that is merged with foreign
ones, which of its words are the owner's::

    postseal1 production=0123456789abcdef/1f staging=fedcba9876543210/3

What people wrote into the comment stands before it and stays.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

from ..ownership import digest
from ..records import Key, Value, sort_key
from ..snapshot import Mark

LONGEST = 100
_PREFIX = "postseal1"
_ENTRY = re.compile(r"([^\s=]+)=([0-9a-f]{16})(?:/([0-9a-f]+))?")
_COMMENT = re.compile(rf"(?P<text>.*?)(?:^|\s){_PREFIX}(?P<entries>(?: {_ENTRY.pattern})+)\s*", re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """What one owner says of a record. ``share``: its part of a merged value, as far as that can still be told."""

    owner: str
    digest: str
    share: bytes | None = None


@dataclass(frozen=True)
class Comment:
    """A record's comment: what people wrote, and what owners say."""

    text: str = ""
    entries: tuple[Entry, ...] = ()

    def without(self, owner: str) -> Comment:
        """Return the comment without what ``owner`` says."""
        return Comment(self.text, tuple(entry for entry in self.entries if entry.owner != owner))


def parse(comment: str, key: Key, value: Value) -> Comment:
    """Return what the comment of the record with ``value`` says.

    Which words of a value are whose can only be told while the value is the one that the comment was written for.
    """
    match = _COMMENT.fullmatch(comment)
    if match is None:
        return Comment(comment)
    found = [entry.groups() for entry in _ENTRY.finditer(match["entries"])]
    intact = any(wrote == digest(key, value) for _, wrote, _ in found)
    entries = tuple(
        Entry(unquote(owner), wrote, _chosen(value, int(mask, 16)) if mask and intact else None)
        for owner, wrote, mask in found
    )
    return Comment(match["text"].rstrip(), entries)


def compose(comment: Comment, value: Value) -> str:
    """Return the text of a comment for the record with ``value``; raises :class:`ValueError` if there is no room.

    What people wrote is cut where both do not fit: ownership decides what may be deleted, and must not be lost.
    """
    if not comment.entries:
        return comment.text
    entries = []
    for entry in comment.entries:
        mask = None if entry.share is None else _mask(value, entry.share)
        share = "" if mask is None else f"/{mask:x}"
        entries.append(f"{quote(entry.owner, safe='')}={entry.digest}{share}")
    mark = " ".join([_PREFIX, *entries])
    room = LONGEST - len(mark) - 1
    if room < -1:
        raise ValueError(f"{len(mark)} characters, and a comment has room for {LONGEST}")
    text = comment.text if len(comment.text) <= room else comment.text[: max(room - 1, 0)] + "…" * (room > 0)
    return f"{text} {mark}" if text else mark


def marks_of(records: Iterable[tuple[Key, Value, Comment]]) -> tuple[Mark, ...]:
    """Return one mark per owner and record set, from all records of the zone."""
    digests: dict[tuple[str, Key], set[str]] = {}
    shares: dict[tuple[str, Key], bytes] = {}
    for key, _, comment in records:
        for entry in comment.entries:
            digests.setdefault((entry.owner, key), set()).add(entry.digest)
            if entry.share is not None:
                shares[entry.owner, key] = entry.share
    return tuple(Mark(*place, frozenset(found), shares.get(place)) for place, found in digests.items())


def shares_in(value: Value, share: bytes) -> bool:
    """Tell whether the comment of a record with ``value`` can say that ``share`` of it is somebody's."""
    return _mask(value, share) is not None


def _words(value: Value) -> Sequence[bytes]:
    return sort_key(value).split(b" ")


def _chosen(value: Value, mask: int) -> bytes:
    return b" ".join(word for position, word in enumerate(_words(value)) if mask >> position & 1)


def _mask(value: Value, share: bytes) -> int | None:
    """Return which words of ``value`` make up ``share``, one bit each; ``None`` if it has others."""
    wanted, mask = Counter(share.split(b" ")), 0
    for position, word in enumerate(_words(value)):
        if wanted[word]:
            wanted[word] -= 1
            mask |= 1 << position
    return mask if wanted.total() == 0 else None
