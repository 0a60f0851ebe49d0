# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Read how mail to the recipients' own servers is protected: ``postseal_outbound_tls``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from . import values
from .outbound import DEFAULTS, LEVELS, Destination, OutboundTls, Resolver
from .problems import Collector, Invalid, Section
from .relays import DIRECT, NONE, VERIFY
from .types import Model

OUTBOUND_KEYS = ("default", "mta_sts", "destinations", "resolver", "tlsrpt_socket")
DESTINATION_KEYS = ("tls", "names")
RESOLVER_KEYS = ("forwarders", "private", "anchors")
VARIABLE = "postseal_outbound_tls"
# RFC 4034 5.3 and 2.2, as dig(1) prints them: owner, perhaps TTL and class, type, three numbers, then hexadecimal or
# base64 in one word or several.
_ANCHOR = re.compile(r"(\S+\.)(?: \d+)?(?: IN)? (DS|DNSKEY) (\d+ \d+ \d+) ([A-Za-z0-9+/=]+(?: [A-Za-z0-9+/=]+)*)")


def read_outbound(variables: Section) -> OutboundTls:
    """Return how mail leaves that takes no relay; absent parts have the defaults of :class:`OutboundTls`."""
    said = variables.section(VARIABLE, OUTBOUND_KEYS)
    resolver = said.section("resolver", RESOLVER_KEYS)
    return OutboundTls(
        default=said.get("default", _default, OutboundTls.default),
        mta_sts=said.get("mta_sts", values.boolean, OutboundTls.mta_sts),
        destinations=_destinations(said),
        resolver=Resolver(
            forwarders=resolver.each("forwarders", values.address),
            private=_private(resolver),
            anchors=resolver.each("anchors", _anchor),
        ),
        tlsrpt_socket=said.get("tlsrpt_socket", _socket, None),
    )


def check(model: Model, collector: Collector) -> None:
    """Note what can have no effect because all mail leaves by relays."""
    if model.outbound.destinations and not model.delivers_directly:
        fix = f"has no effect: no route leads to {DIRECT}, and relays have a level of their own (postseal_relays, tls)"
        collector.add(f"{VARIABLE}.destinations", fix)
    by_relay = {
        domain: route for route in model.routes for domain in route.recipient_domains if DIRECT not in route.via
    }
    for destination in model.outbound.destinations:
        if destination.domain in by_relay:
            via = ", ".join(by_relay[destination.domain].via)
            fix = f"has no effect: postseal_routes sends this domain by {via}, which has a level of its own; remove it"
            collector.add(f"{VARIABLE}.destinations.{destination.domain}", fix)


def _default(value: Any) -> str:
    level = values.choice(LEVELS)(value)
    if level not in DEFAULTS:
        reason = "would send all mail in clear" if level == NONE else "is more than most servers of the world can show"
        raise Invalid(f"{reason}; say {', '.join(DEFAULTS[:-1])} or {DEFAULTS[-1]}, and {level} in destinations")
    return level


def _destinations(said: Section) -> tuple[Destination, ...]:
    section = said.mapping("destinations")
    found: dict[str, Destination] = {}
    for written, value in section.values.items():
        path = section.at(str(written))
        domain = said.collector.parse(path, written, _name)
        destination = _destination(value, path, domain or "", said.collector)
        if domain is None or destination is None:
            continue
        if domain in found:
            said.collector.add(path, "is listed twice; remove one", written)
        found[domain] = destination
    return tuple(found.values())


def _destination(value: Any, path: str, domain: str, collector: Collector) -> Destination | None:
    if not isinstance(value, Mapping):
        level = collector.parse(path, value, values.choice(LEVELS))
        return None if level is None else Destination(domain, level)
    said = Section(value, path, collector, DESTINATION_KEYS)
    level = said.require("tls", values.choice(LEVELS), f"say one of {', '.join(LEVELS)}")
    names = said.each("names", _name)
    if level is None:
        return None
    if names and level != VERIFY:
        collector.add(said.at("names"), f"has no meaning unless tls is {VERIFY}; remove it, or say tls: {VERIFY}")
    return Destination(domain, level, names)


def _private(resolver: Section) -> tuple[tuple[str, tuple[str, ...]], ...]:
    section = resolver.mapping("private")
    found: dict[str, tuple[str, ...]] = {}
    for written in section.values:
        domain = resolver.collector.parse(section.at(str(written)), written, _zone)
        servers = section.each(str(written), values.address)
        if not section.values[written]:
            fix = "is empty; list the addresses of the resolvers that know this domain"
            resolver.collector.add(section.at(str(written)), fix)
        if domain is not None:
            found[domain] = servers
    return tuple(found.items())


def _name(value: Any) -> str:
    """A domain, or with a leading dot what is below one."""
    written = values.text(value)
    return f".{values.domain_name(written[1:])}" if written.startswith(".") else str(values.domain_name(written))


def _zone(value: Any) -> str:
    """A domain; networks call their own by one word, too, such as internal."""
    written = values.text(value).rstrip(".").lower()
    return str(values.record_name(written)) if "." in written else _label(written)


def _label(word: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", word):
        raise Invalid("must be a domain name, like internal or corp.example.com")
    return word


def _anchor(value: Any) -> str:
    written = " ".join(values.text(value).split())
    found = _ANCHOR.fullmatch(written)
    if not found:
        raise Invalid("must be a DS or DNSKEY record, as dig prints it, like example.com. DS 12345 13 2 49FD...")
    owner, kind, numbers, data = found.groups()
    return f"{_zone(owner) if owner != '.' else ''}. {kind} {numbers} {''.join(data.split())}"


def _socket(value: Any) -> str:
    path = values.path(value)
    if not path.startswith("/") or not re.fullmatch(r"[A-Za-z0-9._/-]+", path):
        raise Invalid("must be the absolute path of a socket on the mail hosts, like /run/tlsrpt/tlsrpt.sock")
    return path
