# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""In which order zones are written that lead to each other: what is led to comes first, and goes last.

Within a zone :mod:`.order` sees to that. Across zones, the MX of a domain in one zone may lead to a host in another,
and its DMARC policy may speak of keys in a third. Then what is led to is written and seen at all name servers before
the rest begins. Without such records everything is written at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .order import DKIM_LABEL, is_dkim
from .prepare import Prepared
from .records import Key, Value, canonical_name

Node = tuple[int, Key]
"""A record set that changes: the number of its zone among all, and its key."""

# An address, a policy that needs it, and what that policy made needless: longer chains are broken here.
_LAST = 2
_TARGET_WORD = {"MX": 1, "SRV": 3, "CNAME": 0}
_LED_TO = frozenset({"A", "AAAA", "CNAME", "TLSA", "TXT"})


@dataclass(frozen=True)
class Part:
    """What of a zone is written in one wave.

    :param zone: its number among all
    :param keys: the record sets that change, ``None`` for all there are
    :param needs: for those of ``keys`` that wait for other zones, which ones
    """

    zone: int
    keys: frozenset[Key] | None = None
    needs: Mapping[Key, frozenset[int]] = field(default_factory=dict)


def parts(zones: Sequence[Prepared]) -> list[int]:
    """Return in how many parts each zone is written."""
    counts = Counter(part.zone for wave in waves(zones) for part in wave)
    return [counts[number] for number in range(len(zones))]


def waves(zones: Sequence[Prepared]) -> list[list[Part]]:
    """Return what is written together, in order; one wave where no zone has to wait for another."""
    needs = _needs(zones)
    led_to = {there for (zone, _), found in needs.items() for there in found if there[0] != zone}
    if not led_to:
        return [[Part(number) for number in range(len(zones))]]
    levels, behind = _levels(needs), _behind(needs)
    last = max(levels.values())
    asked: dict[int, set[int]] = {}
    for node in led_to:
        asked.setdefault(node[0], set()).add(levels[node])
    made: list[list[Part]] = [[] for _ in range(last + 1)]
    for number, item in enumerate(zones):
        nodes = {change.key: _node(item, number, change.key) for change in item.plan.changes if change.guarded}
        reached = {key: levels.get(node, 0) for key, node in nodes.items()}
        # A zone is written as seldom as others allow. One that nobody waits for is not waited for.
        steps = sorted({*asked[number], max(reached.values(), default=0)} if number in asked else {last})
        for before, step in zip([-1, *steps], steps, strict=False):
            keys = frozenset(key for key, level in reached.items() if before < level <= step)
            waiting = {key: behind.get(nodes[key], frozenset()) - {number} for key in keys}
            needing = {key: others for key, others in waiting.items() if others}
            made[step].append(Part(number, keys if len(steps) > 1 else None, needing))
    return [wave for wave in made if wave]


def _node(item: Prepared, number: int, key: Key) -> Node:
    """Return what stands for ``key``: where an alias comes or goes, its name changes at once (RFC 1034 3.6.2)."""
    alias = (key[0], "CNAME")
    return (number, alias if alias in item.changing else key)


def _needs(zones: Sequence[Prepared]) -> dict[Node, set[Node]]:
    """Return for each record set that changes which others must be there, or must have gone, before."""
    found: dict[Node, set[Node]] = {}
    if all(item.plan.empty for item in zones):
        return found
    coming, going = _places(zones)
    for number, item in enumerate(zones):
        for change in item.plan.changes:
            if not change.guarded:
                continue
            node = _node(item, number, change.key)
            for name in _leads(change.key, change.adds):
                found.setdefault(node, set()).update(there for there in coming.get(name, ()) if there != node)
            for name in _leads(change.key, change.deletes):
                for there in going.get(name, ()):
                    if there != node:
                        found.setdefault(there, set()).add(node)
    return found


def _places(zones: Sequence[Prepared]) -> tuple[dict[str, list[Node]], dict[str, list[Node]]]:
    """Return by name which of our record sets can be led to: those that will stand there, and those that go."""
    coming: dict[str, list[Node]] = {}
    going: dict[str, list[Node]] = {}
    for number, item in enumerate(zones):
        for key, rrset in item.plan.expected.items():
            for name in _led_to(key):
                (going if rrset is None else coming).setdefault(name, []).append(_node(item, number, key))
    return coming, going


def _led_to(key: Key) -> Iterator[str]:
    """Yield the names by which other records lead to ``key``."""
    name, rrtype = key
    if rrtype not in _LED_TO:
        return
    if is_dkim(name):
        yield name
        # Policies of the domain and of those above it speak of its keys.
        domain = name.partition(f".{DKIM_LABEL}.")[2]
        while domain:
            yield f"{DKIM_LABEL}.{domain}"
            domain = domain.partition(".")[2]
    elif rrtype == "TLSA":
        yield name.split(".", 2)[-1]
    elif rrtype != "TXT":
        yield name


def _leads(key: Key, values: Iterable[Value]) -> Iterator[str]:
    """Yield the names that ``values`` of a record set lead to; for a policy, where the keys of its domain are."""
    name, rrtype = key
    word = _TARGET_WORD.get(rrtype)
    for value in values:
        if word is not None:
            yield canonical_name(str(value).split(" ")[word])
        if rrtype == "MX":
            yield f"{DKIM_LABEL}.{name}"
        elif rrtype == "SRV":
            yield f"{DKIM_LABEL}.{name.split('.', 2)[-1]}"
        elif rrtype == "TXT" and name.startswith("_dmarc."):
            yield f"{DKIM_LABEL}.{name.partition('.')[2]}"
        elif rrtype == "TXT" and name.startswith("_mta-sts."):
            yield f"mta-sts.{name.partition('.')[2]}"


def _levels(needs: Mapping[Node, set[Node]]) -> dict[Node, int]:
    """Return how many zones one after the other each record set has to wait for."""
    levels = dict.fromkeys({*needs, *(there for found in needs.values() for there in found)}, 0)
    moved = True
    while moved:
        moved = False
        for node, found in needs.items():
            wanted = max((min(levels[there] + (there[0] != node[0]), _LAST) for there in found), default=0)
            if wanted > levels[node]:
                levels[node], moved = wanted, True
    return levels


def _behind(needs: Mapping[Node, set[Node]]) -> dict[Node, frozenset[int]]:
    """Return the zones that stand behind each record set: those it waits for, and those that these wait for."""
    found = {node: frozenset(there[0] for there in before) for node, before in needs.items()}
    moved = True
    while moved:
        moved = False
        for node, before in needs.items():
            more = found[node].union(*(found.get(there, frozenset()) for there in before))
            if more != found[node]:
                found[node], moved = more, True
    return found
