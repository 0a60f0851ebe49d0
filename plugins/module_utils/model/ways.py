# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Read the ways out: ``postseal_relays`` and ``postseal_routes``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from . import values
from .presets import PRESETS, Preset
from .problems import Collector, Invalid, Section, elements, nearest
from .relays import DIRECT, ENCRYPT, IMPLICIT, MAY, NONE, STARTTLS, VERIFY, Relay, Route
from .types import Secret

T = TypeVar("T")

RELAY_KEYS = ("name", "preset", "region", "host", "port", "mode", "tls", "login", "secret", "ca", "spf", "aliases")
ROUTE_KEYS = ("stream", "credential", "recipient_domain", "sender", "default", "via")
CRITERIA = ROUTE_KEYS[:4]
LEVELS = (VERIFY, ENCRYPT, MAY, NONE)
IMPLICIT_PORTS = (465,)


def read_relays(variables: Section) -> tuple[Relay, ...]:
    """Return the smarthosts that are valid; the others are noted."""
    listed = elements(variables.values.get("postseal_relays"), "postseal_relays", variables.collector)
    found = (_relay(value, path, variables.collector) for path, value in listed)
    relays = tuple(relay for relay in found if relay is not None)
    seen: set[str] = set()
    for relay in relays:
        if relay.name in seen:
            variables.collector.add("postseal_relays", "has the name twice; remove one", relay.name)
        seen.add(relay.name)
    return relays


def _relay(value: Any, path: str, collector: Collector) -> Relay | None:
    said = Section(value, path, collector, RELAY_KEYS, secret=True)
    name = said.require("name", _relay_name, "give it a name that routes can use, like primary")
    preset = said.get("preset", _preset, None)
    if said.has("preset") and preset is None:
        return None
    host = _host(said, preset)
    port = said.get("port", values.port, preset.port if preset else Relay.port)
    mode = said.get("mode", values.choice((STARTTLS, IMPLICIT)), IMPLICIT if port in IMPLICIT_PORTS else STARTTLS)
    tls = said.get("tls", values.choice(LEVELS), Relay.tls)
    login = said.get("login", _login, preset.login if preset else None)
    secret = said.get("secret", _secret, None, secret=True)
    if preset and preset.login_is_secret and secret is not None and not said.has("login"):
        login = secret.reveal()
    _check_credential(said, preset, login, secret)
    if mode == IMPLICIT and tls in (MAY, NONE):
        said.collector.add(said.at("tls"), f"cannot be with mode {IMPLICIT}, which is TLS; say verify or encrypt", tls)
    elif secret is not None and tls in (MAY, NONE):
        fix = "would send the credential unprotected; say verify (or encrypt, which checks no certificate)"
        said.collector.add(said.at("tls"), fix, tls)
    if said.has("ca") and tls != VERIFY:
        said.collector.add(said.at("ca"), "has no meaning unless tls is verify; remove it, or say tls: verify")
    spf = said.each("spf", values.record_name)
    if name is None or host is None:
        return None
    return Relay(
        name=name,
        host=host,
        port=port,
        mode=mode,
        tls=tls,
        login=login,
        secret=secret,
        ca=said.get("ca", values.path, None),
        spf=spf or (preset.spf if preset else ()),
        aliases=_aliases(said),
        rewrites=bool(preset and preset.rewrites),
    )


def _aliases(said: Section) -> tuple[tuple[str, str], ...]:
    section = said.mapping("aliases")
    found: dict[str, str] = {}
    for written, target in section.values.items():
        path = section.at(str(written))
        alias = said.collector.parse(path, written, values.record_name)
        parsed = said.collector.parse(path, target, values.record_name)
        if alias is not None and parsed is not None:
            found[alias] = parsed
    return tuple(sorted(found.items()))


def _host(said: Section, preset: Preset | None) -> str | None:
    if preset is None:
        fix = "give the smarthost's name, or say whose it is with preset"
        return said.require("host", values.domain_name, fix)
    if preset.regions:
        names = tuple(region for region, _ in preset.regions)
        region = dict(preset.regions)[said.get("region", values.choice(names), names[0])]
    elif preset.regional:
        found = said.require("region", _region, "name the region of the account, like eu-west-1")
        region = found or ""
    else:
        region = ""
        if said.has("region"):
            said.collector.add(said.at("region"), "has no meaning for this preset; remove it", said.values["region"])
    return said.get("host", values.domain_name, preset.host.format(region=region))


def _check_credential(said: Section, preset: Preset | None, login: str | None, secret: Secret | None) -> None:
    """A login needs its secret and the other way round; where a provider wants them they must be there."""
    if preset and preset.credential and not said.has("secret"):
        said.collector.add(
            said.at("secret"), "is missing; this provider takes no mail without it. Put it into your vault"
        )
    elif login and not said.has("secret"):
        said.collector.add(said.at("secret"), "is missing; it belongs to login. Put it into your vault")
    if secret is not None and not login and not said.has("login"):
        said.collector.add(said.at("login"), "is missing; it belongs to secret")


def _relay_name(value: Any) -> str:
    name = values.label(value)
    if name == DIRECT:
        raise Invalid(f"must not be {DIRECT}, which routes use for delivery without a relay")
    if "." in name or "_" in name:
        raise Invalid("must be letters, digits and inner hyphens")
    return name


def _preset(value: Any) -> Preset:
    return PRESETS[values.choice(tuple(PRESETS))(value)]


def _region(value: Any) -> str:
    region = values.text(value).lower()
    if not region.replace("-", "").isalnum() or not region.isascii():
        raise Invalid("must be the name of a region, like eu-west-1")
    return region


def _login(value: Any) -> str:
    written = values.text(value)
    if ":" in written:
        raise Invalid("must not hold a colon, which Postfix takes for the end of the login")
    return written


def _secret(value: Any) -> Secret:
    written = values.text(value)
    if written != value:
        raise Invalid("must not begin or end with blanks")
    return Secret(written)


def read_routes(variables: Section) -> tuple[Route, ...]:
    """Return which mail goes which way, the default among them; ``postseal_relays`` were read before.

    Without a word of routes all mail goes by the relays in their order, or without a relay directly.
    """
    names = _named(variables.values.get("postseal_relays"))
    if not variables.has("postseal_routes"):
        return (Route(names or (DIRECT,)),)
    listed = elements(variables.values["postseal_routes"], "postseal_routes", variables.collector)
    read = [(path, _route(value, path, variables.collector, names)) for path, value in listed]
    routes = [(path, route) for path, route in read if route is not None]
    _check_once(routes, variables.collector)
    if not any(route.default for _, route in routes) and len(routes) == len(read):
        fix = f"has no default; add - {{default: true, via: [{', '.join((*names, DIRECT))}]}}"
        variables.collector.add("postseal_routes", fix)
    return tuple(route for _, route in routes)


def _named(relays: Any) -> tuple[str, ...]:
    """Return the names of all relays, of those too that are wrong otherwise: that is told once."""
    listed = relays if isinstance(relays, list) else []
    return tuple(str(relay["name"]).strip().lower() for relay in listed if isinstance(relay, dict) and "name" in relay)


def _route(value: Any, path: str, collector: Collector, relays: Sequence[str]) -> Route | None:
    said = Section(value, path, collector, ROUTE_KEYS)
    known = (*relays, DIRECT)

    def way(written: Any) -> str:
        name = values.text(written).lower()
        if name not in known:
            hint = nearest(name, known) or f"there are {', '.join(known)}"
            raise Invalid(f"is not one of postseal_relays, nor {DIRECT}; {hint}")
        return name

    named = [key for key in (*CRITERIA, "default") if said.has(key)]
    via = said.each("via", way)
    if not said.values.get("via"):
        collector.add(said.at("via"), f"is missing; list relays, or {DIRECT}, in the order in which to try them")
    if said.has("default") and said.values["default"] is not True:
        collector.add(said.at("default"), "must be true, or left out", said.values["default"])
    if len(named) != 1:
        fix = f"must say one of {', '.join((*CRITERIA, 'default'))}, to tell which mail goes this way"
        collector.add(path, fix, ", ".join(named) or None)
        return None
    route = Route(
        via=via,
        streams=_listed(said, "stream", values.label),
        credentials=_listed(said, "credential", values.name_or_login),
        recipient_domains=_listed(said, "recipient_domain", values.domain_name),
        senders=_listed(said, "sender", values.sender),
    )
    whole = via and (route.default == (named == ["default"]))
    return route if whole else None


def _listed(said: Section, key: str, parser: Callable[[Any], T]) -> tuple[T, ...]:
    """Return the parsed values of ``key``, which is one value or a list of them."""
    if not said.has(key):
        return ()
    if isinstance(said.values[key], list):
        if not said.values[key]:
            said.collector.add(said.at(key), "must not be empty")
        return said.each(key, parser)
    one = said.collector.parse(said.at(key), said.values[key], parser)
    return () if one is None else (one,)


def _check_once(routes: Sequence[tuple[str, Route]], collector: Collector) -> None:
    """Each mail has one way: nothing is named by two routes."""
    seen: dict[tuple[str, str], str] = {}
    for path, route in routes:
        named = [
            *(("stream", one) for one in route.streams),
            *(("credential", one) for one in route.credentials),
            *(("recipient_domain", one) for one in route.recipient_domains),
            *(("sender", one) for one in route.senders),
            *([("default", "true")] if route.default else []),
        ]
        for key in named:
            first = seen.setdefault(key, path)
            if first != path:
                collector.add(f"{path}.{key[0]}", f"is in {first} already; remove one of the two", key[1])
