# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Say which way a message would go, and why, for a person who asks before it is sent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from . import values
from .credentials import Credential
from .outbound import DANE, DANE_ONLY
from .problems import Invalid
from .relays import DIRECT, ENCRYPT, IMPLICIT, MAY, NONE, VERIFY, Relay, Route
from .types import Model
from .ways_rules import Choice, choose


def explain(
    model: Model, sender: str, recipient: str, credential: str | None = None, today: date | None = None
) -> list[str]:
    """Return lines for each credential that may send as ``sender``, or for ``credential`` alone.

    :param sender: an address; empty or ``<>`` for bounces and other mail of the hosts themselves
    :param credential: name or login
    :param today: the day (UTC) whose number of a warm-up is told
    :raises Invalid: an address is none, or nobody may send as it
    """
    sender = "" if sender in ("", "<>") else values.mail_address(sender)
    recipient = values.mail_address(recipient)
    asked = _asked(model, sender, credential)
    if not asked:
        raise Invalid(f"no credential may send as {sender}; see the senders in postseal_credentials")
    lines: list[str] = []
    for item in asked:
        choice = choose(model, item, sender, recipient)
        who = f"{item.login} sends as {sender or '<>'}" if item else "a mail host sends a bounce or notice"
        domain = recipient.rpartition("@")[2]
        lines += [f"{who} to {recipient}: by the route of {choice.reason}", *_steps(model, choice, domain)]
        if item and today and choice.route.via[0] == DIRECT:
            lines += warming(model, choice.route, today)
    return lines


def _asked(model: Model, sender: str, credential: str | None) -> tuple[Credential | None, ...]:
    if credential is not None:
        name = values.name_or_login(credential)
        found = tuple(item for item in model.credentials if name in (item.name, item.login))
        if not found:
            raise Invalid(f"{credential} is not one of postseal_credentials")
        closed = [item.login for item in found if not item.active]
        if closed:
            raise Invalid(f"{closed[0]} is suspended, revoked or expired, so it submits nothing")
        refused = [item.login for item in found if sender and not _may(item, sender)]
        if refused:
            raise Invalid(f"{refused[0]} may not send as {sender}, so the message would be refused")
        return found
    if not sender:
        return (None,)
    return tuple(item for item in model.credentials if item.active and _may(item, sender))


def _may(credential: Credential, sender: str) -> bool:
    return sender in credential.senders or f"@{sender.rpartition('@')[2]}" in credential.senders


def _steps(model: Model, choice: Choice, domain: str) -> Iterable[str]:
    route, paced = choice.route, None if choice.by_login else model.paced.get(domain)
    relays = {relay.name: relay for relay in model.relays}
    for number, name in enumerate(route.via, 1):
        relay = relays.get(name)
        servers = f"{DIRECT}: the recipient domain's own servers (MX), {_tls(model, domain)}"
        yield f"  {number}. {_step(relay) if relay else servers}"
    yield "  a temporary failure or no connection moves it on; what nobody takes waits in the queue"
    if paced:
        yield f"  its pace: to {paced.receiver} ({', '.join(paced.receiver.domains)})"
    elif DIRECT in route.via:
        yield f"  its pace where it goes directly: {model.pace.concurrency} connections to {domain} at one time"
    yield f"  Postfix calls this way {(paced or model.transports.of(route)).target}"


def warming(model: Model, route: Route, today: date) -> Iterable[str]:
    """Say how many messages each mail host with a new address sends directly ``today``, and where the others go."""
    warm_up = model.pace.warm_up
    if warm_up is None:
        return
    number = warm_up.on(today)
    hosts = ", ".join(warm_up.hosts) or "each mail host"
    if number is None:
        yield f"  warm-up: over since {warm_up.over}; remove postseal_pace.warm_up"
    else:
        rest = ", then ".join(route.via[1:])
        said = f"on {today} {hosts} sends {number} messages directly, and more by {rest}"
        yield f"  warm-up: {said}; no limit from {warm_up.over}"


def _step(relay: Relay) -> str:
    mode = "TLS from the first byte" if relay.mode == IMPLICIT else "STARTTLS"
    login = "with a credential" if relay.secret else "without a credential"
    return f"{relay.name}: {relay.host} port {relay.port}, {mode}, tls {relay.tls}, {login}"


# What each level asks of a recipient's server.
LEVELS = {
    DANE: "as its TLSA records say, or else TLS if it offers any",
    DANE_ONLY: "only as its TLSA records say",
    VERIFY: "only with a certificate that is valid for the right name",
    ENCRYPT: "only by TLS, any certificate",
    MAY: "TLS if it offers any",
    NONE: "without TLS",
}


def _tls(model: Model, domain: str) -> str:
    said = model.outbound.of(domain)
    if said:
        names = f" ({', '.join(said.names)})" if said.names else ""
        return f"tls {said.tls} by postseal_outbound_tls: {LEVELS[said.tls]}{names}"
    policy = ", or as the domain's MTA-STS policy says" if model.outbound.mta_sts else ""
    return f"tls {model.outbound.default}: {LEVELS[model.outbound.default]}{policy}"
