# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Say in a few lines what an environment is, for a person who is about to change it."""

from __future__ import annotations

from datetime import date

from .providers import Cloudflare, OctoDns, PowerDns, Provider, Rfc2136, Route53
from .relays import ENCRYPT, IMPLICIT, MAY, VERIFY, Relay, Route
from .types import Credential, Domain, Model
from .warm_up import WarmUp
from .ways_rules import unannounced


def summary(model: Model, today: date | None = None) -> list[str]:
    """Return one line per part of ``model`` on the day ``today`` (UTC); no secret is in them."""
    names = sorted({name for host in model.hosts for name in model.service_names(host)})
    return [
        f"environment {model.environment}",
        *(f"mail host {host.name} sends from {', '.join(host.addresses)}" for host in model.hosts),
        f"applications connect to {', '.join(names)} on {', '.join(map(str, model.submission.ports.all))}",
        f"certificates from {model.tls.directory}",
        *(f"DNS provider {provider.name}: {_provider(provider)}" for provider in model.dns.providers),
        *(f"domain {domain.name}: {_domain(domain)}" for domain in model.domains),
        *(f"credential {item.login} {_credential(item)}" for item in model.credentials),
        *(f"relay {relay.name}: {_relay(relay)}" for relay in model.relays),
        *(f"mail {_criterion(route)} leaves via {', then '.join(route.via)}" for route in model.routes if model.relays),
        *([f"mail to other servers: {_outbound(model)}"] if model.delivers_directly else []),
        *([f"pace: {_pace(model)}"] if model.delivers_directly else []),
        *(_warm_up(model.pace.warm_up, today) if model.pace.warm_up and today else []),
        *(_spf_warning(relay) for relay in unannounced(model)),
    ]


def _relay(relay: Relay) -> str:
    mode = "TLS from the first byte" if relay.mode == IMPLICIT else "STARTTLS"
    level = {
        VERIFY: f"{mode}, certificate verified",
        ENCRYPT: f"{mode}, certificate not verified",
        MAY: "encrypted if it offers TLS",
    }.get(relay.tls, "never encrypted")
    return f"{relay.host} port {relay.port}, {level}, {'with' if relay.secret else 'without'} a credential"


def _outbound(model: Model) -> str:
    outbound = model.outbound
    said = [f"{destination.tls} to {destination.domain}" for destination in outbound.destinations]
    policies = ["MTA-STS policies are obeyed"] if outbound.mta_sts else []
    return ", ".join([f"tls {outbound.default}", *said, *policies])


def _pace(model: Model) -> str:
    receivers = {paced.receiver.name: paced.receiver for paced in model.paced.values()}.values()
    said = [
        f"{one.name} one message in {one.delay}s" if one.delay else f"{one.name} {one.concurrency}" for one in receivers
    ]
    return "; ".join(filter(None, [f"{model.pace.concurrency} connections to a domain at one time", ", ".join(said)]))


def _warm_up(warm_up: WarmUp, today: date) -> list[str]:
    number = warm_up.on(today)
    if number is None:
        return [f"WARNING: the warm-up is over since {warm_up.over}; remove postseal_pace.warm_up"]
    who = ", ".join(warm_up.hosts) or "each mail host"
    return [f"warm-up: today {who} sends {number} messages directly; no limit from {warm_up.over}"]


def _criterion(route: Route) -> str:
    kinds = (
        ("of stream", route.streams),
        ("of credential", route.credentials),
        ("to", route.recipient_domains),
        ("from", route.senders),
    )
    return next((f"{word} {', '.join(named)}" for word, named in kinds if named), "without a route of its own")


def _spf_warning(relay: Relay) -> str:
    return (
        f"WARNING: receivers will see mail from {relay.host} that no SPF record allows, unless relay {relay.name} puts "
        "its own envelope sender; say which name its documentation wants included, as spf in postseal_relays"
    )


def _credential(item: Credential) -> str:
    if not item.active:
        return "is revoked" if item.revoked else "is suspended"
    rate = [f"{quota} {what}" for what in ("messages", "recipients") for quota in getattr(item.rate, what)]
    parts = [
        f"may send as {', '.join(item.senders)}",
        f"at most {', '.join(rate)}" if rate else "",
        f"from {', '.join(item.networks)}" if item.networks else "",
        f"until {item.expires}" if item.expires else "",
        f"with its old password until {item.previous_until}" if item.previous_until else "",
    ]
    return "; ".join(filter(None, parts))


def _domain(domain: Domain) -> str:
    if domain.parked:
        return "parked, neither sends nor receives"
    policy = f", serves MTA-STS in mode {domain.mta_sts.mode}" if domain.mta_sts and domain.mta_sts.served else ""
    return f"DKIM {' and '.join(domain.dkim.algorithms)}, DMARC p={domain.dmarc.policy}{policy}"


def _provider(provider: Provider) -> str:
    if isinstance(provider, Rfc2136):
        return f"{provider.server} port {provider.port}"
    if isinstance(provider, Cloudflare):
        return f"Cloudflare{f' at {provider.api_url}' if provider.api_url else ''}"
    if isinstance(provider, PowerDns):
        plain = ", the API key travels unencrypted" if provider.url.startswith("http:") else ""
        return f"PowerDNS at {provider.url}{plain}"
    if isinstance(provider, Route53):
        return f"Route 53{f' at {provider.endpoint}' if provider.endpoint else ''}"
    if isinstance(provider, OctoDns):
        return f"octoDNS with {provider.provider_class}"
    return f"zone files in {provider.directory}"
