# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The environment that the DNS benchmark publishes: one mail host, so many domains, what a domain usually has."""

from __future__ import annotations

import base64
import hashlib
from itertools import groupby
from typing import Any

from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.claims import desired_claims
from ansible_collections.postseal.mail.plugins.module_utils.model.keys import DkimPublicKey, HostKeys
from ansible_collections.postseal.mail.plugins.module_utils.model.types import (
    Cloudflare,
    Dns,
    Domain,
    MailHost,
    Model,
    Mx,
    Submission,
    Tls,
)

TTL = 300
# The head of every RSA-2048 key in DER; what follows is made up, as long as it is in earnest.
_RSA_HEAD = base64.b64decode("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA")


def zone(number: int) -> str:
    """Return the name of a domain, which is a zone of its own."""
    return f"domain{number:04d}.example"


def environment(count: int) -> tuple[Model, HostKeys]:
    """Return one host with ``count`` domains, and its public keys."""
    host = MailHost(f"mail.{zone(0)}", ("192.0.2.1",), ("2001:db8::1",))
    names = [zone(number) for number in range(count)]
    model = Model(
        environment="bench",
        hosts=(host,),
        submission=Submission(),
        tls=Tls("https://acme.example/directory", None),
        dns=Dns((Cloudflare("cloudflare"),), ttl=TTL),
        domains=tuple(Domain(name, mx=(Mx(host.name),)) for name in names),
        credentials=(),
    )
    dkim = [key for name in names for key in (_rsa(name), _ed25519(name))]
    return model, HostKeys(host.name, tuple(dkim), ())


def claims(count: int) -> tuple[Claim, ...]:
    """Return what is to be published for ``count`` domains."""
    model, keys = environment(count)
    return desired_claims(model, [keys])


def _rsa(name: str) -> DkimPublicKey:
    octets = b"".join(hashlib.sha256(f"{name} {part}".encode()).digest() for part in range(8))
    der = _RSA_HEAD + octets + b"\x02\x03\x01\x00\x01"
    return DkimPublicKey(name, "bench-1", "rsa2048", base64.b64encode(der).decode())


def _ed25519(name: str) -> DkimPublicKey:
    return DkimPublicKey(name, "bench-2", "ed25519", base64.b64encode(hashlib.sha256(name.encode()).digest()).decode())


def for_octodns(count: int) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return the same records as octoDNS writes them, by zone and relative name."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {zone(number): {} for number in range(count)}
    listed = sorted(claims(count), key=lambda claim: (*claim.key, str(claim.value)))
    for (name, rrtype), group in groupby(listed, key=lambda claim: claim.key):
        owner = name
        while owner not in found:
            owner = owner.partition(".")[2]
        relative = name.removesuffix(owner).rstrip(".")
        values = [_octodns(claim) for claim in group]
        found[owner].setdefault(relative, []).append({"type": rrtype, "ttl": TTL, "values": values})
    return found


def _octodns(claim: Claim) -> Any:
    if isinstance(claim.value, bytes):
        return claim.value.decode().replace(";", "\\;")
    words = claim.value.split(" ")
    if claim.type == "MX":
        return {"preference": int(words[0]), "exchange": words[1]}
    if claim.type == "SRV":
        numbers = dict(zip(("priority", "weight", "port"), map(int, words[:3]), strict=True))
        return {**numbers, "target": words[3]}
    return claim.value
