# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Parsers of single values. Each takes what YAML gave and returns the canonical form, or raises :class:`Invalid`."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

import idna

from .passwords import check_hash
from .problems import Invalid, nearest
from .types import Secret

_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_SELECTOR = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_SIZE = re.compile(r"([1-9][0-9]*)([KMG]?)", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhdw])")
_DURATION_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_MAX_NAME = 253
_MAX_LOCAL = 64
_MAX_PORT = 65535


def text(value: Any) -> str:
    """Return non-empty text without surrounding blanks or control characters."""
    if not isinstance(value, str):
        raise Invalid(f"must be text, not {_kind(value)}; put it into quotes")
    if not value.strip() or not value.isprintable():
        raise Invalid("must be non-empty text on one line")
    return str(value).strip()


def environment(value: Any) -> str:
    """Return the name of an environment: one DNS label (RFC 1035 2.3.1), since it begins DKIM selectors."""
    name = text(value).lower()
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?", name):
        raise Invalid("must be at most 30 letters, digits and inner hyphens; set postseal_environment")
    return name


def label(value: Any) -> str:
    """Return a short lower-case name of letters, digits and inner hyphens (a credential)."""
    name = text(value).lower()
    if not re.fullmatch(r"[a-z0-9]([a-z0-9._-]{0,38}[a-z0-9])?", name):
        raise Invalid(
            "must be at most 40 letters, digits, dots, hyphens or underscores, and begin and end with a letter or digit"
        )
    return name


def domain_name(value: Any) -> str:
    """Return a DNS host name of two or more labels as lower-case A-labels without trailing dot (RFC 1123, RFC 5891)."""
    name = text(value).rstrip(".")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        pass
    else:
        raise Invalid("must be a domain name, not an address")
    try:
        encoded = idna.encode(name, uts46=True, std3_rules=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise Invalid(f"is not a valid domain name ({error})") from error
    if "." not in encoded or len(encoded) > _MAX_NAME:
        raise Invalid("must be a full domain name, like mail.example.com")
    return encoded


def mail_address(value: Any) -> str:
    """Return ``local@domain`` with the domain canonical (RFC 5321 4.1.2, dot-string local parts only)."""
    local, at, domain = text(value).rpartition("@")
    if not at or len(local) > _MAX_LOCAL or not _LOCAL_PART.fullmatch(local):
        raise Invalid("must be a mail address, like shop@example.com")
    if local.startswith("#"):
        raise Invalid("must not begin with #, which begins a comment in Postfix's tables")
    return f"{local.lower()}@{domain_name(domain)}"


def mail_uri(value: Any) -> str:
    """Return a ``mailto:`` URI with a canonical address (RFC 6068); a bare address is accepted."""
    return "mailto:" + mail_address(text(value).removeprefix("mailto:"))


def report_uri(value: Any) -> str:
    """Return where reports go: an ``https:`` URI, or ``mailto:`` with a canonical address (a bare one is accepted)."""
    if isinstance(value, str) and value.strip().startswith("https:"):
        return https_url(value)
    try:
        return mail_uri(value)
    except Invalid as error:
        raise Invalid("must be mailto: with an address, or an https:// URL") from error


def selector(value: Any) -> str:
    """Return a DKIM selector (RFC 6376 3.1) in lower case."""
    written = text(value).lower()
    if not _SELECTOR.fullmatch(written) or len(written) > _MAX_NAME:
        raise Invalid("must be letters, digits and inner hyphens, like s1; dots separate its labels")
    return written


def record_name(value: Any) -> str:
    """Return the name of a DNS record: a domain name whose labels may hold underscores, without trailing dot."""
    written = text(value).rstrip(".").lower()
    plain = domain_name(written.replace("_", "x"))
    if "_" not in written:
        return plain
    if plain != written.replace("_", "x"):
        raise Invalid("must be a domain name in ASCII when it holds underscores")
    return written


def name_or_login(value: Any) -> str:
    """Return how somebody calls a credential: by its name, or by its login."""
    written = text(value)
    return mail_address(written) if "@" in written else label(written)


def sender(value: Any) -> str:
    """Return an address, or ``@domain`` for every address of that domain."""
    written = text(value)
    return "@" + domain_name(written[1:]) if written.startswith("@") else mail_address(written)


def address(value: Any) -> str:
    """Return a canonical IPv4 or IPv6 address without zone index."""
    try:
        parsed = ipaddress.ip_address(text(value))
    except ValueError as error:
        raise Invalid("must be an IPv4 or IPv6 address") from error
    if getattr(parsed, "scope_id", None) or parsed.is_unspecified or parsed.is_multicast:
        raise Invalid("must be an address that a host can have")
    return str(parsed)


def network(value: Any) -> str:
    """Return a canonical network, ``203.0.113.0/24`` or ``2001:db8::/48``; an address stands for itself."""
    try:
        return str(ipaddress.ip_network(text(value), strict=True))
    except ValueError as error:
        raise Invalid(f"must be a network like 203.0.113.0/24 or 2001:db8::/48 ({error})") from error


def integer(lowest: int, highest: int) -> Callable[[Any], int]:
    """Return a parser of whole numbers between ``lowest`` and ``highest``."""

    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise Invalid(f"must be a whole number from {lowest} to {highest}, without quotes")
        return int(value)

    return parse


port = integer(1, _MAX_PORT)


def boolean(value: Any) -> bool:
    """Return ``true`` or ``false`` as YAML writes them, unquoted."""
    if not isinstance(value, bool):
        raise Invalid("must be true or false, without quotes")
    return value


def choice(allowed: Sequence[str]) -> Callable[[Any], str]:
    """Return a parser that accepts one of ``allowed``."""

    def parse(value: Any) -> str:
        chosen = text(value).lower()
        if chosen not in allowed:
            raise Invalid(f"must be one of {', '.join(allowed)}; {nearest(chosen, allowed)}".rstrip("; "))
        return chosen

    return parse


def size(value: Any) -> int:
    """Return a size in bytes from ``25M``, ``512K`` or a plain number of bytes (units of 1024)."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return int(value)
    match = _SIZE.fullmatch(text(value))
    if not match:
        raise Invalid("must be a size like 25M, 512K or a number of bytes")
    return int(match[1]) * _SIZE_UNITS[match[2].upper()]


def https_url(value: Any) -> str:
    """Return an https URL with a host."""
    url = text(value)
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise Invalid("must be an https:// URL")
    return url


def api_url(value: Any) -> str:
    """Return an https URL; http is for this machine only, since credentials travel with each request."""
    return _url(value, lambda address: address.is_loopback, "an https:// URL (http:// only to a loopback address)")


def local_api_url(value: Any) -> str:
    """Return an https URL; http only to loopback and private addresses, for APIs that cannot do TLS themselves."""
    wanted = "an https:// URL (http:// only to a loopback or private address)"
    return _url(value, lambda address: address.is_loopback or address.is_private, wanted)


def _url(value: Any, plain: Callable[[ipaddress.IPv4Address | ipaddress.IPv6Address], bool], wanted: str) -> str:
    url = text(value)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise Invalid(f"must be {wanted}") from error
    if not host or parts.username is not None or parts.query or parts.fragment:
        raise Invalid(f"must be {wanted}, without user name, ? and #")
    if parts.scheme == "https":
        return url
    try:
        near = plain(ipaddress.ip_address(host))
    except ValueError:
        near = False
    if parts.scheme != "http" or not near:
        raise Invalid(f"must be {wanted}")
    return url


def path(value: Any) -> str:
    """Return a file path on the controller as written."""
    return text(value)


def secret(value: Any) -> Secret:
    """Return a non-empty secret."""
    return Secret(text(value))


def base64_secret(value: Any) -> Secret:
    """Return a secret that is base64 text, as TSIG keys are written."""
    written = text(value)
    try:
        raw = base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid("must be base64, as keymgr or tsig-keygen print it") from error
    if not raw:
        raise Invalid("must not be empty")
    return Secret(written)


def password_hash(value: Any) -> Secret:
    """Return a password's hash in Dovecot's notation."""
    return check_hash(text(value))


def day(value: Any) -> date:
    """Return a calendar day from ``2027-06-30``, which YAML reads as a date itself."""
    try:
        if isinstance(value, str):
            return date.fromisoformat(value.strip())
    except ValueError:
        pass
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise Invalid("must be a day, like 2027-06-30")


def duration(value: Any) -> int:
    """Return seconds from ``90s``, ``10m``, ``1h``, ``30d`` or ``4w``."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise Invalid("must be a number with its unit, like 10m, 1h, 30d or 4w")
    return int(match[1]) * _DURATION_UNITS[match[2]]


def duration_or_never(value: Any) -> int:
    """Return seconds, 0 for ``never``."""
    return 0 if value == "never" else duration(value)


def _kind(value: object) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
    return next(
        (name for kind, name in names.items() if isinstance(value, kind)),
        "nothing" if value is None else "that",
    )
