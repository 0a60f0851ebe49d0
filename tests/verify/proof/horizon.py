# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What expires and when: certificates, keys, signatures, passwords. Nothing here judges; the checks do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import dns.exception
import dns.message
import dns.query
import dns.rdatatype
from ansible_collections.postseal.mail.plugins.module_utils.dkim.lifecycle import next_step
from ansible_collections.postseal.mail.plugins.module_utils.dkim.states import SIGNING, KeyState, united
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Domain

from .claimed import held_keys
from .names import SECONDS, LookupFailedError, Names
from .observe import Observed, Observer
from .outcome import NotTestedError

_DAY = re.compile(r"-(\d{8})-[^-]*$")


@dataclass(frozen=True)
class Expiry:
    """Something that ends by itself: what it is, where or which one, at what time, and what happens then."""

    what: str
    where: str
    at: datetime
    then: str

    def days(self, now: datetime) -> float:
        """Return the days that are left, negative afterwards."""
        return (self.at - now).total_seconds() / 86400


class Horizon:
    """Looks for expiries beside the checks; what could not be seen is not in the list, its check says why."""

    def __init__(self, observed: Observer) -> None:
        self._observed = observed
        self._signatures: list[Observed[Expiry | None]] = [
            observed.start(signature, observed.names, domain.name) for domain in observed.model.domains
        ]

    def expiries(self) -> tuple[Expiry, ...]:
        """Return everything that expires, the next first."""
        found = [*self._certificates(), *self._keys(), *self._passwords()]
        for looked in self._signatures:
            try:
                found += [expiry] if (expiry := looked.result()) else []
            except NotTestedError:
                continue
        return tuple(sorted(set(found), key=lambda expiry: (expiry.at, expiry.what, expiry.where)))

    def _certificates(self) -> list[Expiry]:
        # One line for all ports that serve the same certificate.
        serving: dict[tuple[str, datetime], list[str]] = {}
        for endpoint, looked in self._observed.secured.items():
            try:
                leaf = looked.result().certificate
            except NotTestedError:
                continue
            ports = serving.setdefault((endpoint.host, leaf.not_after), [])
            if str(endpoint.port) not in ports:
                ports.append(str(endpoint.port))
        return [
            Expiry("certificate", f"{host}, port {', '.join(ports)}", until, "is renewed by itself a month ahead")
            for (host, until), ports in serving.items()
        ]

    def _keys(self) -> list[Expiry]:
        try:
            hosts = held_keys(self._observed)
        except (NotTestedError, KeyError):
            return []
        domains = {domain.name: domain for domain in self._observed.model.sending_domains}
        known = united(host.lifecycle for host in hosts)
        held = {(key.domain, key.selector) for host in hosts for key in host.dkim if key.domain in domains}
        found = [change_of(known.find(*name), domains[name[0]], name[1]) for name in held]
        return [expiry for expiry in found if expiry]

    def _passwords(self) -> list[Expiry]:
        listed = self._observed.model.credentials
        midnight = time(tzinfo=UTC)
        ends = [(one, one.expires) for one in listed if one.active and one.expires]
        return [
            # Not by its login, which is an address and may be somebody's.
            Expiry(
                "credential",
                f"{one.name} of {one.domain}",
                datetime.combine(day, midnight) + timedelta(days=1),
                "stops working",
            )
            for one, day in ends
        ]


def change_of(key: KeyState | None, domain: Domain, selector: str) -> Expiry | None:
    """Return what becomes of a DKIM key next by the inventory's ``dkim``, and when; ``None`` where nobody knows.

    A key of which no host has written down anything counts as signing since the day in its selector.
    """
    if key is None:
        made = day_of(selector)
        key = KeyState(domain.name, selector, "", SIGNING, made) if made else None
    if key is None:
        return None
    what, at = next_step(key, domain)
    words = {"a new key": "is due for a change", "signing": "can begin to sign"}
    where = f"{selector}._domainkey.{domain.name}"
    return Expiry("DKIM key", where, at, words.get(what, f"can be {what}")) if at else None


def day_of(selector: str) -> datetime | None:
    """Return when the key of a selector was made, which is part of its name; ``None`` for another kind of name."""
    found = _DAY.search(selector)
    try:
        return datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def signature(names: Names, domain: str) -> Expiry | None:
    """Return when the DNSSEC signature of the zone's SOA ends on the server where it ends first; ``None`` unsigned.

    Raises :class:`LookupFailedError` if no server answers. The SOA stands for the rest: its signature is made anew
    whenever the zone is, so that an old one shows a signer that has stopped (RFC 4035 2.2, RFC 6781 4.4.2).
    """
    query = dns.message.make_query(domain, "SOA", want_dnssec=True, payload=1232)
    ends: list[tuple[int, str]] = []
    failure = ""
    for server in names.servers(domain):
        try:
            response, _tcp = dns.query.udp_with_fallback(query, server.address, timeout=SECONDS)
        except (dns.exception.DNSException, OSError) as error:
            failure = f"{server.name} does not answer: {error}"
            continue
        for rrset in response.answer + response.authority:
            if rrset.rdtype == dns.rdatatype.RRSIG:
                ends += [
                    (rdata.expiration, rdata.signer.to_text(omit_final_dot=True))
                    for rdata in rrset
                    if rdata.type_covered == dns.rdatatype.SOA
                ]
    if not ends:
        if failure:
            raise LookupFailedError(failure)
        return None
    until, zone = min(ends)
    return Expiry(
        "DNSSEC signature", zone, datetime.fromtimestamp(until, UTC), "is made anew by the servers of the zone"
    )
