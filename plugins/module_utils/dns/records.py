# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Names, record sets and their text: one canonical form, in which equal things compare equal.

Names are lower-case without a trailing dot. The value of a TXT record is its strings joined into one ``bytes``: where
a server or an API cuts it (RFC 1035 3.3: 255 octets a string) is its own business and never a change. Every other
value is the text of a zone file with absolute names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = bytes | str
Key: TypeAlias = tuple[str, str]
"""A record set's (name, type)."""

CHUNK = 255
_SHOWN = 90
_PRINTABLE = range(0x20, 0x7F)
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^\s"]+)', re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-9]{3}|.)", re.DOTALL)


@dataclass(frozen=True)
class RRset:
    """All records of one name and type. ``values`` are unique and sorted; ``ttl`` is in seconds."""

    name: str
    type: str
    ttl: int
    values: tuple[Value, ...]

    @property
    def key(self) -> Key:
        """What identifies the set within a zone."""
        return (self.name, self.type)

    @classmethod
    def of(cls, name: str, rrtype: str, ttl: int, values: Iterable[Value]) -> RRset:
        """Return the set with its values in canonical order."""
        return cls(canonical_name(name), rrtype, ttl, tuple(sorted(set(values), key=sort_key)))


def canonical_name(name: str) -> str:
    """Return ``name`` in lower case without the trailing dot (the root is the empty string)."""
    return name.rstrip(".").lower()


def within(name: str, zone: str) -> bool:
    """Tell whether ``name`` is ``zone`` or below it: ``notexample.com`` is not in ``example.com``."""
    return zone in ("", name) or name.endswith("." + zone)


def relative(name: str, zone: str) -> str:
    """Return ``name`` as written inside ``zone``; the apex is ``@``."""
    return "@" if name == zone else name.removesuffix("." + zone)


def sort_key(value: Value) -> bytes:
    """Return the bytes by which values of one set are ordered."""
    return value if isinstance(value, bytes) else value.encode()


def chunks(value: bytes) -> Iterator[bytes]:
    """Yield the strings of at most 255 octets that carry ``value``; the empty value is one empty string."""
    for start in range(0, max(len(value), 1), CHUNK):
        yield value[start : start + CHUNK]


def _written(byte: int) -> str:
    if byte in b'"\\':
        return "\\" + chr(byte)
    return chr(byte) if byte in _PRINTABLE else f"\\{byte:03d}"


_WRITTEN = tuple(map(_written, range(256)))


def quoted(value: bytes) -> str:
    """Return TXT data as zone-file text: quoted strings with the escapes of RFC 1035 5.1."""

    return " ".join('"' + "".join(map(_WRITTEN.__getitem__, chunk)) + '"' for chunk in chunks(value))


def unquoted(text: str) -> bytes:
    """Return the joined octets of TXT data in zone-file text; raises :class:`ValueError` for text that is none."""
    data, found, position = text.encode("utf-8").strip(), [], 0
    while position < len(data):
        match = _TOKEN.match(data, position)
        if match is None:
            raise ValueError(f"not the text of a TXT record at octet {position}")
        inner = match.group(1) if match.group(1) is not None else match.group(2)
        found.append(_ESCAPE.sub(_octet, inner))
        position = match.end()
        while position < len(data) and data[position] in b" \t\r\n":
            position += 1
    return b"".join(found)


def _octet(match: re.Match[bytes]) -> bytes:
    digits = match.group(1)
    return bytes([int(digits)]) if digits.isdigit() and len(digits) == 3 else digits  # noqa: PLR2004


def text(value: Value) -> str:
    """Return one value as it stands in a zone file."""
    return quoted(value) if isinstance(value, bytes) else value


def shown(value: Value) -> str:
    """Return one value short enough for a message."""
    full = text(value)
    return full if len(full) <= _SHOWN else full[: _SHOWN - 3] + "..."


def lines(rrset: RRset | None) -> list[str]:
    """Return the zone-file lines of a set; none for ``None``."""
    if rrset is None:
        return []
    return [f"{rrset.name}. {rrset.ttl} IN {rrset.type} {text(value)}" for value in rrset.values]
