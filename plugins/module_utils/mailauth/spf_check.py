# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Evaluate SPF for one client, as a receiver does: check_host of RFC 7208 4."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from ..dns.records import Value
from . import spf, spf_terms
from .spf_budget import EXCHANGES, LOOKUPS, VOIDS, Resolve, Unresolvable

_RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_TYPES = {4: "A", 6: "AAAA"}
_QUERIES = ("include", "a", "mx", "ptr", "exists")
_PREFIX = re.compile(r"(?:/(?P<four>[0-9]+))?(?://(?P<six>[0-9]+))?$")


@dataclass(frozen=True)
class Verdict:
    """A result of RFC 7208 2.6 (none, neutral, pass, fail, softfail, temperror, permerror), and why in words."""

    result: str
    why: str = ""


class _Ended(Exception):  # an end, not an error of ours
    def __init__(self, result: str, why: str) -> None:
        super().__init__(why)
        self.verdict = Verdict(result, why)


def check_host(address: str, domain: str, sender: str, resolve: Resolve, helo: str = "") -> Verdict:
    """Return what a receiver makes of a client with ``address`` that sends as ``domain``.

    :param sender: the whole address; for an identity in HELO ``postmaster@`` and the name (RFC 7208 2.4)
    """
    try:
        return _Check(ip_address(address), sender, helo or domain, resolve).host(domain)
    except _Ended as end:
        return end.verdict


@dataclass
class _Check:
    address: IPv4Address | IPv6Address
    sender: str
    helo: str
    resolve: Resolve
    lookups: int = field(default=0)
    voids: int = field(default=0)

    def host(self, domain: str) -> Verdict:
        texts = [value for value in self._ask(domain, "TXT", count=False) if isinstance(value, bytes)]
        records = [value for value in texts if spf.is_spf(value)]
        if not records:
            return Verdict("none", f"{domain} has no SPF record")
        if len(records) > 1:
            raise _Ended("permerror", f"{domain} has {len(records)} SPF records")
        try:
            record = spf.parse(records[0])
        except ValueError as error:
            raise _Ended("permerror", f"{domain}: {error}") from None
        for term in record.mechanisms:
            directive = spf_terms.directive(term)
            assert directive is not None  # noqa: S101  # parsed
            if self._matches(directive, term, domain):
                return Verdict(_RESULTS[directive.qualifier], f"{domain}: {term}")
        if record.all is not None:
            return Verdict(_RESULTS[record.all], f"{domain}: {record.all}all")
        if record.redirect is not None:
            return self._redirect(record.redirect, domain)
        return Verdict("neutral", f"{domain}: no term matches")

    def _redirect(self, target: str, domain: str) -> Verdict:
        self._spend(f"redirect={target}")
        verdict = self.host(self._expand(target, domain))
        if verdict.result == "none":
            raise _Ended("permerror", f"{domain}: redirect={target} leads to no record")
        return verdict

    def _matches(self, directive: spf_terms.Directive, term: str, domain: str) -> bool:
        kind = directive.mechanism
        if kind in ("ip4", "ip6"):
            return self.address in ip_network(term.partition(":")[2], strict=False)
        if kind in _QUERIES:
            self._spend(term)
        name = self._expand(directive.target, domain)
        if kind == "include":
            return self._include(name, term, domain)
        if kind == "a":
            return self._among(self._addresses(name), term)
        if kind == "mx":
            return self._mx(name, term, domain)
        if kind == "exists":
            return bool(self._ask(name, "A"))
        return self._ptr(name)

    def _include(self, name: str, term: str, domain: str) -> bool:
        result = self.host(name).result
        if result == "none":
            raise _Ended("permerror", f"{domain}: {term} leads to no record")
        return result == "pass"

    def _mx(self, name: str, term: str, domain: str) -> bool:
        hosts = [str(value).split()[-1].rstrip(".") for value in self._ask(name, "MX")]
        if len(hosts) > EXCHANGES:
            raise _Ended("permerror", f"{domain}: {term} names {len(hosts)} hosts")
        return any(self._among(self._addresses(host, count=False), term) for host in hosts if host)

    def _ptr(self, name: str) -> bool:
        try:
            found = self.resolve(self.address.reverse_pointer, "PTR")
        except Unresolvable:
            return False  # 5.5: a failure here is no match
        names = [str(value).rstrip(".").lower() for value in found][:EXCHANGES]
        under = [host for host in names if host == name or host.endswith("." + name)]
        return any(str(self.address) in map(str, self._addresses(host, count=False)) for host in under)

    def _addresses(self, name: str, *, count: bool = True) -> list[str]:
        return [str(value) for value in self._ask(name, _TYPES[self.address.version], count=count)]

    def _among(self, addresses: list[str], term: str) -> bool:
        match = _PREFIX.search(term)
        length = (match["four"] if self.address.version == 4 else match["six"]) if match else None  # noqa: PLR2004
        suffix = f"/{length}" if length else ""
        return any(self.address in ip_network(address + suffix, strict=False) for address in addresses)

    def _spend(self, term: str) -> None:
        self.lookups += 1
        if self.lookups > LOOKUPS:
            raise _Ended("permerror", f"more than {LOOKUPS} terms query the DNS, {term} is one too many")

    def _ask(self, name: str, rrtype: str, *, count: bool = True) -> Sequence[Value]:
        try:
            found = self.resolve(name, rrtype)
        except Unresolvable as error:
            raise _Ended("temperror", str(error)) from None
        if count and not found:
            self.voids += 1
            if self.voids > VOIDS:
                raise _Ended("permerror", f"more than {VOIDS} lookups lead nowhere, the last is {name} {rrtype}")
        return found

    def _expand(self, spec: str, domain: str) -> str:
        local, _, of = self.sender.rpartition("@")
        shown = str(self.address)
        if self.address.version == 6:  # noqa: PLR2004
            shown = ".".join(self.address.exploded.replace(":", ""))
        family = "in-addr" if self.address.version == 4 else "ip6"  # noqa: PLR2004
        values = {"s": self.sender, "l": local or "postmaster", "o": of, "d": domain, "i": shown, "v": family}
        # p would take lookups of its own and is advised against (7.3): "unknown" is what it is then.
        expanded = spf_terms.expand(spec, domain, {**values, "h": self.helo, "p": "unknown"})
        assert expanded is not None  # noqa: S101  # every macro has a value
        return expanded
