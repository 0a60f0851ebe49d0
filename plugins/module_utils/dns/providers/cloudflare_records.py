# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Records as Cloudflare's API writes them, and canonical values.

The form of each type: developers.cloudflare.com/api/resources/dns/subresources/records. One record is one value; a set
is what has the same name and type. Names and targets come without the trailing dot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..records import Key, RRset, Value, canonical_name, quoted, unquoted
from ..wire import rdata_of
from .cloudflare_marks import Comment, parse
from .presentation import parsed

Fields = dict[str, Any]

# What "automatic" means for a record that is not proxied
# (developers.cloudflare.com/dns/manage-dns-records/reference/ttl).
AUTOMATIC, AUTOMATIC_TTL = 1, 300
# The only types that can be proxied (developers.cloudflare.com/dns/proxy-status).
PROXIABLE = frozenset({"A", "AAAA", "CNAME"})


@dataclass(frozen=True)
class Record:
    """One record. ``ttl`` is the API's, where 1 means automatic; one that is ``read_only`` belongs to a service of
    Cloudflare's, such as Email Routing, and cannot be edited.
    """

    id: str
    key: Key
    ttl: int
    value: Value
    comment: Comment
    proxied: bool = False
    read_only: bool = False

    @property
    def effective_ttl(self) -> int:
        """Seconds for which resolvers keep the record.

        A proxied one is not what the world sees, and its TTL cannot be chosen. It counts as 1, which no claim asks
        for, so that a plan corrects it where it is ours.
        """
        if self.proxied:
            return AUTOMATIC
        return AUTOMATIC_TTL if self.ttl == AUTOMATIC else self.ttl


def read(entry: Mapping[str, Any]) -> Record:
    """Return the record that an entry of the API's listing is; raises :class:`ValueError` for what is none."""
    try:
        key = (canonical_name(str(entry["name"])), str(entry["type"]))
        value = _value(key[1], entry)
        return Record(
            str(entry["id"]),
            key,
            int(entry["ttl"]),
            value,
            parse(str(entry.get("comment") or ""), key, value),
            bool(entry.get("proxied")),
            bool((entry.get("meta") or {}).get("read_only")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a record without {error}") from error


def _value(rrtype: str, entry: Mapping[str, Any]) -> Value:
    if rrtype == "TXT":
        return _txt(str(entry["content"]))
    data = entry.get("data")
    if data and rrtype in _FROM_DATA:
        return parsed(rrtype, _FROM_DATA[rrtype](data))
    content = str(entry["content"])
    if rrtype in _NAMES:
        content = _dotted(content)
    elif rrtype == "MX":
        content = f"{int(entry['priority'])} {_dotted(content)}"
    return parsed(rrtype, content)


def _txt(content: str) -> bytes:
    """Return the octets of a TXT record.

    The API keeps the form in which a record was written: quoted strings in zone-file text, or, from before it asked
    for them and from its dashboard, the bare text.
    """
    if len(content) > 1 and content[0] == content[-1] == '"':
        try:
            return unquoted(content)
        except ValueError:
            pass  # bare text that has quotes of its own
    return content.encode()


def _dotted(name: str) -> str:
    return name.rstrip(".") + "."


_NAMES = frozenset({"CNAME", "NS", "PTR"})
_FROM_DATA: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "SRV": lambda data: f"{data['priority']} {data['weight']} {data['port']} {_dotted(str(data['target']))}",
    "TLSA": lambda data: f"{data['usage']} {data['selector']} {data['matching_type']} {data['certificate']}",
    "CAA": lambda data: f'{int(data["flags"])} {data["tag"]} "{_escaped(str(data["value"]))}"',
}


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def fields(rrtype: str, value: Value) -> Fields:
    """Return what the API wants to hear of a value: ``content`` or ``data``, and that it is not to be proxied.

    Raises :class:`ValueError` for a type that is not written here.
    """
    if isinstance(value, bytes):
        return {"content": quoted(value)}
    if rrtype not in _TO_FIELDS:
        raise ValueError(f"{rrtype} records are not written at Cloudflare")
    return _TO_FIELDS[rrtype](value.split(" "))


def _address(words: list[str]) -> Fields:
    # Cloudflare's proxy speaks HTTP: a proxied name is one that no mail reaches.
    return {"content": words[0], "proxied": False}


def _alias(words: list[str]) -> Fields:
    return {**_target(words), "proxied": False}


def _target(words: list[str]) -> Fields:
    return {"content": _bare(words[0])}


def _mx(words: list[str]) -> Fields:
    return {"priority": int(words[0]), "content": _bare(words[1])}


def _srv(words: list[str]) -> Fields:
    priority, weight, port = map(int, words[:3])
    return {"data": {"priority": priority, "weight": weight, "port": port, "target": _bare(words[3])}}


def _tlsa(words: list[str]) -> Fields:
    usage, selector, matching = map(int, words[:3])
    data = {"usage": usage, "selector": selector, "matching_type": matching, "certificate": "".join(words[3:])}
    return {"data": data}


def _caa(words: list[str]) -> Fields:
    rdata: Any = rdata_of("CAA", " ".join(words))
    return {"data": {"flags": rdata.flags, "tag": rdata.tag.decode(), "value": rdata.value.decode()}}


def _bare(name: str) -> str:
    return name.rstrip(".") or "."


_TO_FIELDS: dict[str, Callable[[list[str]], Fields]] = {
    "A": _address,
    "AAAA": _address,
    "CAA": _caa,
    "CNAME": _alias,
    "MX": _mx,
    "NS": _target,
    "PTR": _target,
    "SRV": _srv,
    "TLSA": _tlsa,
}


def sets_of(records: Iterable[Record]) -> tuple[dict[Key, RRset], dict[Key, tuple[Record, ...]]]:
    """Return the record sets of a zone, and the records of each."""
    native: dict[Key, tuple[Record, ...]] = {}
    for record in records:
        native[record.key] = (*native.get(record.key, ()), record)
    rrsets = {
        key: RRset.of(*key, min(record.effective_ttl for record in found), (record.value for record in found))
        for key, found in native.items()
    }
    return rrsets, native
