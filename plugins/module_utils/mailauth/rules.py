# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The rules that records are checked by before they are published, each with its id, severity and source.

An error refuses the plan that would bring it into being, a warning is told. docs/dns-lint.md says it to operators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..dns.findings import ERROR, WARNING, Finding
from ..dns.records import Key, RRset, Value, canonical_name, within
from ..model.types import Model
from .spf_budget import Resolve, Unresolvable

_ALIASES = 8


@dataclass(frozen=True)
class Rule:
    """One rule: ``meaning`` says what it finds, ``source`` where that is forbidden or advised against."""

    severity: str
    meaning: str
    source: str


RULES: Mapping[str, Rule] = {
    "caa-issuer": Rule(ERROR, "CAA forbids the authority that the inventory names to certify the name", "RFC 8659 3"),
    "cname-alone": Rule(ERROR, "other records stand beside a CNAME", "RFC 1034 3.6.2"),
    "cname-several": Rule(ERROR, "a name has more than one CNAME", "RFC 2181 10.1"),
    "dkim-delegate": Rule(WARNING, "a delegated selector leads to no key", "RFC 6376 3.6.2"),
    "dkim-several": Rule(ERROR, "a selector has more than one TXT record", "RFC 6376 3.6.2.2"),
    "dkim-sha1": Rule(ERROR, "a key allows SHA-1 only", "RFC 8301 3.1"),
    "dkim-short": Rule(ERROR, "an RSA key has less than 1024 bits, which verifiers refuse", "RFC 8301 3.2"),
    "dkim-syntax": Rule(ERROR, "verifiers cannot read the key", "RFC 6376 3.6.1"),
    "dkim-testing": Rule(WARNING, "a key says that signatures are only tried out", "RFC 6376 3.6.1"),
    "dkim-weak": Rule(WARNING, "an RSA key has less than 2048 bits", "RFC 8301 3.2"),
    "dmarc-consent": Rule(WARNING, "a report receiver elsewhere does not say that it takes them", "RFC 9990 4"),
    "dmarc-receiver": Rule(WARNING, "a report receiver takes no mail", "RFC 5321 5.1, RFC 7505 3"),
    "dmarc-removed": Rule(WARNING, "a tag or size that RFC 9989 removed has no effect any more", "RFC 9989 4.7"),
    "dmarc-registry": Rule(WARNING, "the domain calls itself a public suffix", "RFC 9989 4.7"),
    "dmarc-several": Rule(ERROR, "a domain has more than one policy, so it has none", "RFC 9989 4.10"),
    "dmarc-syntax": Rule(ERROR, "receivers cannot read the policy", "RFC 9989 4.7"),
    "dmarc-testing": Rule(WARNING, "receivers go one level below the policy", "RFC 9989 4.7"),
    "dmarc-unobserved": Rule(WARNING, "p=none without reports does nothing at all", "RFC 9989 4.7"),
    "dmarc-weaker": Rule(WARNING, "subdomains are protected less than the domain", "RFC 9989 4.7"),
    "mx-address": Rule(ERROR, "an MX names an address instead of a host", "RFC 5321 5.1"),
    "mx-alias": Rule(ERROR, "an MX names an alias", "RFC 2181 10.3"),
    "mx-missing": Rule(
        WARNING, "hosts may send as a domain whose postmaster, and whose bounces, reach nobody", "RFC 5321 4.5.1"
    ),
    "mx-null": Rule(ERROR, "other MX records stand beside the one that says: no mail", "RFC 7505 3"),
    "mx-null-sender": Rule(WARNING, "a domain that takes no mail lets hosts send as it", "RFC 7505 4.2"),
    "mx-unresolved": Rule(WARNING, "an MX names a host without an address", "RFC 5321 5.1"),
    "name-length": Rule(ERROR, "a name or a label is too long for the DNS", "RFC 1035 2.3.4"),
    "spf-all": Rule(ERROR, "everybody may send", "RFC 7208 5.1"),
    "spf-broken": Rule(ERROR, "verifiers answer permerror: a loop, or an include without a record", "RFC 7208 5.2"),
    "spf-length": Rule(WARNING, "the record may not fit into one UDP answer", "RFC 7208 3.4"),
    "spf-lookups": Rule(ERROR, "more than ten terms query the DNS, so verifiers answer permerror", "RFC 7208 4.6.4"),
    "spf-open": Rule(WARNING, "the record decides nothing about everybody else", "RFC 7208 4.7"),
    "spf-ptr": Rule(WARNING, "ptr is slow and unreliable, and receivers may not evaluate it", "RFC 7208 5.5"),
    "spf-several": Rule(ERROR, "a domain has more than one SPF record, so verifiers answer permerror", "RFC 7208 4.5"),
    "spf-stray": Rule(WARNING, "a value looks like SPF and is none", "RFC 7208 4.5"),
    "spf-syntax": Rule(ERROR, "verifiers answer permerror to a term", "RFC 7208 4.6"),
    "spf-type": Rule(WARNING, "a record of the type SPF is left over from an experiment", "RFC 7208 3.1"),
    "spf-unfollowed": Rule(ERROR, "an include cannot be looked up, so nobody knows what it costs", "RFC 7208 2.6.6"),
    "spf-voids": Rule(ERROR, "more than two lookups lead nowhere, so verifiers answer permerror", "RFC 7208 4.6.4"),
    "srv-alias": Rule(ERROR, "an SRV names an alias", "RFC 2782"),
    "srv-unresolved": Rule(WARNING, "an SRV names a host without an address", "RFC 2782"),
    "sts-host": Rule(WARNING, "a policy is announced and nothing serves it", "RFC 8461 3.3"),
    "sts-several": Rule(ERROR, "a domain announces more than one policy, so it has none", "RFC 8461 3.1"),
    "sts-syntax": Rule(ERROR, "senders cannot read the announcement", "RFC 8461 3.1"),
    "tlsrpt-several": Rule(ERROR, "a domain has more than one TLSRPT record, so it has none", "RFC 8460 3"),
    "tlsrpt-syntax": Rule(ERROR, "senders cannot read the TLSRPT record", "RFC 8460 3"),
    "txt-answer": Rule(
        WARNING, "all TXT records of a name do not fit into one UDP answer", "RFC 6891 6.2.5, RFC 7208 3.4"
    ),
    "txt-length": Rule(ERROR, "a TXT record is too long for the DNS", "RFC 1035 3.2.1"),
    "unresolved": Rule(WARNING, "the DNS gives no answer, so a rule could not be checked", "RFC 1035 4.1.1"),
}


def finding(rule: str, key: Key, message: str, fix: str = "") -> Finding:
    """Return a finding of one of :data:`RULES` about a record set."""
    return Finding(rule, RULES[rule].severity, *key, message, fix)


@dataclass
class View:
    """A zone as it will be, and the DNS around it.

    :param rrsets: what is known of the zone
    :param ours: the sets that we speak for; only those are judged
    :param dns: asks the DNS; what is still to be published is not there yet
    :param wanted: what the inventory publishes, in all zones
    """

    model: Model
    zone: str
    rrsets: Mapping[Key, RRset]
    ours: frozenset[Key]
    dns: Resolve
    wanted: Mapping[Key, Sequence[Value]]

    def values(self, key: Key) -> tuple[Value, ...]:
        """Return the values of a set of the zone; none if it does not exist."""
        found = self.rrsets.get(key)
        return found.values if found else ()

    def resolve(self, name: str, rrtype: str) -> Sequence[Value]:
        """Return what the DNS will say once everything is published; raises :class:`Unresolvable`."""
        for _ in range(_ALIASES):
            if (name, rrtype) in self.rrsets:
                return self.values((name, rrtype))
            alias = self.values((name, "CNAME"))
            if not alias:
                break
            name = canonical_name(str(alias[0]))
        if rrtype in ("A", "AAAA", "CNAME") and self._has_addresses(name):
            return self.wanted.get((name, rrtype), ())  # an alias stands alone, and a host has the addresses we say
        return self.dns(name, rrtype) or self.wanted.get((name, rrtype), ())

    def _has_addresses(self, name: str) -> bool:
        return any((name, rrtype) in known for rrtype in ("A", "AAAA") for known in (self.rrsets, self.wanted))

    def reachable(self, name: str) -> bool:
        """Tell whether a host name has an address; raises :class:`Unresolvable`."""
        return bool(self.resolve(name, "A") or self.resolve(name, "AAAA"))

    def holds(self, name: str) -> bool:
        """Tell whether ``name`` is in the zone."""
        return within(name, self.zone)


__all__ = ["ERROR", "RULES", "WARNING", "Resolve", "Rule", "Unresolvable", "View", "finding"]
