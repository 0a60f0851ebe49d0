# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What receivers find in the DNS and make of it, whoever put it there, by the rules and evaluators of mailauth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.postseal.mail.plugins.module_utils.dns.findings import Finding
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Key, RRset, Value
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import dkim, dmarc, lint, mtasts, tlsrpt
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.dmarc_walk import Effective, effective
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.rules import View
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.spf_budget import Unresolvable
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.spf_check import Verdict, check_host
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Domain, Model

from .names import LookupFailedError, Names
from .outcome import CheckFailedError, NotTestedError

# The rules that say the answer is unknown, and so nothing about what stands there.
UNKNOWN = ("unresolved", "spf-unfollowed")


@dataclass(frozen=True)
class Judged:
    """What the DNS says of one domain: findings on its records, and the policies receivers arrive at."""

    findings: tuple[Finding, ...]
    policy: Effective
    subdomains: Effective
    values: dict[Key, tuple[Value, ...]]


class Resolver:
    """Asks as mailauth wants to be answered; raises :class:`Unresolvable`."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def __call__(self, name: str, rrtype: str) -> Sequence[Value]:
        """Return the values at ``name``."""
        try:
            return self._names.resolve(name, rrtype)
        except LookupFailedError as error:
            raise Unresolvable(str(error)) from None


def places(domain: Domain) -> tuple[Key, ...]:
    """Return where receivers look for what a domain says, but for the selectors of our keys."""
    name = domain.name
    texts = (name, dmarc.record_name(name), tlsrpt.record_name(name), mtasts.record_name(name))
    selectors = ["*"] if domain.parked else [selector for selector, _ in domain.dkim.delegate]
    keys = (dkim.record_name(name, selector) for selector in selectors)
    return (*((text, "TXT") for text in (*texts, *keys)), (name, "MX"), (name, "SPF"))


def judge(model: Model, domain: Domain, names: Names) -> Judged:
    """Look at everything of ``domain``; raises :class:`LookupFailedError` where the DNS does not answer."""
    values = {key: names.resolve(*key) for key in places(domain)}
    resolve = Resolver(names)
    try:
        policy = effective(domain.name, resolve)
        subdomains = effective(f"postseal-nobody.{domain.name}", resolve, exists=False)
    except Unresolvable as error:
        raise LookupFailedError(str(error)) from None
    return Judged(_findings(model, domain.name, values, resolve), policy, subdomains, values)


def _findings(model: Model, zone: str, values: dict[Key, tuple[Value, ...]], resolve: Resolver) -> tuple[Finding, ...]:
    rrsets = {key: RRset.of(*key, 0, found) for key, found in values.items() if found}
    return tuple(lint.judge(View(model, zone, rrsets, frozenset(rrsets), resolve, {})))


def judge_keys(model: Model, domain: Domain, selectors: Iterable[str], names: Names) -> tuple[Finding, ...]:
    """Return the findings on the published keys of ``selectors``; raises :class:`LookupFailedError`."""
    keys = [(dkim.record_name(domain.name, selector), "TXT") for selector in selectors]
    return _findings(model, domain.name, {key: names.resolve(*key) for key in keys}, Resolver(names))


def expect_none(findings: Iterable[Finding], rules: tuple[str, ...]) -> None:
    """Pass if no finding is of ``rules``; a rule that could not be checked leaves the question open."""
    seen = list(findings)
    said = [found for found in seen if found.rule in rules]
    if said:
        text = "; ".join(f"{found.name} {found.type}: {found.message}" for found in said)
        fixes = dict.fromkeys(found.fix for found in said if found.fix)
        raise CheckFailedError(text, fix="; ".join(fixes))
    families = {rule.partition("-")[0] for rule in rules}
    for found in seen:
        if found.rule in UNKNOWN and _family(found) in families:
            raise NotTestedError(f"{found.name} {found.type}: {found.message}")


def _family(found: Finding) -> str:
    if found.type == "MX":
        return "mx"
    return "dmarc" if found.name.startswith("_dmarc.") else "dkim" if "._domainkey." in found.name else "spf"


def spf_verdict(address: str, domain: str, names: Names) -> Verdict:
    """Return what SPF makes of a client at ``address`` that sends as ``domain``, or calls itself so in HELO."""
    return check_host(address, domain, f"postmaster@{domain}", Resolver(names), domain)
