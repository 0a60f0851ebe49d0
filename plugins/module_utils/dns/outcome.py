# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What became of each value of a plan that did not go through as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .plan import ZonePlan
from .records import shown
from .snapshot import Snapshot


@dataclass(frozen=True)
class Outcome:
    """Changes of values, ``+ name type value`` or ``- name type value``: what is done, and what is not."""

    done: tuple[str, ...]
    open: tuple[str, ...]


def outcome(plan: ZonePlan, now: Snapshot) -> Outcome:
    """Return what of ``plan`` is done in the zone as it is ``now``; the registry is left out."""
    found = list(_values(plan, now))
    return Outcome(
        tuple(line for line, done in found if done),
        tuple(line for line, done in found if not done),
    )


def _values(plan: ZonePlan, now: Snapshot) -> Iterator[tuple[str, bool]]:
    for change in plan.changes:
        if not change.guarded:
            continue
        name, rrtype = change.key
        there = now.values(change.key)
        for value in change.deletes:
            yield f"- {name} {rrtype} {shown(value)}", value not in there
        for value in change.adds:
            yield f"+ {name} {rrtype} {shown(value)}", value in there
        rrset = now.rrsets.get(change.key)
        if change.ttl_changes and change.after:
            yield f"~ {name} {rrtype} TTL {change.after.ttl}", rrset is not None and rrset.ttl == change.after.ttl
