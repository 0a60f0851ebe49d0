# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.authority import (
    ServerReport,
    WaitPolicy,
    Watch,
    addresses_of,
    ask,
    behind,
    difference,
    resolver,
)
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.base import Server
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import RRset

from .impostor import impostor
from .knot import HOST, PLAIN, Pair, free_port

ZONE = "shop.test"
KEY = (ZONE, "SOA")


def test_an_empty_answer_with_authority_is_an_answer() -> None:
    with impostor(ZONE, lambda answer: None) as port:
        assert ask(Server("ns", HOST, port), KEY) is None


def test_an_answer_without_authority_does_not_count() -> None:
    def spoil(answer: dns.message.Message) -> None:
        answer.flags &= ~dns.flags.AA

    with impostor(ZONE, spoil) as port, pytest.raises(ValueError, match="without authority"):
        ask(Server("ns", HOST, port), KEY)


def test_a_refusal_does_not_count() -> None:
    with (
        impostor(ZONE, lambda answer: answer.set_rcode(dns.rcode.REFUSED)) as port,
        pytest.raises(ValueError, match="it answers REFUSED"),
    ):
        ask(Server("ns", HOST, port), KEY)


def test_what_is_missing_and_what_should_be_gone_is_told(knots: Pair) -> None:
    server, zone = Server("ns1", HOST, knots.primary.port), PLAIN[-1]
    name = f"ns1.{zone}"
    here = RRset.of(name, "A", 300, [HOST])
    assert difference(server, {here.key: here}) == ""
    assert difference(server, {here.key: None}) == f"{name} A still has values that are gone"
    more = RRset.of(name, "A", 300, [HOST, "192.0.2.1"])
    assert difference(server, {here.key: more}) == f"{name} A lacks 192.0.2.1"
    assert difference(server, {("nothing." + zone, "TXT"): None}) == ""


def test_a_dead_server_lags_and_one_without_address_too() -> None:
    watch = Watch(ZONE, {KEY: None}, WaitPolicy(0.1, first=0.05), lambda line: None)
    dead, nameless = watch.all([Server("ns1", HOST, free_port()), Server("ns2", "")])
    assert (dead.state, nameless.state) == ("lagging", "lagging")
    assert "no answer" in dead.detail
    assert "ns2 (no address): lagging, no address of it could be found" in str(nameless)


def test_a_server_that_this_machine_cannot_reach_counts_only_if_none_of_its_addresses_answers() -> None:
    good, far = (
        ServerReport(Server("ns1", address), state) for address, state in (("a", "current"), ("b", "unreachable"))
    )
    assert behind([good, far]) == []
    assert behind([far]) == [far]
    late = ServerReport(Server("ns1", "c"), "lagging")
    assert behind([good, late]) == [late]


def test_addresses_come_from_the_resolvers_of_the_inventory(knots: Pair) -> None:
    asked = resolver([HOST])
    asked.port = knots.primary.port
    assert addresses_of(f"ns1.{PLAIN[-1]}", asked) == [HOST]
    assert addresses_of(f"nobody.{PLAIN[-1]}", asked) == []
