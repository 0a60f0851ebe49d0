# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The records of one domain: who may send as it, where its mail and its reports go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..dns.claims import Claim, Slot
from ..dns.records import Value
from ..model.types import Domain, Model
from . import dkim, dmarc, mtasts, records, slots, spf, tlsrpt

# RFC 6186 3.4 lets clients choose between services by priority; RFC 8314 3.3 wants implicit TLS chosen.
_PRIORITY = {"submissions": 0, "submission": 10}


@dataclass(frozen=True)
class Maker:
    """On whose behalf claims are made: their TTL, the name that decides the zone, and how messages call it."""

    ttl: int
    anchor: str
    subject: str
    required: bool = True
    adopt: bool = False

    def claim(self, name: str, rrtype: str, slot: Slot, value: Value, *, requires_dnssec: bool = False) -> Claim:
        """Return the claim on one value."""
        return Claim(
            name, rrtype, slot, value, self.ttl, self.anchor, self.subject, self.required, requires_dnssec, self.adopt
        )


def maker_for(model: Model, domain: Domain) -> Maker:
    """Return what makes the claims of ``domain``."""
    return Maker(model.dns.ttl, domain.name, f"domain {domain.name}", adopt=model.dns.adopt or domain.adopt)


def domain_records(model: Model, domain: Domain) -> Iterator[Claim]:
    """Yield every claim of ``domain`` but those on its own DKIM keys."""
    yield from _parked(model, domain) if domain.parked else _sending(model, domain)
    yield from _dmarc(model, domain)


def _parked(model: Model, domain: Domain) -> Iterator[Claim]:
    """Say with every standard that the domain has no mail (M3AAWG, Protecting Parked Domains)."""
    claim = maker_for(model, domain).claim
    yield claim(domain.name, "TXT", slots.SPF, spf.for_nobody().encode())
    yield claim(domain.name, "MX", slots.MX, records.null_mx())
    yield claim(dkim.record_name(domain.name, "*"), "TXT", slots.dkim("*"), dkim.REVOKED)


def _sending(model: Model, domain: Domain) -> Iterator[Claim]:
    claim = maker_for(model, domain).claim
    addresses = [address for host in model.hosts for address in host.addresses]
    includes = dict.fromkeys((*domain.spf.include, *(name for relay in model.relays_used for name in relay.spf)))
    record = spf.for_addresses(addresses, includes, domain.spf.all)
    for name in domain.names:
        # A subdomain has the domain's DMARC policy (RFC 9989 4.10) and its keys; where bounces go is said anew.
        yield claim(name, "TXT", slots.SPF_MERGED if domain.spf.merge else slots.SPF, record.encode())
        for mx in domain.mx:
            yield claim(name, "MX", slots.MX, records.mx(mx.preference, mx.host))
    ports = {"submissions": model.submission.ports.implicit_tls, "submission": model.submission.ports.starttls}
    targets = [model.submission.hostname] if model.submission.hostname else [host.name for host in model.hosts]
    for service, port in ports.items():
        for target in targets:
            value = records.srv(_PRIORITY[service], port, target)
            yield claim(records.srv_name(service, domain.name), "SRV", slots.SRV, value)
    for selector, target in domain.dkim.delegate:
        name = dkim.record_name(domain.name, selector)
        yield claim(name, "CNAME", slots.dkim(selector), records.cname(target))
    for alias, target in model.aliases_of(domain):
        selector, is_key, _ = alias.partition("._domainkey.")
        yield claim(alias, "CNAME", slots.dkim(selector) if is_key else slots.ALIAS, records.cname(target))
    if domain.tls_rpt:
        yield claim(tlsrpt.record_name(domain.name), "TXT", slots.TLSRPT, tlsrpt.build(domain.tls_rpt))
    if domain.mta_sts and domain.mta_sts.id:
        yield claim(mtasts.record_name(domain.name), "TXT", slots.STS, mtasts.build(domain.mta_sts.id))
        if domain.mta_sts.host:
            target = records.cname(domain.mta_sts.host)
            yield claim(mtasts.policy_host(domain.name), "CNAME", slots.STS_HOST, target)


def _dmarc(model: Model, domain: Domain) -> Iterator[Claim]:
    said = domain.dmarc
    alignment = "s" if said.alignment == "strict" else "r"
    policy = dmarc.Dmarc(
        said.policy,
        said.subdomain_policy,
        said.rua,
        alignment,
        alignment,
        said.testing,
        nonexistent_policy=said.nonexistent_policy,
    )
    claim = maker_for(model, domain).claim
    yield claim(dmarc.record_name(domain.name), "TXT", slots.DMARC, dmarc.build(policy))
    for receiver in dict.fromkeys(map(dmarc.receiver_of, said.rua)):
        if dmarc.external(domain.name, receiver) and covered(model, receiver):
            # Without this receivers of mail send no reports there (RFC 9990 4).
            consent = Maker(model.dns.ttl, receiver, f"domain {domain.name}", required=False, adopt=model.dns.adopt)
            name = dmarc.authorisation_name(domain.name, receiver)
            yield consent.claim(name, "TXT", slots.DMARC_AUTHORISATION, dmarc.AUTHORISATION)


def covered(model: Model, name: str) -> bool:
    """Tell whether the inventory speaks of the zone that ``name`` is in."""
    labels = name.split(".")
    return any(".".join(labels[start:]) in model.named for start in range(len(labels)))
