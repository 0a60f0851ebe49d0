# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Every record that an environment needs, computed once from its model and public keys.

What is published and what is verified both come from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from ..dkim.states import PRESENT, REMOVED, REVOKED, KeyState, united
from ..dns.claims import Claim, Pending
from ..dns.errors import PlanError
from ..dns.records import Key
from ..model.keys import DkimPublicKey, HostKeys
from ..model.types import MailHost, Model
from . import caa, dkim, mtasts, records, slots, spf
from .domains import Maker, domain_records, maker_for


@dataclass(frozen=True)
class Desired:
    """What shall be published, what shall be as soon as a key is known that is not yet, and what is over.

    :param ended: record sets whose values of ours go although nobody says ``prune``: keys that are removed
    """

    claims: tuple[Claim, ...]
    pending: tuple[Pending, ...]
    ended: frozenset[Key] = frozenset()


def desired_claims(model: Model, keys: Iterable[HostKeys]) -> tuple[Claim, ...]:
    """Return all claims of ``model`` that ``keys`` suffice for; see :func:`desired`."""
    return desired(model, keys).claims


def desired(model: Model, keys: Iterable[HostKeys], policies: Mapping[str, str] = MappingProxyType({})) -> Desired:
    """Return all claims of ``model`` with the public keys of its hosts, and those that wait for a key.

    ``policies`` are the ids of the MTA-STS policies that were seen to be served, by domain; the others wait.
    Raises :class:`~..dns.errors.PlanError` when two hosts hold different keys for one domain and selector.
    """
    known = {found.host: found for found in keys}
    items = [
        *_host_records(model),
        *_shared_records(model),
        *_tlsa(model, known),
        *_caa(model),
        *(item for domain in model.domains for item in domain_records(model, domain)),
        *_policies(model, policies),
        *_dkim(model, known.values()),
    ]
    claims = tuple(dict.fromkeys(item for item in items if isinstance(item, Claim)))
    states = united(held.lifecycle for held in known.values())
    over = [key for domain in model.sending_domains for key in states.of(domain.name, REMOVED)]
    ended = frozenset((dkim.record_name(*key.name), "TXT") for key in over)
    return Desired(claims, tuple(item for item in items if isinstance(item, Pending)), ended)


def _maker(model: Model, name: str, subject: str) -> Maker:
    """Return what makes the claims on a name of the service; where its zone is not ours to write they are left out."""
    return Maker(model.dns.ttl, name, subject, required=False, adopt=model.dns.adopt)


def _host_records(model: Model) -> Iterator[Claim]:
    domains = {name for domain in model.domains for name in domain.names}
    for host in model.hosts:
        maker = _maker(model, host.name, f"host {host.name}")
        yield from _addresses(maker, [host])
        # Where the host's name is also a mail domain, that domain's record speaks for HELO too: it lists all hosts.
        if host.name not in domains:
            yield maker.claim(host.name, "TXT", slots.SPF_MERGED, spf.for_helo().encode())


def _shared_records(model: Model) -> Iterator[Claim]:
    shared = model.submission.hostname
    if shared and shared not in {host.name for host in model.hosts}:
        yield from _addresses(_maker(model, shared, "postseal_submission.hostname"), model.hosts)


def _addresses(maker: Maker, hosts: Sequence[MailHost], name: str = "") -> Iterator[Claim]:
    for host in hosts:
        for rrtype, addresses in (("A", host.ipv4), ("AAAA", host.ipv6)):
            for address in addresses:
                yield maker.claim(name or maker.anchor, rrtype, slots.ADDRESS, address)


def _tlsa(model: Model, keys: Mapping[str, HostKeys]) -> Iterator[Claim | Pending]:
    for host in model.hosts:
        held = keys.get(host.name)
        digests = {key.name: key.spki_sha256 for key in held.tls} if held else {}
        for service in model.service_names(host):
            digest = digests.get(service, digests.get(host.name))
            maker = _maker(model, service, f"host {host.name}")
            for port in model.submission.ports.all:
                name = records.tlsa_name(port, service)
                if digest is None:
                    reason = f"the TLS key of {host.name} is not known yet"
                    yield Pending(name, "TLSA", slots.TLSA.label, service, reason)
                else:
                    yield maker.claim(name, "TLSA", slots.TLSA, records.tlsa(digest), requires_dnssec=True)


def _caa(model: Model) -> Iterator[Claim]:
    said = model.tls.caa
    if said is None:
        return
    values = [caa.issue(said.issuer, account, said.methods) for account in said.accounts or (None,)]
    values += [caa.iodef(said.iodef)] if said.iodef else []
    services = dict.fromkeys(name for host in model.hosts for name in model.service_names(host))
    policies = (mtasts.policy_host(domain.name) for domain in model.policy_domains)
    for name in (*services, *policies):
        maker = _maker(model, name, "postseal_tls.caa")
        for value in values:
            yield maker.claim(name, "CAA", slots.caa_of(value), value)


def _policies(model: Model, seen: Mapping[str, str]) -> Iterator[Claim | Pending]:
    """Every mail host serves the policies: addresses, not an alias, so that CAA can stand beside them."""
    for domain in model.policy_domains:
        host = mtasts.policy_host(domain.name)
        maker = maker_for(model, domain)
        yield from _addresses(maker, model.hosts, host)
        name = mtasts.record_name(domain.name)
        if domain.name in seen:
            yield maker.claim(name, "TXT", slots.STS, mtasts.build(seen[domain.name]))
        else:
            reason = "its policy is not served by every mail host yet"
            yield Pending(name, "TXT", slots.STS.label, domain.name, reason)


def _dkim(model: Model, keys: Iterable[HostKeys]) -> Iterator[Claim | Pending]:
    held = tuple(keys)
    public = _public_halves(held)
    known = united(one.lifecycle for one in held)
    for domain in model.sending_domains:
        states = {key.selector: key for key in known.of(domain.name)}
        selectors = {selector for name, selector in public if name == domain.name} | set(states)
        live = False
        for selector in sorted(selectors):
            name, maker = dkim.record_name(domain.name, selector), maker_for(model, domain)
            state, key = states.get(selector), public.get((domain.name, selector))
            if state is not None and state.record:
                # Whoever handed the key over published it, and that value is ours from then on.
                maker = replace(maker, adopt=True)
            if state is not None and state.state == REVOKED:
                yield maker.claim(name, "TXT", slots.dkim(selector), dkim.REVOKED)
            elif (state is None and not known.known) or (state is not None and state.state in PRESENT):
                live = True
                if key is None:
                    reason = f"no mail host that was asked holds the key of selector {selector}"
                    yield Pending(name, "TXT", f"dkim:{selector}", domain.name, reason)
                else:
                    yield maker.claim(name, "TXT", slots.dkim(selector), key_record(key, state))
        if not live:
            reason = f"no mail host holds a DKIM key of {domain.name} yet"
            yield Pending(f"_domainkey.{domain.name}", "", "dkim", domain.name, reason, "Run playbooks/keys.yml first")


def key_record(key: DkimPublicKey, state: KeyState | None) -> bytes:
    """Return the record of a key that is published: the one it came with, or one of our own making."""
    return state.record.encode("ascii") if state and state.record else dkim.build(key.algorithm, key.public)


def _public_halves(keys: Iterable[HostKeys]) -> dict[tuple[str, str], DkimPublicKey]:
    """Return the keys by domain and selector; raises :class:`PlanError` where two hosts differ."""
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
    return {name: key for name, (_, key) in holders.items()}
