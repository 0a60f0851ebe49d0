# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the inventory says of each kind of DNS provider. Everything here is used on the controller only.

A credential that is ``None`` was not said: the provider then looks where its own tools look, in the environment of
the controller.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import TypeAlias

from .secret import Secret

ZoneIds: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of zone and the provider's id for it, for keys that may not list zones."""


@dataclass(frozen=True)
class Tsig:
    """A transaction signature key (RFC 8945)."""

    name: str
    algorithm: str
    secret: Secret


@dataclass(frozen=True)
class Rfc2136:
    """A DNS provider reached by RFC 2136 dynamic update. ``server`` is an IP address."""

    name: str
    server: str
    port: int
    tsig: Tsig


@dataclass(frozen=True)
class Cloudflare:
    """Cloudflare's API, with a token that may edit DNS. ``api_url`` replaces the public address of the API."""

    name: str
    api_token: Secret | None = None
    zone_ids: ZoneIds = ()
    api_url: str | None = None


@dataclass(frozen=True)
class PowerDns:
    """The HTTP API of a PowerDNS Authoritative Server; ``ca`` is a CA bundle on the controller."""

    name: str
    url: str
    api_key: Secret
    server_id: str = "localhost"
    ca: str | None = None


@dataclass(frozen=True)
class Route53:
    """Amazon Route 53; ``endpoint`` replaces the public address of the API."""

    name: str
    access_key_id: str | None = None
    secret_access_key: Secret | None = None
    endpoint: str | None = None
    zone_ids: ZoneIds = ()


@dataclass(frozen=True)
class ZoneFile:
    """Zone files in a directory of the controller, for people who paste by hand."""

    name: str
    directory: str


Option: TypeAlias = Secret | int | float | bool
"""One value of an option; text may be a token, so all text is secret."""


@dataclass(frozen=True)
class OctoDns:
    """A provider class of octoDNS, ``package.ClassName``, with the options that its documentation names."""

    name: str
    provider_class: str
    options: tuple[tuple[str, Option | tuple[Option, ...]], ...] = ()


Provider: TypeAlias = Rfc2136 | Cloudflare | PowerDns | Route53 | ZoneFile | OctoDns


def secrets(settings: object) -> Iterator[Secret]:
    """Yield every secret in a provider's settings, however deep, so that whoever prints can look for them."""
    if isinstance(settings, Secret):
        yield settings
    elif isinstance(settings, tuple):
        for element in settings:
            yield from secrets(element)
    elif is_dataclass(settings):
        for part in fields(settings):
            yield from secrets(getattr(settings, part.name))
