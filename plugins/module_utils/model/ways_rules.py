# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Rules between the ways out and the rest of the inventory, and which way a message goes."""

from __future__ import annotations

from dataclasses import dataclass

from .credentials import Credential
from .domains import envelope_sender
from .problems import Collector, nearest
from .relays import Relay, Route
from .types import Model


def check(model: Model, collector: Collector) -> None:
    """Note every route that names what the inventory does not have, and every relay that is one of the mail hosts."""
    own = {name for host in model.hosts for name in (*model.service_names(host), *host.addresses)}
    for index, relay in enumerate(model.relays):
        if relay.host in own:
            fix = "is this service itself, so mail would go in a circle; name the server that delivers it"
            collector.add(f"postseal_relays[{index}].host", fix, relay.host)
        for alias, _ in relay.aliases:
            if not any(alias.endswith(f".{domain.name}") for domain in model.sending_domains):
                fix = "is below no domain of postseal_domains that sends, so it is not ours to publish"
                collector.add(f"postseal_relays[{index}].aliases", fix, alias)
    streams = {credential.stream for credential in model.credentials if credential.stream}
    domains = {name for domain in model.sending_domains for name in domain.names}
    for index, route in enumerate(model.routes):
        path = f"postseal_routes[{index}]"
        for stream in route.streams:
            if stream not in streams:
                hint = nearest(stream, sorted(streams)) or f"there are {', '.join(sorted(streams)) or 'none'}"
                collector.add(f"{path}.stream", f"is the stream of no credential; {hint}", stream)
        for name in route.credentials:
            _check_credential(model, f"{path}.credential", name, collector)
        for sender in route.senders:
            if sender.rpartition("@")[2] not in domains:
                collector.add(f"{path}.sender", "is outside postseal_domains, so nobody may write as it", sender)
                continue
            bounce = envelope_sender(model.domains, sender)
            if sender not in (bounce, bounce[bounce.rfind("@") :]):
                fix = f"never leaves: bounce puts {bounce} in its place. Name that one, or a credential or stream"
                collector.add(f"{path}.sender", fix, sender)


def _check_credential(model: Model, path: str, name: str, collector: Collector) -> None:
    found = [credential for credential in model.credentials if name in (credential.name, credential.login)]
    if not found:
        collector.add(path, "is not one of postseal_credentials", name)
    elif len(found) > 1:
        collector.add(path, f"is the name of several; say which: {', '.join(item.login for item in found)}", name)


@dataclass(frozen=True)
class Choice:
    """The way of a message, and which word of the inventory decides it."""

    route: Route
    reason: str
    by_login: bool = False


def by_login(model: Model, credential: Credential) -> Choice | None:
    """Return the way of all mail that ``credential`` submits, if a route names it or its stream."""
    for route in model.routes:
        for name in route.credentials:
            if name in (credential.login, credential.name):
                return Choice(route, f"credential {credential.login}", by_login=True)
    for route in model.routes:
        if credential.stream in route.streams:
            return Choice(route, f"stream {credential.stream} of credential {credential.login}", by_login=True)
    return None


def choose(model: Model, credential: Credential | None, sender: str, recipient: str) -> Choice:
    """Return the way of a message.

    What decides, in this order: who submits it (credential, then stream), the recipient's domain, the envelope sender
    (address, then domain), the default. It is the order in which Postfix asks (access(5) FILTER, transport_maps,
    sender_dependent_default_transport_maps, default_transport).

    :param credential: by which it is submitted; ``None`` for mail of the host itself, bounces above all
    :param sender: envelope sender as the application gives it; empty for bounces
    """
    found = by_login(model, credential) if credential else None
    if found:
        return found
    domain = recipient.rpartition("@")[2].lower()
    sender = envelope_sender(model.domains, sender.lower())
    for route in model.routes:
        if domain in route.recipient_domains:
            return Choice(route, f"recipient domain {domain}")
    for wanted in (sender, f"@{sender.rpartition('@')[2]}") if sender else ():
        for route in model.routes:
            if wanted in route.senders:
                return Choice(route, f"sender {wanted}")
    return Choice(model.default_route, "default")


def unannounced(model: Model) -> tuple[Relay, ...]:
    """Return the relays in use of which nobody has said how SPF is to pass."""
    return tuple(relay for relay in model.relays_used if not relay.spf and not relay.rewrites)
