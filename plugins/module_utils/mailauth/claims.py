# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Every record that an environment needs, computed once from its model and public keys.

What is published and what is verified both come from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..dns.claims import Claim, Pending, Slot
from ..dns.errors import PlanError
from ..dns.records import Value
from ..model.keys import DkimPublicKey, HostKeys
from ..model.types import Domain, MailHost, Model
from . import dkim, dmarc, records, slots, spf

# RFC 6186 3.4 lets clients choose between services by priority; RFC 8314 3.3 wants implicit TLS chosen.
_PRIORITY = {"submissions": 0, "submission": 10}


@dataclass(frozen=True)
class Desired:
    """What shall be published, and what shall be as soon as a key is known that is not yet."""

    claims: tuple[Claim, ...]
    pending: tuple[Pending, ...]


def desired_claims(model: Model, keys: Iterable[HostKeys]) -> tuple[Claim, ...]:
    """Return all claims of ``model`` that ``keys`` suffice for; see :func:`desired`."""
    return desired(model, keys).claims


def desired(model: Model, keys: Iterable[HostKeys]) -> Desired:
    """Return all claims of ``model`` with the public keys of its hosts, and those that wait for a key.

    Raises :class:`~..dns.errors.PlanError` when two hosts hold different keys for one domain and selector.
    """
    known = {found.host: found for found in keys}
    items = [
        *_host_records(model),
        *_shared_records(model),
        *_tlsa(model, known),
        *(item for domain in model.domains for item in _domain_records(model, domain)),
        *_dkim(model, known.values()),
    ]
    claims = tuple(dict.fromkeys(item for item in items if isinstance(item, Claim)))
    return Desired(claims, tuple(item for item in items if isinstance(item, Pending)))


@dataclass(frozen=True)
class _For:
    """On whose behalf claims are made: their TTL, the name that decides the zone, and how messages call it."""

    ttl: int
    anchor: str
    subject: str
    required: bool = True

    def claim(self, name: str, rrtype: str, slot: Slot, value: Value, *, requires_dnssec: bool = False) -> Claim:
        return Claim(name, rrtype, slot, value, self.ttl, self.anchor, self.subject, self.required, requires_dnssec)


def _host_records(model: Model) -> Iterator[Claim]:
    domains = {domain.name for domain in model.domains}
    for host in model.hosts:
        maker = _For(model.dns.ttl, host.name, f"host {host.name}", required=False)
        yield from _addresses(maker, [host])
        # Where the host's name is also a mail domain, that domain's record speaks for HELO too: it lists all hosts.
        if host.name not in domains:
            yield maker.claim(host.name, "TXT", slots.SPF_MERGED, spf.for_helo().encode())


def _shared_records(model: Model) -> Iterator[Claim]:
    shared = model.submission.hostname
    if shared and shared not in {host.name for host in model.hosts}:
        yield from _addresses(_For(model.dns.ttl, shared, "postseal_submission.hostname", required=False), model.hosts)


def _addresses(maker: _For, hosts: Sequence[MailHost]) -> Iterator[Claim]:
    for host in hosts:
        for rrtype, addresses in (("A", host.ipv4), ("AAAA", host.ipv6)):
            for address in addresses:
                yield maker.claim(maker.anchor, rrtype, slots.ADDRESS, address)


def _tlsa(model: Model, keys: Mapping[str, HostKeys]) -> Iterator[Claim | Pending]:
    for host in model.hosts:
        held = keys.get(host.name)
        digests = {key.name: key.spki_sha256 for key in held.tls} if held else {}
        for service in model.service_names(host):
            digest = digests.get(service, digests.get(host.name))
            maker = _For(model.dns.ttl, service, f"host {host.name}", required=False)
            for port in model.submission.ports.all:
                name = records.tlsa_name(port, service)
                if digest is None:
                    reason = f"the TLS key of {host.name} is not known yet"
                    yield Pending(name, "TLSA", slots.TLSA.label, service, reason)
                else:
                    yield maker.claim(name, "TLSA", slots.TLSA, records.tlsa(digest), requires_dnssec=True)


def _domain_records(model: Model, domain: Domain) -> Iterator[Claim]:
    claim = _For(model.dns.ttl, domain.name, f"domain {domain.name}").claim
    addresses = [address for host in model.hosts for address in host.addresses]
    record = spf.for_addresses(addresses, domain.spf.include, domain.spf.all)
    yield claim(domain.name, "TXT", slots.SPF_MERGED if domain.spf.merge else slots.SPF, record.encode())
    said = domain.dmarc
    alignment = "s" if said.alignment == "strict" else "r"
    policy = dmarc.Dmarc(said.policy, said.subdomain_policy, said.rua, alignment, alignment)
    yield claim(dmarc.record_name(domain.name), "TXT", slots.DMARC, dmarc.build(policy))
    for mx in domain.mx:
        yield claim(domain.name, "MX", slots.MX, records.mx(mx.preference, mx.host))
    ports = {"submissions": model.submission.ports.implicit_tls, "submission": model.submission.ports.starttls}
    targets = [model.submission.hostname] if model.submission.hostname else [host.name for host in model.hosts]
    for service, port in ports.items():
        for target in targets:
            value = records.srv(_PRIORITY[service], port, target)
            yield claim(records.srv_name(service, domain.name), "SRV", slots.SRV, value)


def _dkim(model: Model, keys: Iterable[HostKeys]) -> Iterator[Claim | Pending]:
    holders: dict[tuple[str, str], tuple[str, DkimPublicKey]] = {}
    for held in keys:
        for key in held.dkim:
            first_host, first = holders.setdefault((key.domain, key.selector), (held.host, key))
            if first.public != key.public:
                raise PlanError(
                    f"{first_host} and {held.host} hold different DKIM keys for domain {key.domain}, selector "
                    f"{key.selector}: half of the mail would fail verification",
                    "Keep the key whose public half is in DNS, remove the other on its host, and run keys.yml again",
                )
    for domain in model.domains:
        found = sorted((selector, key) for (name, selector), (_, key) in holders.items() if name == domain.name)
        for selector, key in found:
            name = dkim.record_name(domain.name, selector)
            value = dkim.build(key.algorithm, key.public)
            yield _For(model.dns.ttl, domain.name, f"domain {domain.name}").claim(
                name, "TXT", slots.dkim(selector), value
            )
        if not found:
            name = f"_domainkey.{domain.name}"
            reason = f"no mail host holds a DKIM key of {domain.name} yet"
            yield Pending(name, "", "dkim", domain.name, reason, "Run playbooks/keys.yml first")
