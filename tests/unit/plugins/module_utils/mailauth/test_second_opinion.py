# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""checkdmarc reads SPF and DMARC records by code of its own; where the two differ, one of them is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import checkdmarc.utils
import dns.message
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import dmarc, spf_budget
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.dmarc_walk import effective
from checkdmarc.dmarc import DMARCError, DMARCRecordNotFound, parse_dmarc_record, query_dmarc_record
from checkdmarc.spf import SPFError, parse_spf_record
from hypothesis import given, settings
from hypothesis import strategies as st

World = Mapping[tuple[str, str], Sequence[str]]
# checkdmarc asks whether those who get reports have MX records, and wants the domain itself to exist.
ALWAYS: World = {
    ("shop.test", "MX"): ["10 mail.shop.test."],
    ("mail.shop.test", "A"): ["192.0.2.1"],
    ("mail.shop.test", "AAAA"): ["2001:db8::1"],
}


class Resolver(dns.resolver.Resolver):
    """Answers from a table: NXDOMAIN for a name that nothing stands at or below, NoAnswer for another type."""

    def __init__(self, world: World) -> None:
        super().__init__(configure=False)
        self.nameservers = ["192.0.2.53"]
        self._world = {**ALWAYS, **world}

    def resolve(self, qname: Any, rdtype: Any = "A", *_: Any, **__: Any) -> Any:
        """Return the answer, or raise what a resolver raises."""
        name, kind = str(qname).rstrip(".").lower(), dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rdtype))
        values = self._world.get((name, kind))
        query = dns.message.make_query(f"{name}.", kind)
        if values:
            texts = [f'"{value}"' for value in values] if kind == "TXT" else values
            asked = query.question[0]
            response = dns.message.make_response(query)
            assert isinstance(response, dns.message.QueryMessage)
            found = response.find_rrset(response.answer, asked.name, asked.rdclass, asked.rdtype, create=True)
            found.update(dns.rrset.from_text(f"{name}.", 300, "IN", kind, *texts))
            return dns.resolver.Answer(asked.name, asked.rdtype, asked.rdclass, response)
        if any(owner == name or owner.endswith(f".{name}") for owner, _ in self._world):
            raise dns.resolver.NoAnswer(response=dns.message.make_response(query))
        raise dns.resolver.NXDOMAIN


def _ours(world: World) -> spf_budget.Resolve:
    def resolve(name: str, rrtype: str) -> Sequence[Value]:
        values = {**ALWAYS, **world}.get((name, rrtype), ())
        return [value.encode() if rrtype == "TXT" else value for value in values]

    return resolve


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """It remembers answers for all of a process."""
    checkdmarc.utils.DNS_CACHE.clear()
    yield
    checkdmarc.utils.DNS_CACHE.clear()


POLICIES = st.sampled_from(dmarc.POLICIES)
RECORDS = st.builds(
    dmarc.Dmarc,
    policy=POLICIES,
    subdomain_policy=st.none() | POLICIES,
    rua=st.sampled_from([(), ("mailto:dmarc@shop.test",), ("mailto:a@shop.test", "mailto:b@shop.test")]),
    adkim=st.sampled_from("rs"),
    aspf=st.sampled_from("rs"),
    testing=st.booleans(),
    nonexistent_policy=st.none() | POLICIES,
    psd=st.sampled_from("un"),
)


@settings(deadline=None, max_examples=60)
@given(RECORDS)
def test_records_that_we_write_are_read_as_we_meant_them(record: dmarc.Dmarc) -> None:
    read = parse_dmarc_record(dmarc.build(record).decode(), "shop.test", resolver=Resolver({}))["tags"]
    said = {name: tag["value"] for name, tag in read.items()}
    sp = record.subdomain_policy or record.policy
    assert (said["p"], said["sp"], said["np"]) == (record.policy, sp, record.nonexistent_policy or sp)
    assert (said["adkim"], said["aspf"], said["t"], said["psd"]) == (
        record.adkim, record.aspf, "y" if record.testing else "n", record.psd,
    )  # fmt: skip
    assert [uri["address"] for uri in said.get("rua", [])] == [uri.removeprefix("mailto:") for uri in record.rua]


@pytest.mark.parametrize(
    "text",
    [
        "v=DMARC1; p=none",
        "v=DMARC1;p=reject;",
        "v=DMARC1; p=reject; sp=none; np=quarantine",
        "v=DMARC1; p=refuse",
        "p=reject; v=DMARC1",
        "v=DMARC2; p=reject",
        "v=DMARC1 p=reject",
        "v=spf1 -all",
        "v=DMARC1; p=reject; sp=never",
        "v=DMARC1; p=reject; unknown=tag",
        "v=DMARC1; p=reject; pct=50",
    ],
)
def test_both_refuse_the_same_records(text: str) -> None:
    def theirs() -> bool:
        try:
            parse_dmarc_record(text, "shop.test", resolver=Resolver({}))
        except DMARCError:
            return False
        return True

    def ours() -> bool:
        try:
            dmarc.parse(text.encode())
        except ValueError:
            return False
        return True

    assert ours() == theirs()


WALKED: World = {
    (f"_dmarc.{name}", "TXT"): [f"v=DMARC1; {text}"]
    for name, text in {
        "example.com": "p=reject; sp=quarantine",
        "shop.example.com": "p=none",
        "registry.test": "p=none; psd=y",
        "own.registry.test": "p=reject",
        "unit.big.test": "p=quarantine; psd=n",
        "big.test": "p=reject",
        "e.f.g.h.i.j.k": "p=reject",
        "d.e.f.g.h.i.j.k": "p=none",
    }.items()
} | {(name, "A"): ["192.0.2.1"] for name in ("a.b.example.com", "x.shop.example.com", "a.own.registry.test")}
EXIST: World = {(name, "A"): ["192.0.2.1"] for name in ("a.other.registry.test", "a.unit.big.test", "a.none.test")}


@pytest.mark.parametrize(
    "domain",
    [
        "example.com",
        "shop.example.com",
        "a.b.example.com",
        "x.shop.example.com",
        "a.own.registry.test",
        "a.other.registry.test",
        "a.unit.big.test",
        "big.test",
        "a.none.test",
        "a.b.c.d.e.f.g.h.i.j.k",
    ],
)
def test_both_walk_to_the_same_record(domain: str) -> None:
    world = {**WALKED, **EXIST, (domain, "A"): ["192.0.2.1"]}
    try:
        theirs = query_dmarc_record(domain, resolver=Resolver(world))["location"]
    except DMARCRecordNotFound:
        theirs = ""
    assert effective(domain, _ours(world)).source == theirs


FOLLOWED: World = {
    ("one.test", "TXT"): ["v=spf1 a:mail.shop.test ip4:192.0.2.1 -all"],
    ("two.test", "TXT"): ["v=spf1 include:one.test mx -all"],
    ("two.test", "MX"): ["10 mail.shop.test."],
    ("loop.test", "TXT"): ["v=spf1 include:shop.test -all"],
    ("void.test", "A"): ["192.0.2.1"],
}


@pytest.mark.parametrize(
    "text",
    [
        "v=spf1 -all",
        "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all",
        "v=spf1 a:mail.shop.test mx -all",
        "v=spf1 include:two.test -all",
        "v=spf1 include:one.test include:two.test ~all",
        "v=spf1 redirect=two.test",
        "v=spf1 " + "a:mail.shop.test " * 10 + "-all",
        "v=spf1 " + "a:mail.shop.test " * 11 + "-all",
        "v=spf1 include:loop.test -all",
        "v=spf1 include:void.test -all",
        "v=spf1 include:nothing.test -all",
        "v=spf1 ip4:300.1.1.1 -all",
        "v=spf1 unknown:x -all",
    ],
)
def test_both_count_the_same_lookups_and_refuse_the_same_records(text: str) -> None:
    budget = spf_budget.evaluate(text.encode(), "shop.test", _ours(FOLLOWED), (4,))
    try:
        read = parse_spf_record(text, "shop.test", resolver=Resolver(FOLLOWED))
    except SPFError:
        assert not budget.fits
        return
    assert budget.fits
    assert read["dns_lookups"] == budget.lookups
