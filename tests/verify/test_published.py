# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What receivers make of what the DNS says, whoever published it: evaluated, not compared."""

from __future__ import annotations

import time

from ansible_collections.postseal.mail.plugins.module_utils.mailauth import dkim, spf
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Domain
from ansible_collections.postseal.mail.tests.verify.proof.catalogue import check
from ansible_collections.postseal.mail.tests.verify.proof.claimed import Claims
from ansible_collections.postseal.mail.tests.verify.proof.observe import Observer
from ansible_collections.postseal.mail.tests.verify.proof.outcome import (
    CheckFailedError,
    NotApplicableError,
    NotTestedError,
)
from ansible_collections.postseal.mail.tests.verify.proof.published import expect_none, judge_keys
from ansible_collections.postseal.mail.tests.verify.proof.sts import expect_policy

# Signers renew signatures days before they end (RFC 6781 4.4.2); fewer left means that renewal has stopped.
SIGNATURE_DAYS = 2


def _sending(domain: Domain) -> None:
    if domain.parked:
        raise NotApplicableError("the domain is parked: it sends nothing")


@check("SPF-3")
def test_spf_can_be_evaluated(domain: Domain, observed: Observer) -> None:
    rules = ("spf-lookups", "spf-voids", "spf-broken", "spf-syntax")
    expect_none(observed.published[domain.name].result().findings, rules)


@check("SPF-4")
def test_spf_passes_for_every_address(spf_name: str, observed: Observer, evidence: list[str]) -> None:
    found = observed.spf(spf_name)
    if not found:
        raise NotApplicableError("the domain is parked: it sends nothing")
    verdicts = {pair: observation.result() for pair, observation in found.items()}
    evidence += [f"{address}: {verdict.result}, {verdict.why}" for address, verdict in verdicts.items()]
    for address, verdict in verdicts.items():
        if verdict.result == "temperror":
            raise NotTestedError(verdict.why)
        if verdict.result != "pass":
            raise CheckFailedError(
                f"SPF is {verdict.result} for {address}: {verdict.why}", address=address, name=spf_name
            )


@check("SPF-5")
def test_spf_has_nothing_outdated(domain: Domain, observed: Observer) -> None:
    rules = ("spf-ptr", "spf-type", "spf-stray", "spf-length", "txt-answer")
    expect_none(observed.published[domain.name].result().findings, rules)


@check("DKIM-3")
def test_published_keys_are_usable(domain: Domain, observed: Observer, claims: Claims) -> None:
    _sending(domain)
    ours = [claim.name.partition("._domainkey.")[0] for claim, _ in claims.of("dkim:", (domain.name,))]
    selectors = dict.fromkeys((*ours, *(selector for selector, _ in domain.dkim.delegate)))
    if not selectors:
        raise NotTestedError("no selector of the domain is known")
    rules = ("dkim-several", "dkim-sha1", "dkim-short", "dkim-weak", "dkim-syntax", "dkim-testing", "dkim-delegate")
    expect_none(observed.start(judge_keys, observed.model, domain, selectors, observed.names).result(), rules)


@check("DKIM-5")
def test_the_branch_of_the_keys_is_not_denied(domain: Domain, observed: Observer) -> None:
    _sending(domain)
    if not observed.branches[domain.name].result():
        raise CheckFailedError(f"_domainkey.{domain.name} does not exist, says the resolver", domain=domain.name)


@check("DMARC-3")
def test_dmarc_protects(domain: Domain, observed: Observer, evidence: list[str]) -> None:
    seen = observed.published[domain.name].result()
    for who, policy in ((domain.name, seen.policy), (f"subdomains of {domain.name}", seen.subdomains)):
        where = f"{policy.tag}= of {policy.source}" if policy.source else "no record anywhere above it"
        evidence.append(f"{who}: {policy.policy} ({where})")
    if "none" in (seen.policy.policy, seen.subdomains.policy):
        raise CheckFailedError("; ".join(evidence), domain=domain.name)


@check("DMARC-4")
def test_dmarc_says_what_it_means(domain: Domain, observed: Observer) -> None:
    rules = ("dmarc-removed", "dmarc-registry", "dmarc-syntax", "dmarc-testing", "dmarc-unobserved", "dmarc-weaker")
    expect_none(observed.published[domain.name].result().findings, rules)


@check("DMARC-5")
def test_dmarc_reports_arrive(domain: Domain, observed: Observer) -> None:
    expect_none(observed.published[domain.name].result().findings, ("dmarc-receiver", "dmarc-consent"))


@check("MX-2")
def test_mx_leads_to_hosts(domain: Domain, observed: Observer) -> None:
    if domain.parked:
        raise NotApplicableError("the domain is parked: it receives nothing")
    rules = ("mx-address", "mx-alias", "mx-null", "mx-unresolved", "mx-null-sender")
    seen = observed.published[domain.name].result()
    expect_none(seen.findings, rules)
    hosts = observed.model.hosts
    ours = {name for host in hosts for name in observed.model.service_names(host)}
    closed = ours & {str(mx).split()[-1].rstrip(".") for mx in seen.values[domain.name, "MX"]}
    if closed:
        fix = f"Name the servers that receive mail, not {', '.join(sorted(closed))}"
        raise CheckFailedError(f"{', '.join(sorted(closed))} takes no mail from other servers", fix=fix)


@check("PARK-1")
def test_a_parked_domain_has_no_mail(domain: Domain, observed: Observer) -> None:
    if not domain.parked:
        raise NotApplicableError("the domain is not parked")
    seen = observed.published[domain.name].result()
    texts = [value for value in seen.values[domain.name, "TXT"] if isinstance(value, bytes) and spf.is_spf(value)]
    wrong = [] if texts == [spf.for_nobody().encode()] else ["its SPF record lets somebody send"]
    if (seen.policy.policy, seen.subdomains.policy) != ("reject", "reject"):
        wrong.append(f"DMARC says {seen.policy.policy}, for subdomains {seen.subdomains.policy}")
    if [str(value).split() for value in seen.values[domain.name, "MX"]] != [["0", "."]]:
        wrong.append("it has no null MX")
    keys = seen.values[dkim.record_name(domain.name, "*"), "TXT"]
    if not keys or any(not isinstance(key, bytes) or dkim.parse(key).public for key in keys):
        wrong.append("some DKIM selector may hold a key")
    if wrong:
        raise CheckFailedError("; ".join(wrong), domain=domain.name)


@check("DNSSEC-1")
def test_the_zone_is_signed(spf_name: str, observed: Observer) -> None:
    seen = observed.signed[spf_name].result()
    if not seen.signed:
        raise CheckFailedError("the zone is not signed", name=spf_name)
    if not seen.trusted and not seen.validating:
        raise NotTestedError("the zone is signed, but the resolver vouches for no answer at all")
    if not seen.trusted:
        raise CheckFailedError("the zone is signed, but the resolver does not vouch for it", name=spf_name)


@check("DNSSEC-2")
def test_the_signatures_last(spf_name: str, observed: Observer, evidence: list[str]) -> None:
    until = observed.signed[spf_name].result().until
    if not until:
        raise NotApplicableError("the zone is not signed")
    days = (until - time.time()) / 86400
    evidence.append(f"the first signature expires in {days:.1f} days")
    if days < SIGNATURE_DAYS:
        raise CheckFailedError(evidence[0], name=spf_name)


@check("STS-2")
def test_mta_sts_policy_is_served(domain: Domain, observed: Observer, evidence: list[str]) -> None:
    if domain.mta_sts is None:
        raise NotApplicableError("the inventory announces no MTA-STS policy")
    fetched = observed.policies(domain)
    evidence += dict.fromkeys(" ".join(one.text.split()) for one in fetched)
    found = observed.published[domain.name].result().values[domain.name, "MX"]
    exchanges = [host for host in (str(mx).split()[-1].rstrip(".") for mx in found) if host]
    for one in fetched:
        expect_policy(domain, one, exchanges)
