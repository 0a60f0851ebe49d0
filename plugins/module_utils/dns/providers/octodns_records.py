# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Between octoDNS's records and canonical values.

octoDNS keeps TXT data as text with ``;`` escaped, and its providers disagree on what stands for quotes, backslashes and
other than ASCII characters. Records of ours therefore have none of these; those of others are handed back as the very
objects that the provider made of them.
"""

from __future__ import annotations

import re
from typing import Any

from octodns.record import Record, Rrset
from octodns.zone import Zone

from ..records import Key, RRset, Value, canonical_name, text
from ..snapshot import Change
from .guard import values_after
from .presentation import parsed

_ESCAPED = re.compile(r"\\([0-9]{3}|.)", re.DOTALL)
_MAX_OCTET = 255
_PRINTABLE = range(0x20, 0x7F)


def key_of(record: Any) -> Key:
    """Return the record set that an octoDNS record is."""
    return canonical_name(record.fqdn), str(record._type)


def rrset_of(record: Any) -> RRset:
    """Return an octoDNS record in canonical form."""
    key = key_of(record)
    return RRset.of(*key, int(record.ttl), (value for _, value in _pairs(record)))


def is_plain(record: Any) -> bool:
    """Tell whether a record is the same for everybody who asks; octoDNS can also steer by health or place."""
    return not (getattr(record, "dynamic", None) or getattr(record, "geo", None))


def writable(value: Value) -> bool:
    """Tell whether every provider of octoDNS writes ``value`` as it is."""
    return isinstance(value, str) or all(byte in _PRINTABLE and byte not in b'"\\' for byte in value)


def changed(zone: Zone, record: Any, change: Change) -> Any:
    """Return what becomes of ``record`` (``None``: there is none yet), ``None`` if nothing is left of it."""
    pairs = _pairs(record) if record else []
    kept, new = values_after(change, [value for _, value in pairs])
    raw = [found for found, value in pairs if value in kept]
    name, rrtype = change.key
    ttl = change.after.ttl if change.after else int(record.ttl) if record else 0
    like = record
    if new:
        rrset = Rrset(f"{name}.", rrtype, ttl, [text(value) for value in new])
        made = Record.from_rrset(zone, rrset, lenient=True)
        raw += _raw(made)
        like = record or made
    if not raw:
        return None
    data = {field: said for field, said in like.data.items() if field not in ("value", "values")}
    data |= {"type": rrtype, "ttl": ttl}
    data |= {"values": raw} if hasattr(like, "values") else {"value": raw[0]}
    return Record.new(zone, zone.hostname_from_fqdn(f"{name}."), data, lenient=True)


def _raw(record: Any) -> list[Any]:
    return list(record.values) if hasattr(record, "values") else [record.value]


def _pairs(record: Any) -> list[tuple[Any, Value]]:
    """Return the values of a record as octoDNS has them, each with its canonical form."""
    raw = _raw(record)
    if record._type == "TXT":
        return [(value, _octets(str(value))) for value in raw]
    try:
        texts = record.to_rrset().rdatas
    except Exception:  # types that only one provider has need not be DNS data at all
        texts = [str(value) for value in raw]
    return [(value, parsed(record._type, written)) for value, written in zip(raw, texts, strict=True)]


def _octets(value: str) -> bytes:
    r"""Return TXT data; ``\;`` is octoDNS's, other escapes are what some providers leave as the zone file has them."""
    found, position = b"", 0
    for match in _ESCAPED.finditer(value):
        digits = match[1]
        octet = digits.isdigit() and int(digits) <= _MAX_OCTET
        found += value[position : match.start()].encode() + (bytes([int(digits)]) if octet else digits.encode())
        position = match.end()
    return found + value[position:].encode()
