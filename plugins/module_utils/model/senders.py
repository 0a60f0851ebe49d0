# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Read who sends: ``postseal_domains``, ``postseal_credentials`` and ``postseal_probe``."""

from __future__ import annotations

from typing import Any

from . import values
from .problems import Collector, Invalid, Section, elements
from .types import Credential, Dkim, Dmarc, Domain, Mx, Probe, Spf

ALGORITHMS = ("rsa2048", "rsa3072", "rsa4096", "ed25519")
POLICIES = ("none", "quarantine", "reject")
_DOMAIN_KEYS = ("name", "spf", "dkim", "dmarc", "mx")
_CREDENTIAL_KEYS = ("name", "domain", "secret_hash", "senders", "networks")
_PROBE_KEYS = ("credential", "secret", "recipient", "mailbox")


def read_domains(variables: Section) -> tuple[Domain, ...]:
    """Return the sending domains that are valid; the others are noted."""
    found = [
        domain
        for path, value in elements(variables.values.get("postseal_domains"), "postseal_domains", variables.collector)
        if (domain := _domain(value, path, variables.collector)) is not None
    ]
    if not variables.has("postseal_domains"):
        variables.collector.add("postseal_domains", "is missing; name the domains that send, like - name: example.com")
    return tuple(found)


def _domain(value: Any, path: str, collector: Collector) -> Domain | None:
    said = Section(value, path, collector, _DOMAIN_KEYS)
    spf = said.section("spf", ("include", "all", "merge"))
    dkim = said.section("dkim", ("algorithms",))
    dmarc = said.section("dmarc", ("policy", "subdomain_policy", "rua", "alignment"))
    name = said.require("name", values.domain_name, "give the domain, like example.com")
    algorithms = dkim.each("algorithms", values.choice(ALGORITHMS))
    if dkim.has("algorithms") and not algorithms:
        collector.add(dkim.at("algorithms"), f"must name at least one of {', '.join(ALGORITHMS)}")
    domain = Domain(
        name=name or "",
        spf=Spf(
            include=spf.each("include", _include),
            all=spf.get("all", values.choice(("fail", "softfail")), Spf.all),
            merge=spf.get("merge", values.boolean, Spf.merge),
        ),
        dkim=Dkim(algorithms=algorithms or Dkim.algorithms),
        dmarc=Dmarc(
            policy=dmarc.get("policy", values.choice(POLICIES), Dmarc.policy),
            subdomain_policy=dmarc.get("subdomain_policy", values.choice(POLICIES), None),
            rua=dmarc.each("rua", values.mail_uri),
            alignment=dmarc.get("alignment", values.choice(("relaxed", "strict")), Dmarc.alignment),
        ),
        mx=tuple(mx for at, element in said.items("mx") if (mx := _mx(element, at, collector)) is not None),
    )
    return domain if name else None


def _include(value: Any) -> str:
    """SPF include targets may hold underscores: ``_spf.example.com`` (RFC 7208 7.1 domain-spec without macros)."""
    written = values.text(value).rstrip(".").lower()
    plain = values.domain_name(written.replace("_", "x"))
    if "_" not in written:
        return plain
    if plain != written.replace("_", "x"):
        raise Invalid("must be a domain name in ASCII when it holds underscores")
    return written


def _mx(value: Any, path: str, collector: Collector) -> Mx | None:
    said = Section(value, path, collector, ("host", "preference"))
    host = said.require("host", values.domain_name, "give the host that receives mail for this domain")
    preference = said.get("preference", values.integer(0, 65535), Mx.preference)
    return None if host is None else Mx(host, preference)


def read_credentials(variables: Section) -> tuple[Credential, ...]:
    """Return the application credentials that are valid; the others are noted."""
    listed = elements(variables.values.get("postseal_credentials"), "postseal_credentials", variables.collector)
    found = (_credential(value, path, variables.collector) for path, value in listed)
    return tuple(credential for credential in found if credential is not None)


def _credential(value: Any, path: str, collector: Collector) -> Credential | None:
    said = Section(value, path, collector, _CREDENTIAL_KEYS)
    name = said.require("name", values.label, "give the application a name, like shop")
    domain = said.require("domain", values.domain_name, "give the domain it sends for")
    secret_hash = said.require(
        "secret_hash", values.password_hash, "give the hash of its password: openssl passwd -6", secret=True
    )
    senders = said.each("senders", values.sender)
    networks = said.each("networks", values.network)
    for key, parsed in (("senders", senders), ("networks", networks)):
        if said.has(key) and not parsed:
            collector.add(said.at(key), "must not be empty; leave the key out to have the default")
    if name is None or domain is None or secret_hash is None:
        return None
    return Credential(name, domain, secret_hash, senders or (f"{name}@{domain}",), networks)


def read_probe(variables: Section) -> Probe | None:
    """Return how the proof sends its message, or ``None`` when the inventory has no probe."""
    if not variables.has("postseal_probe"):
        return None
    said = variables.section("postseal_probe", _PROBE_KEYS)
    credential = said.require("credential", values.label, "name one of postseal_credentials")
    secret = said.require("secret", values.secret, "give that credential's password, from your vault", secret=True)
    recipient = said.require("recipient", values.mail_address, "give an address whose mail the controller can read")
    mailbox = said.require("mailbox", values.path, "give the directory where the received messages appear")
    if credential is None or secret is None or recipient is None or mailbox is None:
        return None
    return Probe(credential, secret, recipient, mailbox)
