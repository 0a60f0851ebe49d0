# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Read where the zones are and how carefully they are changed: ``postseal_dns``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from . import values
from .problems import Collector, Invalid, Section, nearest
from .providers import Cloudflare, OctoDns, Option, PowerDns, Provider, Rfc2136, Route53, Tsig, ZoneFile, ZoneIds
from .types import Dns, DnsLimits

TSIG_ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512")
KEYS = ("providers", "zones", "ttl", "resolvers", "limits", "adopt", "prune")
_MIN_TTL, _MAX_TTL = 1, 86400
_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+")
_OPTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ZONE_ID = re.compile(r"(/hostedzone/)?[A-Za-z0-9]{1,32}")


def read_dns(variables: Section) -> Dns | None:
    """Return the DNS settings; ``None`` after noting why not."""
    said = variables.section("postseal_dns", KEYS)
    limits = said.section("limits", ("max_deletes", "max_changed_percent"))
    default = DnsLimits()
    providers = _providers(said)
    if not providers and not said.has("providers"):
        said.collector.add(said.at("providers"), "is missing; name the DNS provider that holds your zones")
    # Read whatever becomes of the providers: all problems are told at once.
    settings = Dns(
        providers=providers,
        zones=_zones(said, set(map(str, said.mapping("providers", secret=True).values))),
        ttl=said.get("ttl", values.integer(_MIN_TTL, _MAX_TTL), Dns.ttl),
        resolvers=said.each("resolvers", values.address),
        limits=DnsLimits(
            max_deletes=limits.get("max_deletes", values.integer(0, 100000), default.max_deletes),
            max_changed_percent=limits.get("max_changed_percent", values.integer(0, 100), default.max_changed_percent),
        ),
        adopt=said.get("adopt", values.boolean, Dns.adopt),
        prune=said.get("prune", values.boolean, Dns.prune),
    )
    return settings if providers else None


def _providers(said: Section) -> tuple[Provider, ...]:
    section = said.mapping("providers", secret=True)
    found = (
        _provider(str(name), value, section.at(str(name)), section.collector) for name, value in section.values.items()
    )
    return tuple(provider for provider in found if provider is not None)


def _provider(name: str, value: Any, path: str, collector: Collector) -> Provider | None:
    kind = value.get("type") if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or kind not in READERS:
        hint = nearest(kind, PROVIDER_TYPES) if isinstance(kind, str) else ""
        collector.add(f"{path}.type", f"must be one of {', '.join(PROVIDER_TYPES)}; {hint}".rstrip("; "), kind)
        return None
    keys, read = READERS[kind]
    return read(name, Section(value, path, collector, ("type", *keys)))


def _rfc2136(name: str, said: Section) -> Rfc2136 | None:
    tsig = said.section("tsig", ("name", "algorithm", "secret"), secret=True)
    server = said.require("server", values.address, "give the address of the primary server")
    key_name = tsig.require("name", values.text, "give the name of the TSIG key as the server knows it")
    secret = tsig.require("secret", values.base64_secret, "give the TSIG key, from your vault", secret=True)
    algorithm = tsig.get("algorithm", values.choice(TSIG_ALGORITHMS), TSIG_ALGORITHMS[0])
    port = said.get("port", values.port, 53)
    if server is None or key_name is None or secret is None:
        return None
    return Rfc2136(name, server, port, Tsig(key_name.rstrip(".").lower(), algorithm, secret))


def _cloudflare(name: str, said: Section) -> Cloudflare:
    return Cloudflare(
        name,
        api_token=said.get("api_token", values.secret, None, secret=True),
        zone_ids=_zone_ids(said),
        api_url=said.get("api_url", values.api_url, None),
    )


def _powerdns(name: str, said: Section) -> PowerDns | None:
    url = said.require("url", values.local_api_url, "give the address of the API, like https://ns1.example.com:8081")
    api_key = said.require("api_key", values.secret, "give the server's api-key, from your vault", secret=True)
    server_id = said.get("server_id", values.text, PowerDns.server_id)
    ca = said.get("ca", values.path, None)
    return None if url is None or api_key is None else PowerDns(name, url.rstrip("/"), api_key, server_id, ca)


def _route53(name: str, said: Section) -> Route53 | None:
    pair = ("access_key_id", "secret_access_key")
    for one, other in (pair, pair[::-1]):
        if said.has(one) and not said.has(other):
            said.collector.add(said.at(other), f"is missing; it belongs to {one}. Say both, or neither to use AWS_*")
            return None
    return Route53(
        name,
        access_key_id=said.get("access_key_id", values.text, None),
        secret_access_key=said.get("secret_access_key", values.secret, None, secret=True),
        endpoint=said.get("endpoint", values.api_url, None),
        zone_ids=_zone_ids(said),
    )


def _zonefile(name: str, said: Section) -> ZoneFile | None:
    directory = said.require("directory", values.path, "give the directory of the zone files on the controller")
    return None if directory is None else ZoneFile(name, directory)


def _octodns(name: str, said: Section) -> OctoDns | None:
    written = said.require("class", _class, "give the provider's class, like octodns_hetzner.HetznerProvider")
    options = said.mapping("options", secret=True)
    found = [(key, _option_of(key, raw, options)) for key, raw in options.values.items()]
    if written is None:
        return None
    return OctoDns(name, written, tuple((str(key), option) for key, option in found if option is not None))


def _option_of(key: object, raw: Any, options: Section) -> Option | tuple[Option, ...] | None:
    path = options.at(str(key))
    if not isinstance(key, str) or not _OPTION.fullmatch(key):
        options.collector.add(path, "must be the name of an option: letters, digits and underscores")
        return None
    parser: Callable[[Any], Option | tuple[Option, ...]] = _options if isinstance(raw, list) else _option
    return options.collector.parse(path, raw, parser, secret=True)


def _options(value: list[Any]) -> tuple[Option, ...]:
    return tuple(_option(element) for element in value)


def _option(value: Any) -> Option:
    """Return one value; text is a secret, because some option of every provider is its token."""
    if isinstance(value, str):
        return values.secret(value)
    if isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise Invalid("must be text, a number, true, false, or a list of those")


def _class(value: Any) -> str:
    written = values.text(value)
    if not _CLASS.fullmatch(written):
        raise Invalid("must be a module and a class, like octodns_hetzner.HetznerProvider")
    return written


def _zone_ids(said: Section) -> ZoneIds:
    section = said.mapping("zone_ids")
    found: dict[str, str] = {}
    for written, zone_id in section.values.items():
        zone = said.collector.parse(section.at(str(written)), written, values.domain_name)
        parsed = said.collector.parse(section.at(str(written)), zone_id, _zone_id)
        if zone is not None and parsed is not None:
            found[zone] = parsed
    return tuple(sorted(found.items()))


def _zone_id(value: Any) -> str:
    written = values.text(value)
    if not _ZONE_ID.fullmatch(written):
        raise Invalid("must be the id that the provider shows for the zone: letters and digits")
    return written.removeprefix("/hostedzone/")


def _zones(said: Section, providers: set[str]) -> tuple[tuple[str, str], ...]:
    section = said.mapping("zones")
    zones: dict[str, str] = {}
    for written, provider in section.values.items():
        zone = said.collector.parse(section.at(str(written)), written, values.domain_name)
        if not isinstance(provider, str) or provider not in providers:
            fix = f"must name a provider of {said.at('providers')}: {', '.join(sorted(providers))}"
            said.collector.add(section.at(str(written)), fix, provider)
        elif zone is not None:
            zones[zone] = str(provider)
    return tuple(sorted(zones.items()))


READERS: Mapping[str, tuple[tuple[str, ...], Callable[[str, Section], Provider | None]]] = {
    "cloudflare": (("api_token", "zone_ids", "api_url"), _cloudflare),
    "octodns": (("class", "options"), _octodns),
    "powerdns": (("url", "api_key", "server_id", "ca"), _powerdns),
    "rfc2136": (("server", "port", "tsig"), _rfc2136),
    "route53": (("access_key_id", "secret_access_key", "endpoint", "zone_ids"), _route53),
    "zonefile": (("directory",), _zonefile),
}
"""Kinds of providers: the keys of each besides ``type``, and what reads them."""

PROVIDER_TYPES = tuple(READERS)
