# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""In which order changes go out where they cannot go out together.

Whoever follows a record must find what it leads to. So addresses and keys come before policies, and these before the
records that bring clients and mail (MX, SRV); what is removed goes the other way round. DKIM keys go last of all: mail
that was signed with them is still on its way.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from .snapshot import Change

DKIM_LABEL = "_domainkey"
_COMES = {"A": 0, "AAAA": 0, "CNAME": 1, "TLSA": 1, "MX": 3, "SRV": 3}
_GOES = {"MX": 5, "SRV": 5, "A": 7, "AAAA": 7}
_OTHER_COMES, _OTHER_GOES, _DKIM_COMES, _DKIM_GOES, _REGISTRY = 2, 6, 1, 8, 9


def is_dkim(name: str) -> bool:
    """Tell whether ``name`` is where a DKIM key is looked up (RFC 6376 3.6.2.1)."""
    return DKIM_LABEL in name.split(".")[1:]


def rank(change: Change) -> int:
    """Return when a change goes out, relative to others: lower first."""
    name, rrtype = change.key
    if not change.guarded:
        return _REGISTRY
    if change.after is not None and (change.adds or not change.deletes):
        return _DKIM_COMES if is_dkim(name) else _COMES.get(rrtype, _OTHER_COMES)
    return _DKIM_GOES if is_dkim(name) else _GOES.get(rrtype, _OTHER_GOES)


def in_order(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Return changes in the order in which they go out; those of one name stay together (a CNAME has to make room)."""
    return tuple(change for group in groups(changes) for change in group)


def groups(changes: Iterable[Change]) -> list[tuple[Change, ...]]:
    """Return the changes of each owner name, in the order in which they go out."""
    by_name = groupby(sorted(changes, key=lambda change: change.key), key=lambda change: change.key[0])
    found = [tuple(sorted(group, key=_within_name)) for _, group in by_name]
    return sorted(found, key=lambda group: min(map(rank, group)))


def stages(changes: Iterable[Change]) -> list[tuple[Change, ...]]:
    """Return the changes of a plan in parts that must be written one after the other where nothing is atomic.

    Then a plan changes the registry twice: before everything else it names what comes beside what goes, so that every
    value is somebody's at every moment.
    """
    return [tuple(part) for _, part in groupby(changes, key=lambda change: change.guarded)]


def _within_name(change: Change) -> tuple[bool, int, str]:
    """Of one name, what goes makes room first: an alias and other data exclude each other (RFC 1034 3.6.2)."""
    return (change.after is not None, rank(change), change.key[1])
