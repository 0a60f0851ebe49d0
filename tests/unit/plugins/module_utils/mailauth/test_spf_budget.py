# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""RFC 7208 4.6.4, by its own rules, and against a verifier that really evaluates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import spf, spf_terms
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.spf_budget import (
    Budget,
    Resolve,
    Unresolvable,
    evaluate,
)
from hypothesis import given, settings
from hypothesis import strategies as st

DOMAIN = "shop.test"
World = Mapping[tuple[str, str], Sequence[Value]]
ADDRESSES: World = {("mail.test", "A"): ["192.0.2.1"], ("mail.test", "AAAA"): ["2001:db8::1"]}


def world(zone: World) -> Resolve:
    return lambda name, rrtype: zone.get((name, rrtype), ())


def spent(record: str, zone: World | None = None, families: tuple[int, ...] = (4, 6)) -> Budget:
    return evaluate(record.encode(), DOMAIN, world({**ADDRESSES, **(zone or {})}), families)


@pytest.mark.parametrize(
    ("record", "lookups"),
    [
        # "include", "a", "mx", "ptr", "exists" and "redirect" count; "all", "ip4", "ip6" and "exp" do not.
        ("v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all exp=explain.mail.test", 0),
        ("v=spf1 a:mail.test -all", 1),
        ("v=spf1 a:mail.test ~a:mail.test ?a:mail.test -a:mail.test", 4),
        ("v=spf1 ptr -all", 1),
        ("v=spf1 exists:%{i}.mail.test -all", 1),
        ("v=spf1 include:one.test include:one.test -all", 4),
        ("v=spf1 +include:one.test -include:two.test", 5),
        ("v=spf1 redirect=two.test", 3),
        ("v=spf1 a:mail.test redirect=one.test", 3),
        ("v=spf1 include:%{i}.mail.test -all", 1),
        # What follows all is never evaluated, nor is redirect beside it (5.1, 6.1).
        ("v=spf1 -all a:mail.test", 0),
        ("v=spf1 redirect=one.test -all", 0),
        # An include that matches everybody ends evaluation; one whose all does not pass is no match (5.2).
        ("v=spf1 include:open.test a:mail.test", 1),
        ("v=spf1 include:closed.test a:mail.test", 2),
        ("v=spf1 include:redirects.test a:mail.test", 2),
    ],
)
def test_terms_that_query_are_counted(record: str, lookups: int) -> None:
    zone = {
        ("one.test", "TXT"): [b"v=spf1 a:mail.test -all"],
        ("two.test", "TXT"): [b"site-verification=1", b"v=spf1 include:one.test -all"],
        ("open.test", "TXT"): [b"v=spf1 +all"],
        ("closed.test", "TXT"): [b"v=spf1 -all"],
        ("redirects.test", "TXT"): [b"v=spf1 redirect=open.test"],
    }
    budget = spent(record, zone)
    assert budget.lookups == lookups
    assert not budget.broken
    assert sum(cost for _, cost in budget.costs) == lookups


@pytest.mark.parametrize(("count", "fits"), [(10, True), (11, False)])
def test_ten_lookups_are_allowed(count: int, fits: bool) -> None:
    budget = spent("v=spf1 " + " ".join(f"a:a{n}.test" for n in range(count)) + " -all", {
        (f"a{n}.test", rrtype): values
        for n in range(count)
        for rrtype, values in (("A", ["192.0.2.9"]), ("AAAA", ["2001:db8::9"]))
    })  # fmt: skip
    assert (budget.lookups, budget.fits) == (count, fits)


@pytest.mark.parametrize(("count", "fits"), [(2, True), (3, False)])
def test_two_void_lookups_are_allowed(count: int, fits: bool) -> None:
    budget = spent("v=spf1 " + " ".join(f"exists:gone{n}.test" for n in range(count)) + " -all")
    assert (budget.voids, budget.fits) == (count, fits)
    assert budget.empty == tuple(f"gone{n}.test A" for n in range(count))


def test_void_lookups_depend_on_the_client() -> None:
    zone = {(f"v4-{n}.test", "A"): ["192.0.2.9"] for n in range(3)}
    record = "v=spf1 " + " ".join(f"a:v4-{n}.test" for n in range(3))
    assert spent(record, zone).voids == 3
    assert spent(record, zone, families=(4,)).voids == 0
    # A client has one address: what it does not ask for is not empty for it.
    mixed = {("v4.test", "A"): ["192.0.2.9"], ("v6.test", "AAAA"): ["2001:db8::9"]}
    assert spent("v=spf1 a:v4.test a:v6.test", mixed).voids == 1


def test_mx_costs_one_lookup_and_its_hosts_may_be_void() -> None:
    zone = {(DOMAIN, "MX"): ["10 mail.test.", "20 gone.test."]}
    budget = spent("v=spf1 mx -all", zone)
    assert (budget.lookups, budget.voids) == (1, 1)
    assert set(budget.empty) == {"gone.test A", "gone.test AAAA"}
    assert spent("v=spf1 mx -all").empty == (f"{DOMAIN} MX",)
    assert spent("v=spf1 mx -all", {(DOMAIN, "MX"): ["0 ."]}).voids == 0


@pytest.mark.parametrize(("hosts", "broken"), [(10, False), (11, True)])
def test_mx_with_more_than_ten_hosts_is_an_error(hosts: int, broken: bool) -> None:
    zone: dict[tuple[str, str], Sequence[Value]] = {(DOMAIN, "MX"): [f"10 mx{n}.test." for n in range(hosts)]}
    for n in range(hosts):
        zone |= {(f"mx{n}.test", "A"): ["192.0.2.1"], (f"mx{n}.test", "AAAA"): ["2001:db8::1"]}
    assert bool(spent("v=spf1 mx -all", zone).broken) is broken


@pytest.mark.parametrize(
    ("zone", "reason"),
    [
        ({}, "no SPF record"),
        ({("x.test", "TXT"): [b"v=spf10 -all", b"v=spf1", b"v=spf1 -all"]}, "2 SPF records"),
        ({("x.test", "TXT"): [b"v=spf1 ipv4:192.0.2.1 -all"]}, "'ipv4:192.0.2.1' is neither"),
        ({("x.test", "TXT"): [b"v=spf1 include:x.test"]}, "leads back to x.test"),
        ({("x.test", "TXT"): [b"v=spf1 include:shop.test"]}, "leads back to shop.test"),
        ({("x.test", "TXT"): [b"v=spf1 redirect=y.test"], ("y.test", "TXT"): [b"v=spf1 include:x.test"]}, "back to x"),
    ],
)
@pytest.mark.parametrize("term", ["include:x.test", "redirect=x.test"])
def test_what_verifiers_answer_with_permerror_is_broken(zone: World, reason: str, term: str) -> None:
    budget = spent(f"v=spf1 {term}", zone)
    assert not budget.fits
    assert reason in budget.broken[0]


def test_a_record_that_is_none_is_broken() -> None:
    assert "neither a mechanism" in spent("v=spf1 nonsense").broken[0]


def test_what_the_dns_does_not_tell_is_no_result() -> None:
    def failing(name: str, rrtype: str) -> Sequence[Value]:
        raise Unresolvable(f"{name} {rrtype}: SERVFAIL")

    budget = evaluate(b"v=spf1 include:x.test a mx -all", DOMAIN, failing)
    assert (budget.lookups, budget.voids, budget.broken) == (3, 0, ())
    assert budget.unfollowed == ("x.test TXT: SERVFAIL",)
    assert budget.unresolved == (
        "shop.test A: SERVFAIL",
        "shop.test AAAA: SERVFAIL",
        "shop.test MX: SERVFAIL",
    )


def test_records_that_branch_without_end_are_given_up() -> None:
    zone = {(f"n{n}.test", "TXT"): [f"v=spf1 include:n{n + 1}.test include:n{n + 1}.test".encode()] for n in range(60)}
    asked: list[str] = []

    def counting(name: str, rrtype: str) -> Sequence[Value]:
        asked.append(name)
        return zone.get((name, rrtype), [b"v=spf1 -all"])

    assert evaluate(b"v=spf1 include:n0.test -all", DOMAIN, counting).lookups >= 11
    assert len(asked) <= 110


def test_costs_tell_which_term_to_remove() -> None:
    zone: World = {("big.test", "TXT"): [b"v=spf1 a:mail.test mx:mail.test include:small.test -all"],
            ("small.test", "TXT"): [b"v=spf1 -all"], ("mail.test", "MX"): ["0 mail.test."]}  # fmt: skip
    assert spent("v=spf1 ip4:192.0.2.1 include:big.test a:mail.test -all", zone).costs == (
        ("include:big.test", 4),
        ("a:mail.test", 1),
    )


class Verifier:
    """check_host() of RFC 7208 4 for one client, counting what it asks; written apart from what it judges."""

    def __init__(self, zone: World, client: str) -> None:
        self.zone, self.client = zone, ip_address(client)
        self.rrtype = "A" if self.client.version == 4 else "AAAA"
        self.lookups = self.voids = 0

    def ask(self, name: str, rrtype: str) -> Sequence[Value]:
        found = self.zone.get((name, rrtype), ())
        self.voids += not found
        return found

    def check(self, domain: str) -> str:
        found = self.zone.get((domain, "TXT"), ())
        if not found:
            return "none"
        record = spf.parse(found[0] if isinstance(found[0], bytes) else found[0].encode())
        for text in record.mechanisms:
            term = spf_terms.directive(text)
            assert term is not None
            if self.matches(term, text, domain):
                return term.qualifier
        if record.redirect:
            self.lookups += 1
            return self.check(record.redirect)
        return record.all or "?"

    def matches(self, term: spf_terms.Directive, text: str, domain: str) -> bool:
        if term.mechanism in ("ip4", "ip6"):
            return self.client in ip_network(text.partition(":")[2])
        self.lookups += 1
        name = term.target or domain
        if term.mechanism == "include":
            return self.check(name) == "+"
        if term.mechanism == "exists":
            return bool(self.ask(name, "A"))
        if term.mechanism == "a":
            return str(self.client) in self.ask(name, self.rrtype)
        hosts = [str(value).split()[1].rstrip(".") for value in self.ask(name, "MX")]
        return any(str(self.client) in self.ask(host, self.rrtype) for host in hosts)


LEVELS = 3
HOSTS = ("h0.test", "h1.test", "gone.test")
CLIENTS = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "203.0.113.9", "2001:db8::99")


def terms(level: int) -> st.SearchStrategy[str]:
    """Terms of a record at one level of a tree: they lead to the next level only, so that there are no loops."""
    deeper = [f"include:d{level + 1}{x}.test" for x in "ab"] if level < LEVELS else []
    plain = ["ip4:192.0.2.1", "ip6:2001:db8::1", "ip4:192.0.2.0/24", *(f"{m}:{h}" for m in ("a", "mx") for h in HOSTS)]
    plain += ["exists:h0.test", "exists:gone.test"]
    return st.builds("".join, st.tuples(st.sampled_from(["", "-", "~", "?"]), st.sampled_from(plain + deeper * 3)))


@st.composite
def records(draw: st.DrawFn, level: int) -> bytes:
    ends = ["", "-all", "~all", "?all", "+all", *([f"redirect=d{level + 1}a.test"] if level < LEVELS else [])]
    found = draw(st.lists(terms(level), max_size=4, unique=True))
    return " ".join(["v=spf1", *found, draw(st.sampled_from(ends))]).strip().encode()


@st.composite
def worlds(draw: st.DrawFn) -> dict[tuple[str, str], Sequence[Value]]:
    zone: dict[tuple[str, str], Sequence[Value]] = {(DOMAIN, "TXT"): [draw(records(0))]}
    for level in range(1, LEVELS + 1):
        zone |= {(f"d{level}{x}.test", "TXT"): [draw(records(level))] for x in "ab"}
    for host in HOSTS[:2]:
        for rrtype, value in (("A", "192.0.2.2"), ("AAAA", "2001:db8::1"), ("MX", f"10 {host}.")):
            if draw(st.booleans()):
                zone[host, rrtype] = [value]
    return zone


@settings(deadline=None)
@given(zone=worlds())
def test_no_client_costs_more_and_the_stranger_costs_that(zone: dict[tuple[str, str], Sequence[Value]]) -> None:
    record = zone[DOMAIN, "TXT"][0]
    assert isinstance(record, bytes)
    budget = evaluate(record, DOMAIN, world(zone))
    if budget.lookups >= 100:
        return
    assert not budget.broken
    strangers = []
    for client in CLIENTS:
        verifier = Verifier(zone, client)
        verifier.check(DOMAIN)
        assert verifier.lookups <= budget.lookups
        assert verifier.voids <= budget.voids
        strangers.append(verifier)
    text = b" ".join(value for found in zone.values() for value in found if isinstance(value, bytes))
    if b"exists" not in text and b"+all" not in text:  # else strangers can match, and need not be the dearest
        assert max(verifier.lookups for verifier in strangers) == budget.lookups
        assert max(verifier.voids for verifier in strangers) == budget.voids
