# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The parts of record sets that mail speaks for (see :mod:`..dns.claims`): what is ours to say and what is not."""

from __future__ import annotations

from collections.abc import Sequence

from ..dns.claims import Merged, Slot
from ..dns.records import Value
from . import dmarc, spf


def _all(_: Value) -> bool:
    return True


def _spf(value: Value) -> bool:
    return isinstance(value, bytes) and spf.is_spf(value)


def _dmarc(value: Value) -> bool:
    return isinstance(value, bytes) and dmarc.is_dmarc(value)


def _tlsa(value: Value) -> bool:
    return isinstance(value, str) and value.startswith("3 1 1 ")


def merge_spf(asked: Value, found: Sequence[Value], share: Value | None) -> Merged:
    """Unite our SPF record with those found (:func:`.spf.unite`); a record that already says it all stays as it is."""
    records = [spf.parse(_data(value)) for value in found]
    united, mine = spf.unite(spf.parse(_data(asked)), records, None if share is None else spf.parse(_data(share)))
    value: Value = united.encode()
    if len(records) == 1 and _same(records[0], united):
        value = found[0]
    return Merged(value, mine.encode())


def _same(left: spf.Spf, right: spf.Spf) -> bool:
    """Tell whether two records mean the same whatever the order of their mechanisms, which must then all pass."""
    unordered = all(mechanism[0] not in "-~?" for mechanism in left.mechanisms)
    same_terms = sorted(left.mechanisms) == sorted(right.mechanisms) and left.modifiers == right.modifiers
    return unordered and same_terms and (left.all, left.redirect) == (right.all, right.redirect)


def _data(value: Value) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


ADDRESS = Slot("address", _all, single=False)
MX = Slot("mx", _all, single=False)
SRV = Slot("srv", _all, single=False)
TLSA = Slot("tlsa:3 1 1", _tlsa, single=False)
DMARC = Slot("dmarc", _dmarc)
SPF = Slot("spf", _spf)
SPF_MERGED = Slot("spf", _spf, merge=merge_spf)


def dkim(selector: str) -> Slot:
    """Return the slot of a selector. All TXT data there is in it: verifiers must not guess (RFC 6376 3.6.2.2)."""
    return Slot(f"dkim:{selector}", _all)
