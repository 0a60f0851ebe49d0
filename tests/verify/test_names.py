# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the DNS says, on every authoritative server, against the claims that the DNS engine publishes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ansible_collections.postseal.mail.plugins.module_utils.dkim.states import SIGNING, united
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import spf
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Domain, MailHost
from ansible_collections.postseal.mail.tests.verify.proof.catalogue import check
from ansible_collections.postseal.mail.tests.verify.proof.claimed import Asked, Claims, held_keys
from ansible_collections.postseal.mail.tests.verify.proof.judge import expect_claim, overdue
from ansible_collections.postseal.mail.tests.verify.proof.observe import Observer
from ansible_collections.postseal.mail.tests.verify.proof.outcome import (
    CheckFailedError,
    NotApplicableError,
    NotTestedError,
)
from ansible_collections.postseal.mail.tests.verify.proof.sts import announced
from ansible_collections.postseal.mail.tests.verify.proof.targets import Endpoint


def _expect_claims(claims: Claims, label: str, owners: tuple[str, ...], absent: str) -> None:
    """Check every claim of one kind; ``absent`` says why there may be none."""
    found = claims.of(label, owners)
    if not found:
        raise NotApplicableError(absent)
    _expect_all(found)


def _expect_all(found: Sequence[Asked]) -> None:
    for claim, answers in found:
        others = [other.value for other, _ in found if other.key == claim.key and other.slot.label == claim.slot.label]
        expect_claim(claim, answers.result(), others)


@check("ADDR-1")
def test_addresses(service_name: str, claims: Claims) -> None:
    _expect_claims(claims, "address", (service_name,), "the model asks for no address")


@check("MX-1")
def test_mx(domain: Domain, claims: Claims) -> None:
    _expect_claims(claims, "mx", (domain.name,), "the inventory names no mx for the domain")


@check("SPF-1")
def test_spf(spf_name: str, claims: Claims) -> None:
    _expect_claims(claims, "spf", (spf_name,), "the model asks for no SPF record")


@check("SPF-2")
def test_spf_ends_in_no(domain: Domain, claims: Claims) -> None:
    for claim, answers in claims.of("spf", (domain.name,)):
        for answer in answers.result():
            if answer.failure:
                raise NotTestedError(f"{answer.server.name} ({answer.server.address}) {answer.failure}")
            for value in filter(claim.slot.holds, answer.values):
                _expect_strict(value, domain)


def _expect_strict(value: Value, domain: Domain) -> None:
    data = value if isinstance(value, bytes) else value.encode()
    try:
        record = spf.parse(data)
    except ValueError as error:
        raise CheckFailedError(f"{data.decode(errors='replace')!r}: {error}", domain=domain.name) from None
    if record.all not in ("-", "~") and not (record.all is None and record.redirect):
        raise CheckFailedError(f"{record} lets everybody send", domain=domain.name)


@check("DKIM-1")
def test_dkim(domain: Domain, claims: Claims) -> None:
    found = claims.of("dkim:", (domain.name,))
    if not found:
        raise CheckFailedError("no mail host holds a DKIM key of the domain", record="(none yet)")
    _expect_all(found)


@check("DKIM-2")
def test_hosts_hold_the_same_keys(domain: Domain, observed: Observer) -> None:
    by_host = {
        keys.host: {(key.algorithm, key.selector, key.public) for key in keys.dkim if key.domain == domain.name}
        for keys in held_keys(observed)
    }
    for host, keys in by_host.items():
        missing = set(domain.dkim.algorithms) - {algorithm for algorithm, _, _ in keys}
        if missing:
            raise CheckFailedError(f"{host} holds no key for {', '.join(sorted(missing))}")
    everything = set[tuple[str, str, str]]().union(*by_host.values())
    for host, keys in by_host.items():
        if lacking := everything - keys:
            raise CheckFailedError(f"{host} lacks {', '.join(sorted(selector for _, selector, _ in lacking))}")


@check("DKIM-4")
def test_keys_are_changed_in_time(domain: Domain, observed: Observer, evidence: list[str]) -> None:
    if domain.parked:
        raise NotApplicableError("the domain is parked: it sends nothing")
    if not domain.dkim.rotate_every:
        raise NotApplicableError("postseal_domains[].dkim.rotate_every is never")
    known = united(keys.lifecycle for keys in held_keys(observed))
    now = datetime.now(UTC)
    signing = known.of(domain.name, SIGNING)
    if not signing:
        raise NotTestedError("no host knows since when a key of the domain signs")
    evidence += [f"{key.selector} signs since {key.since:%Y-%m-%d}" for key in signing]
    if (until := known.postponed.get(domain.name, now)) > now:
        raise NotApplicableError(f"the operator has postponed it until {until:%Y-%m-%d}")
    if late := overdue(known, domain, now):
        raise CheckFailedError("; ".join(late), domain=domain.name)


@check("DMARC-1")
def test_dmarc(domain: Domain, claims: Claims) -> None:
    _expect_claims(claims, "dmarc", (domain.name,), "the model asks for no DMARC record")


@check("SRV-1")
def test_srv(domain: Domain, claims: Claims) -> None:
    _expect_claims(claims, "srv", (domain.name,), "the model asks for no SRV record")


@check("RPT-1")
def test_tls_reports(domain: Domain, claims: Claims) -> None:
    _expect_claims(claims, "tlsrpt", (domain.name,), "the inventory asks for no reports on TLS")


@check("STS-1")
def test_mta_sts(domain: Domain, claims: Claims, observed: Observer, evidence: list[str]) -> None:
    if domain.mta_sts is None or not domain.mta_sts.served:
        _expect_claims(claims, "sts", (domain.name,), "the inventory announces no MTA-STS policy")
        return
    served = announced(domain, observed.policies(domain))
    evidence.append(f"the id of the policy that is served is {served}")
    _expect_all(claims.announcing(domain, served))


@check("DMARC-2")
def test_dmarc_consent(domain: Domain, claims: Claims) -> None:
    _expect_claims(claims, "report-consent", (domain.name,), "no other domain here sends its DMARC reports there")


@check("CAA-1")
def test_caa(service_name: str, claims: Claims) -> None:
    _expect_claims(claims, "caa:", (service_name,), "the inventory asks for no CAA record")


@check("DANE-1")
def test_tlsa(service_name: str, claims: Claims, observed: Observer) -> None:
    found = claims.of("tlsa:", (service_name,))
    if not found:
        raise CheckFailedError("no mail host holds the TLS key yet", record=f"_465._tcp.{service_name}. TLSA 3 1 1 ...")
    servers = found[0][1].result()
    if servers and all(not answer.failure and not answer.signed for answer in servers):
        raise NotApplicableError(f"the zone of {service_name} is not signed by DNSSEC, so TLSA would mean nothing")
    _expect_all(found)


@check("DANE-2")
def test_served_key_is_the_announced_one(any_endpoint: Endpoint, observed: Observer, claims: Claims) -> None:
    served = observed.secured[any_endpoint].result().certificate.spki_sha256
    found = False
    for name in observed.model.service_names(observed.model.host(any_endpoint.host)):
        owner = f"_{any_endpoint.port}._tcp.{name}"
        announced = claims.announced(owner)
        found = found or bool(announced)
        if announced and f"3 1 1 {served}" not in announced:
            raise CheckFailedError(
                f"the port serves {served[:16]}..., {owner} announces {', '.join(map(str, announced))}"
            )
    if not found:
        raise NotApplicableError(f"no TLSA record announces a key for port {any_endpoint.port}")


@check("DANE-3")
def test_the_host_can_check_whom_it_delivers_to(mail_host: MailHost, observed: Observer, evidence: list[str]) -> None:
    main = (observed.host_facts(mail_host, "postfix") or {}).get("main", {})
    level, support = (main.get(name, "") for name in ("smtp_tls_security_level", "smtp_dns_support_level"))
    evidence.append(f"smtp_tls_security_level = {level}, smtp_dns_support_level = {support}")
    if not level.startswith("dane") or support != "dnssec":
        raise CheckFailedError(evidence[0])
    found = observed.host_facts(mail_host, "resolver")
    evidence.append(f"its resolver is {found['server']}")
    if not found["validates"]:
        raise CheckFailedError(f"its resolver, {found['server']}, vouches for no answer by DNSSEC")


@check("PTR-1")
def test_reverse_names(sending_address: tuple[MailHost, str], observed: Observer) -> None:
    host, address = sending_address
    seen = observed.pointers[host.name, address].result()
    if not seen.names:
        raise CheckFailedError(f"{address} has no reverse name", address=address)
    if host.name not in seen.names:
        raise CheckFailedError(f"{address} is called {', '.join(seen.names)}", address=address)
    if address not in seen.addresses:
        raise CheckFailedError(
            f"{host.name} leads to {', '.join(seen.addresses) or 'nowhere'}, not to {address}", address=address
        )
