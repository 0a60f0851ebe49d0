# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a changed service must pass where the task names no smoke test, worked out from the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..module_utils.model.keys import DkimPublicKey
from ..module_utils.model.outbound import POLICIES, RESOLVER
from ..module_utils.model.types import MailHost, Model

MILTER = "/var/spool/postfix/rspamd/milter.sock"


def default_smoke(service: str, known: Mapping[str, Any], watch: Sequence[str]) -> list[dict[str, Any]]:
    """Return the probes (the ``smoke`` option of ``apply``) for ``service``.

    ``known`` has ``model``, ``this`` host and, once they are known, the keys it is ``signing`` with; of ``watch``, the
    files whose change the service must notice, the first is the certificate. Dovecot has its own probe on the host, and
    the signer has the same one until a key may sign.
    """
    if service == "postfix":
        return _ports(known["model"], known["this"], watch)
    if service == "unbound":
        resolver = known["model"].outbound.resolver
        return [{"protocol": "dns", "address": RESOLVER, "port": 53, "name": resolver.proven}]
    if service == "postfix-mta-sts-resolver":
        return [{"protocol": "socketmap", "address": "127.0.0.1", "port": POLICIES, "name": "postseal-probe.invalid"}]
    if service == "nginx":
        return [_policy_served(known["policies"])]
    if service == "redis-server":
        return [{"protocol": "redis", "address": "127.0.0.1", "port": known["model"].limits.store.port}]
    return _signed(known["model"], known.get("signing", ())) if service == "rspamd" else []


def _policy_served(policies: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The first of the policies must be served; without any, the port must be there, at which nobody is known."""
    probe: dict[str, Any] = {"protocol": "https", "address": "127.0.0.1", "port": 443}
    if not policies:
        return probe
    name = f"mta-sts.{policies[0]['domain']}"
    return {**probe, "name": name, "certificate": f"/etc/letsencrypt/live/{name}/fullchain.pem"}


def _signed(model: Model, keys: Sequence[DkimPublicKey]) -> list[dict[str, Any]]:
    """The signer must sign for a domain of which it has keys that may sign."""
    held = {key.domain for key in keys}
    domain = next((domain.name for domain in model.domains if domain.name in held), None)
    return [{"protocol": "milter", "socket": MILTER, "sender": f"postmaster@{domain}"}] if domain else []


def _ports(model: Model, host: MailHost, watch: Sequence[str]) -> list[dict[str, Any]]:
    """Each port must have TLS with the right certificate, refuse a stranger and accept a credential's sender."""
    ports = model.submission.ports
    tls = {ports.implicit_tls: "wrapped", ports.starttls: "starttls", ports.alternative: "starttls"}
    asked = {"name": host.name, **({"certificate": watch[0]} if watch else {}), **_sender(model)}
    return [{"port": port, "tls": mode, **asked} for port, mode in tls.items() if port]


def _sender(model: Model) -> dict[str, str]:
    """A credential that may log in, and its address, in ASCII: others are spelt otherwise in Postfix's tables."""
    for credential in (one for one in model.credentials if one.active):
        sender = credential.senders[0]
        sender = f"postmaster{sender}" if sender.startswith("@") else sender
        if (credential.login + sender).isascii():
            return {"login": credential.login, "sender": sender}
    return {}
