# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The parts of record sets that mail speaks for (see :mod:`..dns.claims`): what is ours to say and what is not."""

from __future__ import annotations

from collections.abc import Sequence

from ..dns.claims import Merged, Slot
from ..dns.records import Key, Value
from . import caa, dmarc, mtasts, spf, tlsrpt


def _all(_: Value) -> bool:
    return True


def _spf(value: Value) -> bool:
    return isinstance(value, bytes) and spf.is_spf(value)


def _dmarc(value: Value) -> bool:
    return isinstance(value, bytes) and dmarc.is_dmarc(value)


def _tlsa(value: Value) -> bool:
    return isinstance(value, str) and value.startswith("3 1 1 ")


def _tlsrpt(value: Value) -> bool:
    return isinstance(value, bytes) and tlsrpt.is_tlsrpt(value)


def _sts(value: Value) -> bool:
    return isinstance(value, bytes) and mtasts.is_sts(value)


def merge_spf(asked: Value, found: Sequence[Value], share: Value | None, others: Sequence[Value] = ()) -> Merged:
    """Unite our SPF record with those found (:func:`.spf.unite`); a record that already says it all stays as it is."""
    records, theirs = ([spf.parse(_data(value)) for value in values] for values in (found, others))
    had = None if share is None else spf.parse(_data(share))
    united, mine = spf.unite(spf.parse(_data(asked)), records, had, theirs)
    value: Value = united.encode()
    if len(records) == 1 and _same(records[0], united):
        value = found[0]
    joined = bool(mine.mechanisms or mine.all or united.all in {other.all for other in theirs})
    return Merged(value, mine.encode(), joined)


def leave_spf(found: Value, share: Value, others: Sequence[Value] = ()) -> Value | None:
    """Return what remains of a united SPF record for the others when we go, ``None`` if it was ours alone.

    ``all`` stays as it is: what the others had may have been laxer, and nobody wrote it down.
    """
    record, mine = spf.parse(_data(found)), spf.parse(_data(share))
    theirs = [spf.parse(_data(value)) for value in others]
    asked = {mechanism for other in theirs for mechanism in other.mechanisms}
    rest = tuple(one for one in record.mechanisms if one not in mine.mechanisms or one in asked)
    anybody = rest or record.redirect or record.modifiers or theirs
    if not anybody and record.all in (None, mine.all):
        return None
    return spf.Spf(rest, record.all, record.redirect, record.modifiers).encode()


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
SPF_MERGED = Slot("spf", _spf, merge=merge_spf, leave=leave_spf)
DMARC_AUTHORISATION = Slot("report-consent", _dmarc)
TLSRPT = Slot("tlsrpt", _tlsrpt)
STS = Slot("sts", _sts)
STS_HOST = Slot("sts-host", _all)
ALIAS = Slot("alias", _all)


def dkim(selector: str) -> Slot:
    """Return the slot of a selector. All TXT data there is in it: verifiers must not guess (RFC 6376 3.6.2.2)."""
    return Slot(f"dkim:{selector}", _all)


def caa_of(value: str) -> Slot:
    """Return the slot of CAA data: for an authority all that lets it certify, else all of the same tag.

    What lets other authorities certify is not ours to say. What lets ours do so without our conditions would undo
    them (RFC 8657 3), so it is in the slot.
    """
    said = caa.parse(value)
    label = f"caa:{said.tag}:{said.issuer}" if said.tag in ("issue", "issuewild") else f"caa:{said.tag}"

    def holds(other: Value) -> bool:
        try:
            found = caa.parse(str(other))
        except ValueError:
            return False
        return (found.tag, found.issuer) == (said.tag, said.issuer)

    return Slot(label, holds, single=False)


def slot_of(key: Key, value: Value) -> Slot | None:
    """Return the slot that a value of a record set is in, ``None`` for one that no claim is ever made on."""
    name, rrtype = key
    if rrtype == "TXT":
        return _slot_of_text(name, value)
    if rrtype == "CNAME":
        selector, found, _ = name.partition("._domainkey.")
        return dkim(selector) if found else STS_HOST if name.startswith("mta-sts.") else ALIAS
    if rrtype == "CAA":
        try:
            return caa_of(str(value))
        except ValueError:
            return None
    slot = {"A": ADDRESS, "AAAA": ADDRESS, "MX": MX, "SRV": SRV, "TLSA": TLSA}.get(rrtype)
    return slot if slot and slot.holds(value) else None


def _slot_of_text(name: str, value: Value) -> Slot | None:
    selector, is_key, _ = name.partition("._domainkey.")
    if is_key:
        return dkim(selector)
    if "._report._dmarc." in name:
        slot = DMARC_AUTHORISATION
    elif name.startswith("_dmarc."):
        slot = DMARC
    elif name.startswith("_smtp._tls."):
        slot = TLSRPT
    elif name.startswith("_mta-sts."):
        slot = STS
    else:
        slot = SPF_MERGED
    return slot if slot.holds(value) else None
