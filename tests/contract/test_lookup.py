# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Names resolved for SPF and the rules, asked of a real server."""

from __future__ import annotations

import time
from collections.abc import Iterator

import dns.message
import dns.rcode
import pytest
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.lookup import Lookup
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.spf_budget import Unresolvable, evaluate

from .impostor import impostor
from .knot import HOST, Pair, free_port


@pytest.fixture
def zone(knots: Pair, plain_zones: Iterator[str]) -> str:
    """A zone with an SPF record in two strings that includes another, an alias, and an MX."""
    name = next(plain_zones)
    edit = knots.edit(name)
    edit.add(f"a.{name}.", 60, "TXT", f'"v=spf1 include:b.{name} " "mx:{name} exists:gone.{name} -all"')
    edit.add(f"b.{name}.", 60, "TXT", f'"v=spf1 a:alias.{name} include:a.{name} -all"')
    edit.add(f"alias.{name}.", 60, "CNAME", f"ns1.{name}.")
    edit.add(f"{name}.", 60, "MX", f"10 NS1.{name}.")
    knots.send(edit)
    return name


def test_answers_are_canonical_and_aliases_are_followed(knots: Pair, zone: str) -> None:
    lookup = Lookup([HOST], port=knots.primary.port)
    assert lookup(f"a.{zone}", "TXT") == (f"v=spf1 include:b.{zone} mx:{zone} exists:gone.{zone} -all".encode(),)
    assert lookup(zone, "MX") == (f"10 ns1.{zone}.",)
    assert lookup(f"alias.{zone}", "A") == (HOST,)
    assert lookup(f"alias.{zone}", "CNAME") == (f"ns1.{zone}.",)


@pytest.mark.parametrize("name", ["gone.{}", "ns1.{}", "a..{}", "x" * 64 + ".{}"])
def test_nothing_is_an_answer(knots: Pair, zone: str, name: str) -> None:
    assert Lookup([HOST], port=knots.primary.port)(name.format(zone), "TXT") == ()


def test_a_record_is_followed_through_the_dns(knots: Pair, zone: str) -> None:
    budget = evaluate(f"v=spf1 include:a.{zone} -all".encode(), zone, Lookup([HOST], port=knots.primary.port))
    assert budget.lookups == 6
    assert set(budget.empty) == {f"alias.{zone} AAAA", f"ns1.{zone} AAAA", f"gone.{zone} A"}
    assert budget.voids == 3, "for a client with IPv6"
    assert budget.broken == (f"b.{zone}: include:a.{zone} leads back to a.{zone}, so evaluation never ends",)


def test_a_refusal_is_no_answer_and_remembered(knots: Pair) -> None:
    lookup = Lookup([HOST], port=knots.primary.port)
    with pytest.raises(Unresolvable, match=r"not-served\.example TXT: .*REFUSED") as first:
        lookup("not-served.example", "TXT")
    with pytest.raises(Unresolvable) as second:
        lookup("not-served.example", "TXT")
    assert second.value is first.value


def test_a_server_failure_is_no_answer() -> None:
    with (
        impostor("shop.test", lambda answer: answer.set_rcode(dns.rcode.SERVFAIL)) as port,
        pytest.raises(Unresolvable, match=r"shop\.test SOA: .*SERVFAIL"),
    ):
        Lookup([HOST], port=port)("shop.test", "SOA")


def test_silence_is_no_answer() -> None:
    with pytest.raises(Unresolvable, match=r"shop\.test A: "):
        Lookup([HOST], port=free_port(), lifetime=0.5)("shop.test", "A")


def test_where_nobody_answers_few_questions_are_asked() -> None:
    lookup = Lookup([HOST], port=free_port(), lifetime=0.3)
    started = time.monotonic()
    for number in range(40):
        with pytest.raises(Unresolvable, match=f"n{number}.test A: "):
            lookup(f"n{number}.test", "A")
    assert time.monotonic() - started < 3


def test_a_question_is_asked_once() -> None:
    asked: list[str] = []

    def count(answer: dns.message.Message) -> None:
        asked.append(answer.question[0].to_text())

    with impostor("shop.test", count) as port:
        lookup = Lookup([HOST], port=port)
        assert lookup("shop.test", "SOA") == lookup("shop.test", "SOA") == ()
    assert len(asked) == 1
