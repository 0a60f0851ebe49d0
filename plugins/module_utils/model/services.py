# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Read what the service offers and depends on: ``postseal_submission``, ``postseal_tls``, ``postseal_dns``."""

from __future__ import annotations

from typing import Any

from . import values
from .problems import Collector, Invalid, Section, nearest
from .types import Dns, DnsLimits, Limits, Ports, Rfc2136, Submission, Tls, Tsig

# RFC 8555 directories of Let's Encrypt, from its documentation (docs/acme-protocol-updates, docs/staging-environment).
ISSUERS = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}
PROVIDER_TYPES = ("rfc2136",)
TSIG_ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512")
_DNS_KEYS = ("providers", "zones", "ttl", "resolvers", "limits")
_MIN_TTL, _MAX_TTL = 1, 86400
_MAX_MESSAGE = 1024**3


def read_submission(variables: Section) -> Submission:
    """Return the submission service; absent parts have the defaults of :class:`Submission`."""
    said = variables.section("postseal_submission", ("hostname", "ports", "limits"))
    ports = said.section("ports", ("implicit_tls", "starttls", "alternative"))
    limits = said.section("limits", ("message_size", "recipients"))
    default = Submission()
    read = Submission(
        hostname=said.get("hostname", values.domain_name, None),
        ports=Ports(
            implicit_tls=ports.get("implicit_tls", values.port, default.ports.implicit_tls),
            starttls=ports.get("starttls", values.port, default.ports.starttls),
            alternative=ports.get("alternative", values.port, None),
        ),
        limits=Limits(
            message_size=limits.get("message_size", values.size, default.limits.message_size),
            recipients=limits.get("recipients", values.integer(1, 10000), default.limits.recipients),
        ),
    )
    if len(set(read.ports.all)) != len(read.ports.all):
        said.collector.add(said.at("ports"), "uses one port twice; give each service its own", list(read.ports.all))
    if 25 in read.ports.all:  # noqa: PLR2004
        said.collector.add(said.at("ports"), "must not be 25: that port is for mail between servers (RFC 8314 3.3)", 25)
    if read.limits.message_size > _MAX_MESSAGE:
        said.collector.add(limits.at("message_size"), "must not be larger than 1G", limits.values.get("message_size"))
    return read


def read_tls(variables: Section) -> Tls | None:
    """Return where certificates come from; ``None`` after noting why not."""
    said = variables.section("postseal_tls", ("issuer", "contact", "ca"))
    issuer = said.get("issuer", _issuer, ISSUERS["letsencrypt"])
    contact = said.get("contact", values.mail_uri, None)
    ca = said.get("ca", values.path, "system")
    return Tls(
        directory=issuer,
        contact=contact.removeprefix("mailto:") if contact else None,
        ca=None if ca == "system" else ca,
    )


def read_dns(variables: Section) -> Dns | None:
    """Return the DNS settings; ``None`` after noting why not."""
    said = variables.section("postseal_dns", _DNS_KEYS)
    limits = said.section("limits", ("max_deletes", "max_changed_percent"))
    default = DnsLimits()
    providers = _providers(said)
    if not providers:
        if not said.has("providers"):
            said.collector.add(said.at("providers"), "is missing; name the DNS provider that holds your zones")
        return None
    return Dns(
        providers=providers,
        zones=_zones(said, {provider.name for provider in providers}),
        ttl=said.get("ttl", values.integer(_MIN_TTL, _MAX_TTL), Dns.ttl),
        resolvers=said.each("resolvers", values.address),
        limits=DnsLimits(
            max_deletes=limits.get("max_deletes", values.integer(0, 100000), default.max_deletes),
            max_changed_percent=limits.get("max_changed_percent", values.integer(0, 100), default.max_changed_percent),
        ),
    )


def _providers(said: Section) -> tuple[Rfc2136, ...]:
    value = said.values.get("providers")
    if value is None:
        return ()
    names = tuple(str(name) for name in value) if isinstance(value, dict) else ()
    section = said.section("providers", names)
    found = (_provider(name, section.values[name], section.at(name), section.collector) for name in names)
    return tuple(provider for provider in found if provider is not None)


def _provider(name: str, value: Any, path: str, collector: Collector) -> Rfc2136 | None:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in PROVIDER_TYPES:
        collector.add(f"{path}.type", f"must be one of {', '.join(PROVIDER_TYPES)}", kind)
        return None
    said = Section(value, path, collector, ("type", "server", "port", "tsig"))
    tsig = said.section("tsig", ("name", "algorithm", "secret"))
    server = said.require("server", values.address, "give the address of the primary server")
    key_name = tsig.require("name", values.text, "give the name of the TSIG key as the server knows it")
    secret = tsig.require("secret", values.base64_secret, "give the TSIG key, from your vault", secret=True)
    algorithm = tsig.get("algorithm", values.choice(TSIG_ALGORITHMS), TSIG_ALGORITHMS[0])
    port = said.get("port", values.port, 53)
    if server is None or key_name is None or secret is None:
        return None
    return Rfc2136(name, server, port, Tsig(key_name.rstrip(".").lower(), algorithm, secret))


def _zones(said: Section, providers: set[str]) -> tuple[tuple[str, str], ...]:
    value = said.values.get("zones")
    if value is None:
        return ()
    section = Section(value, said.at("zones"), said.collector, tuple(value) if isinstance(value, dict) else ())
    zones: dict[str, str] = {}
    for written, provider in section.values.items():
        zone = said.collector.parse(section.at(written), written, values.domain_name)
        if not isinstance(provider, str) or provider not in providers:
            fix = f"must name a provider of {said.at('providers')}: {', '.join(sorted(providers))}"
            said.collector.add(section.at(written), fix, provider)
        elif zone is not None:
            zones[zone] = str(provider)
    return tuple(sorted(zones.items()))


def _issuer(value: Any) -> str:
    written = values.text(value)
    if written in ISSUERS:
        return ISSUERS[written]
    try:
        return values.https_url(written)
    except Invalid as error:
        hint = nearest(written, tuple(ISSUERS))
        fix = f"must be {', '.join(ISSUERS)} or the https:// URL of an ACME directory; {hint}".rstrip("; ")
        raise Invalid(fix) from error
