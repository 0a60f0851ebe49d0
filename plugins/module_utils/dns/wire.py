# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Between dnspython's record data and canonical values. Import it only where DNS is spoken."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
from dns.rdtypes.ANY.TLSA import TLSA
from dns.rdtypes.ANY.TXT import TXT

from .records import RRset, Value, canonical_name, chunks

# Their data is numbers and names; names compare without regard to case (RFC 4343).
_NAMES_ONLY = frozenset({"CNAME", "MX", "NS", "PTR", "SOA", "SRV"})
# What a signer generates (RFC 4034, RFC 5155): it is no more anybody's claim than a checksum is.
GENERATED = frozenset({"RRSIG", "NSEC", "NSEC3", "NSEC3PARAM"})


@lru_cache(maxsize=8192)
def absolute(name: str) -> dns.name.Name:
    """Return a canonical name as dnspython's."""
    return dns.name.from_text(name + ".")


def plain(name: dns.name.Name) -> str:
    """Return a name of dnspython in canonical form."""
    return canonical_name(name.to_text())


def value_of(rdata: dns.rdata.Rdata) -> Value:
    """Return the canonical value of record data."""
    if isinstance(rdata, TXT):
        return b"".join(rdata.strings)
    if isinstance(rdata, TLSA):
        return f"{rdata.usage} {rdata.selector} {rdata.mtype} {rdata.cert.hex()}"
    text = rdata.to_text()
    return text.lower() if dns.rdatatype.to_text(rdata.rdtype) in _NAMES_ONLY else text


@lru_cache(maxsize=8192)
def rdata_of(rrtype: str, value: Value) -> dns.rdata.Rdata:
    """Return record data for a canonical value; raises :class:`dns.exception.DNSException` for text that is none."""
    kind = dns.rdatatype.from_text(rrtype)
    if isinstance(value, bytes):
        return TXT(dns.rdataclass.IN, kind, list(chunks(value)))
    return dns.rdata.from_text(dns.rdataclass.IN, kind, value)


def rrset_of(name: str, rdataset: Iterable[dns.rdata.Rdata], rrtype: str, ttl: int) -> RRset:
    """Return the canonical form of what stands at ``name``."""
    return RRset.of(name, rrtype, ttl, map(value_of, rdataset))
