# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
r"""Between Route 53's text and canonical values.

Route 53 writes an octet as ``\`` and three *octal* digits, where zone files (RFC 1035 5.1) have decimal ones.
Sources: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html and ResourceRecordTypes.html.
"""

from __future__ import annotations

import re

from ..records import Value, canonical_name, chunks
from .presentation import parsed

_PRINTABLE = range(0x20, 0x7F)
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^\s"]+)|\s+', re.DOTALL)
_OCTAL = 3


def name_of(written: str) -> str:
    r"""Return a record's canonical name; ``\052`` is the asterisk of a wildcard."""
    name = _ESCAPE.sub(_octet, written.encode()).decode("latin-1")
    return canonical_name("".join(_in_name(character) for character in name))


def _in_name(character: str) -> str:
    """Return one character as zone files have it; a dot is a dot between labels, as Route 53 allows no other."""
    return character if ord(character) in _PRINTABLE and character not in ' "\\();@$' else f"\\{ord(character):03d}"


def value_of(rrtype: str, written: str) -> Value:
    """Return the canonical value of one record; raises :class:`ValueError` for TXT data that is no text of it."""
    if rrtype not in ("TXT", "SPF"):
        return parsed(rrtype, written)
    data, position, found = written.encode(), 0, b""
    while position < len(data):
        match = _STRING.match(data, position)
        if match is None:
            raise ValueError(f"not the text of a TXT record at octet {position}")
        found += _ESCAPE.sub(_octet, match[1] if match[1] is not None else match[2] or b"")
        position = match.end()
    return found


def text_of(value: Value) -> str:
    """Return a canonical value as Route 53 wants it written."""
    if isinstance(value, str):
        return value
    return " ".join('"' + "".join(map(_written, chunk)) + '"' for chunk in chunks(value))


def _written(octet: int) -> str:
    if octet == ord('"'):
        return '\\"'
    return chr(octet) if octet in _PRINTABLE and octet != ord("\\") else f"\\{octet:03o}"


def _octet(match: re.Match[bytes]) -> bytes:
    inner = match[1]
    # Three octal digits may say more than an octet holds; the rest is what no server would keep either.
    return bytes([int(inner, 8) & 0xFF]) if len(inner) == _OCTAL else inner
