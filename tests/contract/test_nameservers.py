# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What providers ask of DNS itself, here of a real server that takes the resolver's place."""

from __future__ import annotations

from collections.abc import Sequence

import dns.resolver
import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns import authority
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import TransportError
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers import nameservers
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.base import Server
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.nameservers import NameServers, public
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import RRset
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Snapshot

from .knot import HOST, PLAIN, SIGNED, Pair

ZONE = PLAIN[-1]


@pytest.fixture
def asked(knots: Pair, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """Resolvers answer on the server's port; returns whose addresses were asked for."""
    seen: list[Sequence[str]] = []

    def resolver(addresses: Sequence[str]) -> dns.resolver.Resolver:
        seen.append(addresses)
        made = authority.resolver(addresses)
        made.port = knots.primary.port
        return made

    monkeypatch.setattr(nameservers, "resolver", resolver)
    return seen


def test_what_a_listing_leaves_out_is_asked_of_dns(asked: list[Sequence[str]]) -> None:
    soa = public("p", ZONE, "SOA", [HOST])
    assert soa is not None
    assert (soa.key, str(soa.values[0]).split()[0]) == ((ZONE, "SOA"), f"ns1.{ZONE}.")
    assert public("p", ZONE, "DNSKEY", [HOST]) is None
    assert public("p", SIGNED[-1], "DNSKEY", [HOST]) is not None
    assert public("p", f"nowhere.{ZONE}", "SOA", [HOST]) is None
    with pytest.raises(TransportError, match=r"DNS provider p, zone elsewhere\.example: no resolver answers"):
        public("p", "elsewhere.example", "SOA", [HOST])
    assert set(map(tuple, asked)) == {(HOST,)}


def test_name_servers_are_found_by_glue_then_by_resolvers_each_once(asked: list[Sequence[str]]) -> None:
    names = [f"ns1.{ZONE}.", f"NS2.{ZONE}.", f"nobody.{ZONE}."]
    rrsets = [
        RRset.of("shop.test", "NS", 300, names),
        RRset.of(f"ns2.{ZONE}", "A", 300, ["192.0.2.2"]),
        RRset.of(f"ns2.{ZONE}", "AAAA", 300, ["2001:db8::2"]),
    ]
    snapshot = Snapshot("shop.test", 1, {rrset.key: rrset for rrset in rrsets}, signed=False)
    locate = NameServers([HOST])
    for _ in range(2):
        assert sorted(locate(snapshot), key=str) == sorted(
            [
                Server(f"ns1.{ZONE}", HOST),
                Server(f"ns2.{ZONE}", "192.0.2.2"),
                Server(f"ns2.{ZONE}", "2001:db8::2"),
                Server(f"nobody.{ZONE}", ""),
            ],
            key=str,
        )
    assert len(asked) == 2
