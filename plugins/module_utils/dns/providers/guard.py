# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Compare and swap for providers that have no such thing: what must still be so just before writing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..errors import ConflictError
from ..records import Key, RRset, Value
from ..snapshot import Change


def require_unchanged(provider: str, zone: str, changes: Sequence[Change], now: Mapping[Key, RRset]) -> None:
    """Raise :class:`ConflictError` unless every guarded set of ``changes`` is in ``now`` as it was before.

    A set that is new also needs a name without CNAME, and a new CNAME a name without anything (RFC 1034 3.6.2), except
    for what the same changes are about.
    """
    ours = {change.key for change in changes}
    others = [key for key in now if key not in ours]
    for change in changes:
        if not change.guarded:
            continue
        moved = now.get(change.key) != change.before
        if change.before is None and not moved:
            moved = any(name == change.key[0] and "CNAME" in (rrtype, change.key[1]) for name, rrtype in others)
        if moved:
            message = f"the zone changed while we looked at it ({change.key[0]} {change.key[1]})"
            raise ConflictError(provider, zone, message, "Run dns.yml again")


def values_after(change: Change, now: Iterable[Value]) -> tuple[list[Value], list[Value]]:
    """Return which values of ``now`` stay and which come.

    For an unguarded set, which others may have written to meanwhile, only what the change itself adds and deletes
    counts.
    """
    found = list(now)
    return [value for value in found if value not in change.deletes], [
        value for value in change.adds if value not in found
    ]
