# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Plans are values: what will be done to each zone, the same text in check mode and in a real run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .records import Key, RRset, text
from .snapshot import Change, Mark, Snapshot

# The fingerprint of what a zone will be, before anything about how: these keys and nothing else.
ESSENCE = ("zone", "owner", "changes")


@dataclass(frozen=True)
class Rules:
    """What the provider asks of a plan: its range of TTLs in seconds, and whether ownership needs the registry.

    :param atomic: records and registry are written together; else the registry is written before them and after
    :param registry_room: octets for the lines of one set of the registry
    """

    min_ttl: int = 1
    max_ttl: int = 2**31 - 1
    registry: bool = True
    atomic: bool = True
    registry_room: int = 16_000


ANY = Rules()


@dataclass(frozen=True)
class ZonePlan:
    """What will be done to one zone.

    :param changes: in the order in which they go out where they cannot go together, the registry last
    :param expected: every record set that the plan speaks for as it must be read back, ``None`` for those that go
    :param owned: how many values in the zone were ours before
    :param held: our marks before the change
    :param marks: our marks after it, for providers that keep them beside the records
    :param notes: what was left out or taken over and why
    :param missing: how many values that our marks speak of are not in the zone
    :param asked: something is wanted of the zone; else all there is of ours is left over
    """

    zone: str
    owner: str
    changes: tuple[Change, ...]
    expected: Mapping[Key, RRset | None] = field(repr=False)
    owned: int
    held: Mapping[Key, Mark] = field(repr=False)
    marks: Mapping[Key, Mark] = field(repr=False)
    notes: tuple[str, ...] = ()
    missing: int = 0
    asked: bool = True

    @property
    def empty(self) -> bool:
        """Tell whether there is nothing to do."""
        return not self.changes

    def after(self, snapshot: Snapshot) -> dict[Key, RRset]:
        """Return all that the zone holds once the plan is carried out on ``snapshot``."""
        rrsets = dict(snapshot.rrsets)
        for change in self.changes:
            rrsets.pop(change.key, None)
            if change.after is not None:
                rrsets[change.key] = change.after
        return rrsets


def essence(plan: ZonePlan) -> dict[str, Any]:
    """Return all that ``plan`` would do, as JSON can hold it."""
    changes = [
        {
            "name": change.key[0],
            "type": change.key[1],
            "before": told(change.before),
            "after": told(change.after),
            "ours": sorted(plan.marks[change.key].digests) if change.key in plan.marks else [],
        }
        for change in plan.changes
    ]
    return {"zone": plan.zone, "owner": plan.owner, "changes": changes}


def told(rrset: RRset | None) -> dict[str, Any] | None:
    """Return a record set as JSON can hold it, its values as zone-file text."""
    return None if rrset is None else {"ttl": rrset.ttl, "values": [text(value) for value in rrset.values]}


def fingerprint(plans: Iterable[ZonePlan]) -> str:
    """Return the SHA-256 (hex) of all that ``plans`` would do; equal plans have equal fingerprints."""
    return fingerprint_of(essence(plan) for plan in plans)


def fingerprint_of(zones: Iterable[Mapping[str, Any]]) -> str:
    """Return :func:`fingerprint` of plans from what :func:`essence` said of them; other keys count for nothing."""
    doing = [{key: zone[key] for key in ESSENCE} for zone in zones if zone["changes"]]
    doing.sort(key=lambda zone: str(zone["zone"]))
    return hashlib.sha256(json.dumps(doing, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
