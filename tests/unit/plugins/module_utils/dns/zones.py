# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Small zones and slots for the tests of the planner; nothing here is about mail."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim, Slot
from ansible_collections.postseal.mail.plugins.module_utils.dns.plan import ZonePlan
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import RRset, Value
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Snapshot

ZONE = "shop.test"
SOA = RRset.of(ZONE, "SOA", 300, ["ns1.lab.test. hostmaster.lab.test. 7 60 60 600 5"])
NS = RRset.of(ZONE, "NS", 300, ["ns1.lab.test.", "ns2.lab.test."])


def starts(label: str) -> Slot:
    """Return the slot of TXT values that start with a label."""
    return Slot(label, lambda value: isinstance(value, bytes) and value.startswith(label.encode() + b"="))


EVERYTHING = Slot("everything", lambda _: True, single=False)


def claim(name: str, rrtype: str, slot: Slot, value: Value, ttl: int = 300, **more: bool) -> Claim:
    return Claim(name, rrtype, slot, value, ttl, ZONE, f"domain {ZONE}", **more)


def snapshot(*rrsets: RRset, signed: bool = False) -> Snapshot:
    return Snapshot(ZONE, 7, {rrset.key: rrset for rrset in (SOA, NS, *rrsets)}, signed)


def applied(plan: ZonePlan, before: Snapshot) -> Snapshot:
    """Return the zone after the plan, the way a server would have it."""
    rrsets = dict(before.rrsets)
    for change in plan.changes:
        rrsets.pop(change.key, None)
        if change.after:
            rrsets[change.key] = change.after
    return Snapshot(before.zone, before.serial + 1, rrsets, before.signed)


def values(found: Snapshot, name: str, rrtype: str = "TXT") -> Iterable[Value]:
    return found.values((name, rrtype))
