# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which authority may certify a name, and how (RFC 8659, RFC 8657): build and parse CAA data, as zone-file text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# RFC 8659 4.1 and 4.2; quotes and backslashes would need escapes and stand in no issuer, parameter or URL.
_TEXT = re.compile(r'(?P<flags>[0-9]{1,3}) (?P<tag>[A-Za-z0-9]+) "?(?P<value>[^"\\]*)"?')
_PARAMETER = re.compile(r"[A-Za-z0-9-]+=[\x21-\x3a\x3c-\x7e]*")


@dataclass(frozen=True)
class Caa:
    """One property. For ``issue`` and ``issuewild`` the value is split: without issuer nobody may certify."""

    tag: str
    value: str
    issuer: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    flags: int = 0


def issue(issuer: str, account: str | None = None, methods: Sequence[str] = ()) -> str:
    """Return CAA data that lets ``issuer`` certify; with an ACME account's URI and challenges only so (RFC 8657)."""
    parameters = [f"accounturi={account}"] if account else []
    parameters += [f"validationmethods={','.join(methods)}"] if methods else []
    for parameter in parameters:
        if not _PARAMETER.fullmatch(parameter) or set('"\\') & set(parameter):
            raise ValueError(f"{parameter!r} is not a parameter of RFC 8659 4.2")
    return f'0 issue "{"; ".join([issuer, *parameters])}"'


def iodef(uri: str) -> str:
    """Return CAA data that asks for reports to ``uri`` (RFC 8659 4.4)."""
    if set('"\\') & set(uri) or not uri.isascii() or not uri.isprintable():
        raise ValueError(f"{uri!r} is not a URI")
    return f'0 iodef "{uri}"'


def parse(text: str) -> Caa:
    """Return the property in CAA data as zone-file text; raises :class:`ValueError` for text that is none."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not CAA data (RFC 8659 4.1)")
    tag, value, flags = match["tag"].lower(), match["value"], int(match["flags"])
    if tag not in ("issue", "issuewild"):
        return Caa(tag, value, flags=flags)
    issuer, *rest = (part.strip(" \t") for part in value.split(";"))
    parameters = []
    for part in filter(None, rest):
        name, equals, content = part.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"{part!r} is not a parameter (RFC 8659 4.2)")
        parameters.append((name.strip().lower(), content.strip()))
    return Caa(tag, value, issuer.lower(), tuple(parameters), flags)
