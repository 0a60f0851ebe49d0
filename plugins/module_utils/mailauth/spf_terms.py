# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Single terms of SPF records and the macros in them (RFC 7208 4.6.1, 5, 7, 12)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

_DIRECTIVE = re.compile(r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)((?:[:/].*)?)", re.IGNORECASE)
_MODIFIER = re.compile(r"([a-z][a-z0-9._-]*)=(.*)", re.IGNORECASE)
_CIDR = re.compile(r"(?P<rest>.*?)(?:/(?P<four>0|[1-9][0-9]*))?(?://(?P<six>0|[1-9][0-9]*))?")
_NETWORK = re.compile(r"(?P<address>[^/]+)(?:/(?P<length>0|[1-9][0-9]*))?")
_MACRO = re.compile(r"%\{([slodiphcrtv])([0-9]*)(r?)([.+,/_=-]*)\}", re.IGNORECASE)
_LITERAL = re.compile(r"[\x21-\x24\x26-\x7e]")
_TOP_LABEL = re.compile(r"(?:[a-z0-9]*[a-z][a-z0-9]*|[a-z0-9]+-[a-z0-9-]*[a-z0-9])", re.IGNORECASE)
_BITS = {"ip4": 32, "ip6": 128}


@dataclass(frozen=True)
class Directive:
    """A mechanism with its qualifier, one of ``+-~?``. ``target`` is its domain-spec, empty for the domain itself."""

    qualifier: str
    mechanism: str
    target: str = ""


@lru_cache(maxsize=4096)
def directive(term: str) -> Directive | None:
    """Return the directive that ``term`` is, ``None`` if it looks like none.

    Raises :class:`ValueError` for one that RFC 7208 does not allow: verifiers answer the whole record with permerror.
    """
    match = _DIRECTIVE.fullmatch(term)
    if match is None:
        return None
    qualifier, mechanism, value = match[1] or "+", match[2].lower(), match[3]
    try:
        target = _target(mechanism, value)
    except ValueError as error:
        raise ValueError(f"{term!r} is not a mechanism of RFC 7208: {error}") from None
    return Directive(qualifier, mechanism, target)


def modifier(term: str) -> tuple[str, str] | None:
    """Return name and value of the modifier that ``term`` is, ``None`` if it is none; raises like :func:`directive`."""
    match = _MODIFIER.fullmatch(term)
    if match is None:
        return None
    name, value = match[1].lower(), match[2]
    try:
        if name in ("redirect", "exp"):
            _check_domain(value, explanation=name == "exp")
        else:
            _check_macros(value, explanation=False)
    except ValueError as error:
        raise ValueError(f"{term!r} is not a modifier of RFC 7208: {error}") from None
    return name, value


def _target(mechanism: str, value: str) -> str:
    """Return the domain-spec in what follows a mechanism's name, after checking it all."""
    if mechanism == "all":
        if value:
            raise ValueError("all stands alone")
        return ""
    if mechanism in _BITS:
        _check_network(mechanism, value)
        return ""
    if mechanism in ("a", "mx"):
        value = _without_cidr(value)
        if not value:
            return ""
    elif mechanism == "ptr" and not value:
        return ""
    if not value.startswith(":"):
        raise ValueError("a domain must follow, after a colon")
    _check_domain(value[1:], explanation=False)
    return value[1:]


def _without_cidr(value: str) -> str:
    match = _CIDR.fullmatch(value)
    assert match is not None  # noqa: S101  # every part may be empty
    for part, bits in (("four", 32), ("six", 128)):
        if match[part] is not None and int(match[part]) > bits:
            raise ValueError(f"a prefix has at most {bits} bits")
    return match["rest"]


def _check_network(mechanism: str, value: str) -> None:
    match = _NETWORK.fullmatch(value[1:]) if value.startswith(":") else None
    if match is None:
        raise ValueError("an address must follow, after a colon")
    (IPv4Address if mechanism == "ip4" else IPv6Address)(match["address"])
    if "%" in match["address"]:
        raise ValueError("an address has no zone index here")
    if match["length"] is not None and int(match["length"]) > _BITS[mechanism]:
        raise ValueError(f"a prefix has at most {_BITS[mechanism]} bits")


def _check_domain(spec: str, *, explanation: bool) -> None:
    """Check a domain-spec: macro-string, then a top label or a macro (RFC 7208 7.1)."""
    last = _check_macros(spec, explanation=explanation)
    if last == "macro":
        return
    label = spec.removesuffix(".").rpartition(".")
    if not label[1] or not _TOP_LABEL.fullmatch(label[2]):
        raise ValueError(f"{spec!r} is no domain with two labels or more")


def _check_macros(text: str, *, explanation: bool) -> str:
    """Check a macro-string; return what it ends with: ``macro``, ``text`` or nothing."""
    position, last = 0, ""
    while position < len(text):
        macro = _MACRO.match(text, position)
        if macro:
            if macro[1].lower() in "crt" and not explanation:
                raise ValueError(f"macro {macro[1]} is for explanations only")
            if macro[2] and int(macro[2]) == 0:
                raise ValueError("a macro keeps at least one label")
            position, last = macro.end(), "macro"
        elif text[position : position + 2] in ("%%", "%_", "%-"):
            position, last = position + 2, "text"
        elif _LITERAL.match(text, position):
            position, last = position + 1, "text"
        else:
            raise ValueError(f"{text[position : position + 2]!r} is no macro")
    return last


def expand(spec: str, domain: str, values: Mapping[str, str] | None = None) -> str | None:
    """Return a checked domain-spec with its macros replaced, lower case, without the trailing dot.

    :param domain: the domain whose record it is in, which is also what an empty domain-spec means
    :param values: what the macro letters stand for; without it only d is known
    ``None`` if it holds a macro that is not known.
    """
    if not spec:
        return domain
    known = values or {"d": domain}

    def replaced(match: re.Match[str]) -> str:
        if match[0][1] != "{":
            return {"%%": "%", "%_": " ", "%-": "%20"}[match[0]]
        value = known[match[1].lower()]
        parts = re.split(f"[{re.escape(match[4])}]", value) if match[4] else value.split(".")
        if match[3]:
            parts.reverse()
        return ".".join(parts[-int(match[2]) :] if match[2] else parts)

    if any(found[1].lower() not in known for found in _MACRO.finditer(spec)):
        return None
    return re.sub(r"%[%_-]|" + _MACRO.pattern, replaced, spec, flags=re.IGNORECASE).rstrip(".").lower()
