# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What Cloudflare's API makes of one record: what it refuses, and in which form it gives it back.

Every rule says where it is documented or who saw it: DOCS is developers.cloudflare.com, owner/name#n is on GitHub.
Codes have no official list (favonia/cloudflare-ddns#897); where none is known the rule answers with ``UNKNOWN``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer

Fields = dict[str, Any]
UNKNOWN = 99999
# DOCS/api/resources/dns/subresources/records: what a record may have; all else is set by the API.
FIELDS = ("name", "type", "ttl", "content", "data", "priority", "proxied", "comment", "tags", "settings")
# DOCS/dns/proxy-status: the only types that can be proxied.
PROXIABLE = ("A", "AAAA", "CNAME")
TYPES = (*PROXIABLE, "CAA", "MX", "NS", "PTR", "SRV", "TLSA", "TXT")


class ApiError(Exception):
    """A refusal of the API."""

    def __init__(self, code: int, message: str, status: int = 400, pointer: str = "") -> None:
        self.code, self.message, self.status, self.pointer = code, message, status, pointer
        super().__init__(message)


def record(zone: str, entry: Mapping[str, Any]) -> Fields:
    """Return the record that the API keeps for ``entry``; raises :class:`ApiError`."""
    kept = {name: entry[name] for name in FIELDS if entry.get(name) is not None}
    rrtype = kept.get("type")
    if rrtype not in TYPES:
        raise ApiError(1004, "DNS Validation Error")  # the SPF type, for one, is refused with it
    kept["name"] = _name(zone, str(kept.get("name", "")))
    kept["ttl"] = _ttl(kept.get("ttl", 1))
    kept["comment"] = _comment(kept.get("comment"))
    kept.setdefault("tags", [])
    proxied = bool(kept.get("proxied", False))
    if proxied and rrtype not in PROXIABLE:
        raise ApiError(9041, "Invalid proxied mode. Record cannot be proxied")  # jordantrizz/cloudflare-cli#8
    kept["proxied"] = proxied
    if proxied:
        kept["ttl"] = 1  # DOCS/dns/manage-dns-records/reference/ttl: Auto, and not editable
    kept.update(_DATA.get(rrtype, _content)(rrtype, kept))
    kept.update(proxiable=rrtype in PROXIABLE, meta=entry.get("meta") or {})
    if len(wire(kept)) > 4096:  # DOCS/dns/manage-dns-records/reference/dns-record-types
        raise ApiError(9015, "Record content exceeds the allowed length of 4096 wire format bytes.")
    return kept


def _name(zone: str, name: str) -> str:
    """DOCS: the complete name in Punycode. A name that is not in the zone gets it appended (NewFuture/DDNS#21)."""
    name = name.rstrip(".").lower()
    full = zone if name in ("", "@") else name if name == zone or name.endswith("." + zone) else f"{name}.{zone}"
    try:
        dns.name.from_text(full)
    except dns.exception.DNSException:
        raise ApiError(9000, "DNS name is invalid.") from None
    return full


def _ttl(ttl: object) -> int:
    """DOCS/api, ttl: 1 is automatic, else 60 to 86400 (30 on Enterprise)."""
    if not isinstance(ttl, int) or (ttl != 1 and not 60 <= ttl <= 86400):
        raise ApiError(9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
    return ttl


def _comment(comment: object) -> str | None:
    """DOCS/dns/manage-dns-records/reference/record-attributes: 100 characters on Free, no line breaks."""
    if comment is None:
        return None
    text = str(comment)
    if len(text) > 100 or re.search(r"[\r\n]", text):
        raise ApiError(UNKNOWN, "Comment is too long or has invalid characters.")
    return text or None


def _content(rrtype: str, kept: Fields) -> Fields:
    content = kept.get("content")
    if not isinstance(content, str) or not content:
        raise ApiError(9005, f"Content for {rrtype} record is required.")
    if rrtype in ("A", "AAAA"):
        return {"content": _address(rrtype, content)}
    if rrtype == "TXT":
        return {"content": _txt(content)}
    if rrtype == "MX" and not isinstance(kept.get("priority"), int):
        raise ApiError(9100, "Priority is required for MX records.")
    if rrtype == "CNAME" and content.rstrip(".").lower() == kept["name"]:
        raise ApiError(9039, "CNAME record cannot reference itself.")
    return {"content": content.rstrip(".").lower() or "."}  # targets come back without the dot


def _address(rrtype: str, content: str) -> str:
    """The message is the API's: yulewang/cloudflare-api-v4-ddns#16."""
    version = {"A": 4, "AAAA": 6}[rrtype]
    try:
        address = ipaddress.ip_address(content)
    except ValueError:
        address = None
    if address is None or address.version != version:
        raise ApiError(9005, f"Content for {rrtype} record must be a valid IPv{version} address.")
    return str(address)


def _txt(content: str) -> str:
    """DOCS/api, TXTRecord: quoted strings of RFC 1035 of up to 255 bytes; longer ones are split.

    Bare text is still taken and kept as it is, without blanks at its end (DNSControl's audit of the provider).
    """
    if not (len(content) > 1 and content[0] == content[-1] == '"'):
        return content.rstrip(" ")
    try:
        strings = character_strings(content)
    except (dns.exception.DNSException, ValueError):
        raise ApiError(1004, "Content for TXT record is invalid: unbalanced quotes.") from None
    if all(len(string) <= 255 for string in strings):
        return content
    split = [string[start : start + 255] for string in strings for start in range(0, max(len(string), 1), 255)]
    return " ".join(f'"{_escaped(string)}"' for string in split)


def character_strings(content: str) -> list[bytes]:
    """Return the octets of each string of TXT data in zone-file text, of whatever length."""
    strings, tokenizer = [], dns.tokenizer.Tokenizer(content)
    while not (token := tokenizer.get()).is_eol_or_eof():
        strings.append(token.unescape_to_bytes().value)
    return [string if isinstance(string, bytes) else string.encode() for string in strings]


def _escaped(octets: bytes) -> str:
    return "".join(
        f"\\{chr(byte)}" if byte in b'"\\' else chr(byte) if 32 <= byte < 127 else f"\\{byte:03d}" for byte in octets
    )


def _data(kept: Fields, *required: str) -> Fields:
    """A missing field is named like this: kubernetes-sigs/external-dns#6616."""
    data = kept.get("data")
    for name in required:
        if not isinstance(data, dict) or name not in data:
            raise ApiError(9101, f"{name} is a required data field.")
    assert isinstance(data, dict)
    return dict(data)


def _srv(_: str, kept: Fields) -> Fields:
    data = _data(kept, "priority", "weight", "port", "target")
    data["target"] = str(data["target"]).rstrip(".").lower() or "."
    content = f"{data['weight']}\t{data['port']}\t{data['target']}"
    return {"data": data, "content": content, "priority": data["priority"]}


def _tlsa(_: str, kept: Fields) -> Fields:
    """The certificate comes back in upper case: kubernetes-sigs/external-dns#6616."""
    data = _data(kept, "usage", "selector", "matching_type", "certificate")
    data["certificate"] = str(data["certificate"]).upper()
    return {
        "data": data,
        "content": "\t".join(str(data[name]) for name in ("usage", "selector", "matching_type", "certificate")),
    }


def _caa(_: str, kept: Fields) -> Fields:
    """A tag between the fields: cloudflare/salt-cloudflare#9."""
    data = _data(kept, "flags", "tag", "value")
    return {"data": data, "content": f'{data["flags"]}\t{data["tag"]}\t"{data["value"]}"'}


_DATA = {"SRV": _srv, "TLSA": _tlsa, "CAA": _caa}


def wire(kept: Mapping[str, Any]) -> bytes:
    """Return the record as servers send it, by which its size is measured."""
    owner = dns.name.from_text(kept["name"]).to_wire() or b""
    return owner + bytes(10) + (rdata(kept).to_wire() or b"")


def rdata(kept: Mapping[str, Any]) -> dns.rdata.Rdata:
    """Return what Cloudflare's name servers answer for a record that is not proxied."""
    rrtype, data = kept["type"], kept.get("data") or {}
    if rrtype == "TXT":
        content = kept["content"]
        quoted = len(content) > 1 and content[0] == content[-1] == '"'
        octets = b"".join(character_strings(content)) if quoted else content.encode()
        cut = [octets[start : start + 255] for start in range(0, max(len(octets), 1), 255)]
        text = " ".join(f'"{_escaped(string)}"' for string in cut)
    elif rrtype == "SRV":
        text = f"{data['priority']} {data['weight']} {data['port']} {data['target'].rstrip('.')}."
    elif rrtype == "TLSA":
        text = f"{data['usage']} {data['selector']} {data['matching_type']} {data['certificate']}"
    elif rrtype == "CAA":
        text = f'{data["flags"]} {data["tag"]} "{data["value"]}"'
    elif rrtype == "MX":
        text = f"{kept['priority']} {kept['content'].rstrip('.')}."
    elif rrtype in ("A", "AAAA"):
        text = kept["content"]
    else:
        text = kept["content"].rstrip(".") + "."
    return dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(rrtype), text)
