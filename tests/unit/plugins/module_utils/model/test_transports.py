# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""From routes to transports: every way leads through its relays in order, whatever they have in common."""

from __future__ import annotations

from ansible_collections.postseal.mail.plugins.module_utils.model.relays import DIRECT, Relay, Route
from ansible_collections.postseal.mail.plugins.module_utils.model.transports import Transport, build
from hypothesis import given
from hypothesis import strategies as st

RELAYS = tuple(
    Relay(name, host, port, mode)
    for name, host, port, mode in (
        ("a", "one.example", 587, "starttls"),
        ("b", "two.example", 587, "starttls"),
        ("c", "one.example", 587, "starttls"),
        ("d", "one.example", 465, "implicit_tls"),
        ("e", "two.example", 465, "implicit_tls"),
    )
)
WAYS = st.lists(st.sampled_from([*"abcde", DIRECT]), min_size=1, unique=True).map(tuple)


def _walk(transport: Transport) -> tuple[str, ...]:
    rest = _walk(transport.handover.onward) if transport.handover else ()
    return (*transport.relay_names, *rest) if transport.relays else (DIRECT, *rest)


@given(st.lists(WAYS, min_size=1, max_size=4, unique=True))
def test_transports_lead_through_the_relays_of_each_way_in_order(ways: list[tuple[str, ...]]) -> None:
    made = build(RELAYS, [Route(way) for way in ways])
    for way in ways:
        assert _walk(made.of(Route(way))) == way
    names = [transport.name for transport in made.all]
    assert len(set(names)) == len(names)
    ports = [handover.port for handover in made.handovers]
    assert len(set(ports)) == len(ports)
    for transport in made.all:
        assert len({relay.mode for relay in transport.relays}) <= 1
        assert len({relay.nexthop for relay in transport.relays}) == len(transport.relays)
        assert len(transport.name) <= 40
        if transport.handover:
            assert transport.handover.wrapped == transport.wrapped


def test_relays_of_one_kind_share_a_transport() -> None:
    made = build(RELAYS, [Route(("a", "b", DIRECT))])
    first = made.of(Route(("a", "b", DIRECT)))
    assert first.target == "via_a_b_direct:[one.example]:587,[two.example]:587"
    assert first.handover is not None
    assert first.handover.onward.target == "smtp:"


def test_a_way_is_named_by_its_beginning() -> None:
    made = build(RELAYS, [Route(("a", "b", DIRECT)), Route(("a", "d")), Route(("b",))])
    found = {name: made.named(name.split()) for name in ("a", "a b", "b", "d", "direct", "b a", "nobody")}
    assert {name: transport.way if transport else None for name, transport in found.items()} == {
        "a": ("a", "d"),
        "a b": ("a", "b", DIRECT),
        "b": ("b",),
        "d": ("d",),
        "direct": (DIRECT,),
        "b a": None,
        "nobody": None,
    }
    assert build((), ()).named([DIRECT]) == Transport((DIRECT,), (), None)
    assert made.named([]) is None
