# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Between the zone-file text that APIs speak (RFC 1035 5.1) and canonical values, and what no zone can hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import dns.exception
import dns.rdatatype

from ..errors import InvalidRecord
from ..records import RRset, Value, shown, unquoted
from ..snapshot import Change
from ..wire import absolute, rdata_of, value_of

# An answer has at most 65535 octets (RFC 1035 4.2.2), with signatures and whatever else must go with it.
_MAX_SET = 48 * 1024
# What goes with the data of each record when its name is compressed: RFC 1035 3.2.1.
_RECORD_HEAD = 12
_ADDRESS = 16


def parsed(rrtype: str, text: str) -> Value:
    """Return the canonical value of record data in zone-file text with absolute names.

    Types and data that only the provider knows (PowerDNS: LUA, ALIAS) stay as they are written.
    Raises :class:`ValueError` for TXT data that is not zone-file text.
    """
    if rrtype == "TXT":
        return unquoted(text)
    try:
        return value_of(rdata_of(rrtype, text))
    except (dns.exception.DNSException, ValueError):
        return text


def check(provider: str, zone: str, changes: Iterable[Change]) -> None:
    """Raise :class:`InvalidRecord` for the first of ``changes`` that no zone can hold: bad data, name or size."""
    for change in changes:
        name, rrtype = change.key
        try:
            absolute(name)
            for value in change.adds:
                rdata_of(rrtype, value)
        except (dns.exception.DNSException, ValueError) as error:
            values = " ".join(map(shown, change.adds))
            raise InvalidRecord(provider, zone, f"{name} {rrtype} cannot be {values}: {error}") from None
        if change.after is not None and _may_be_large(change.after.values) and _size(change.after) > _MAX_SET:
            raise InvalidRecord(provider, zone, f"the records of {name} {rrtype} do not fit into one message")


def _may_be_large(values: Collection[Value]) -> bool:
    """Tell whether a closer look is worth it: but for a short address, data takes at most twice its text's room."""
    return 2 * sum(map(len, values)) + (_RECORD_HEAD + _ADDRESS) * len(values) > _MAX_SET


def _size(rrset: RRset) -> int:
    """Return the octets that a set takes in an answer."""
    size = 0
    for value in rrset.values:
        try:
            size += _RECORD_HEAD + len(rdata_of(rrset.type, value).to_wire() or b"")
        except (dns.exception.DNSException, ValueError):
            size += _RECORD_HEAD + len(value)  # of a type that only the provider knows
    return size
