# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

from datetime import timedelta

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dkim.begin import begin
from ansible_collections.postseal.mail.plugins.module_utils.dkim.lifecycle import LifecycleError, Wishes, next_step
from ansible_collections.postseal.mail.plugins.module_utils.dkim.states import (
    PLANNED,
    PUBLISHED,
    REMOVED,
    RETIRING,
    REVOKED,
    SIGNING,
    Lifecycle,
    StateError,
    from_document,
    to_document,
)
from ansible_collections.postseal.mail.plugins.module_utils.model.keys import DkimPublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import CUTS, DAY, DOMAINS, HOSTS, STALE, START, World

HOUR = timedelta(hours=1)
ONE = frozenset({DOMAINS[0]})
_WISHES = {
    "": Wishes(),
    "rotate": Wishes(rotate=ONE),
    "cancel": Wishes(cancel=ONE),
    "revoke": Wishes(revoke=ONE),
}
_RUNS = st.lists(
    st.tuples(
        st.sampled_from(CUTS),
        st.frozensets(st.sampled_from((0, 1))),
        st.frozensets(st.sampled_from(HOSTS)),
        st.sampled_from((timedelta(minutes=10), HOUR * 2, DAY * 3, DAY * 31)),
        st.sampled_from(sorted(_WISHES)),
    ),
    max_size=14,
)


@settings(max_examples=200, deadline=None)
@given(_RUNS)
def test_no_accident_makes_a_host_sign_with_a_key_that_a_server_does_not_have(runs: list[tuple]) -> None:  # type: ignore[type-arg]
    world = World()
    world.run()
    used: dict[tuple[str, str], str] = {}
    revoked = False
    for cut, lagging, down, later, wish in runs:
        world.now += later
        before = {host: world.signs[host] for host in HOSTS}
        world.run(cut, lagging, down, _WISHES[wish])
        revoked = revoked or wish == "revoke"
        states = {key.name: key.state for key in world.known().keys}
        for host in HOSTS:
            for key in world.signs[host]:
                if not revoked:
                    assert states[key.domain, key.selector] in (SIGNING, RETIRING)
                    assert all((key.domain, key.selector) in server for server in world.servers)
            # Whoever signed for a domain goes on to.
            if not revoked:
                assert {key.domain for key in before[host]} <= {key.domain for key in world.signs[host]}
        for keys in world.files.values():
            for key in keys:
                assert used.setdefault((key.domain, key.selector), key.algorithm) == key.algorithm
    # Left alone, it comes to rest with one key of each kind, on all hosts alike.
    for _ in range(6):
        world.now += DAY * 8
        world.run()
    for domain in DOMAINS:
        for algorithm in ("rsa2048", "ed25519"):
            for signs in world.signs.values():
                assert len([key for key in signs if (key.domain, key.algorithm) == (domain, algorithm)]) == 1
    assert world.signs[HOSTS[0]] == world.signs[HOSTS[1]]
    assert world.states[HOSTS[0]] == world.states[HOSTS[1]]


def test_a_first_key_signs_as_soon_as_all_servers_have_it() -> None:
    world = World()
    world.run(lagging=frozenset({1}))
    assert {key.state for key in world.known().keys} == {PLANNED}
    assert not world.signs[HOSTS[0]]
    world.run()
    assert {key.state for key in world.known().keys} == {SIGNING}
    assert len(world.signs[HOSTS[0]]) == 4


def test_a_rotation_goes_through_all_states_by_the_calendar() -> None:
    world = World()
    world.run()
    first = {key.selector for key in world.signs[HOSTS[0]]}
    world.now += DAY * 30
    world.run()
    assert sorted(key.state for key in world.known().of(DOMAINS[0])) == [PUBLISHED, PUBLISHED, SIGNING, SIGNING]
    assert {key.selector for key in world.signs[HOSTS[0]]} == first
    # Not before what resolvers hold is over, nor before prepublish.
    world.now += timedelta(seconds=STALE - 1)
    world.run()
    assert {key.selector for key in world.signs[HOSTS[0]]} == first
    world.now += timedelta(seconds=1)
    world.run()
    assert not {key.selector for key in world.signs[HOSTS[0]]} & first
    assert {key.state for key in world.known().keys if key.selector in first} == {RETIRING}
    for state in (REVOKED, REMOVED):
        world.now += DAY * 7
        world.run()
        assert {key.state for key in world.known().keys if key.selector in first} == {state}
    assert not {key.selector for keys in world.files.values() for key in keys} & first


def test_a_host_that_is_down_holds_the_retirement_back() -> None:
    world = World()
    world.run()
    world.now += DAY * 30
    world.run()
    world.now += HOUR
    world.run(down=frozenset({HOSTS[1]}))
    assert sorted(key.state for key in world.known().of(DOMAINS[0])) == [SIGNING] * 4
    world.now += DAY * 29
    world.run()
    assert sorted(key.state for key in world.known().of(DOMAINS[0])) == [RETIRING, RETIRING, SIGNING, SIGNING]


def test_a_server_that_loses_a_published_key_makes_the_wait_begin_anew() -> None:
    world = World()
    world.run()
    world.now += DAY * 30
    world.run()
    gone = [key.name for key in world.known().of(DOMAINS[0], PUBLISHED)]
    for name in gone:
        del world.servers[1][name]
    world.now += HOUR * 2
    world.run(lagging=frozenset({1}))
    assert {key.since for key in world.known().of(DOMAINS[0], PUBLISHED)} == {world.now}
    assert {key.state for key in world.known().of(DOMAINS[1])} == {SIGNING, RETIRING}


def test_what_leaked_signs_nowhere_any_more_and_is_replaced_in_the_same_run() -> None:
    world = World()
    world.run()
    old = {key.selector for key in world.signs[HOSTS[0]] if key.domain == DOMAINS[0]}
    world.run(wishes=Wishes(revoke=ONE))
    now = {key.selector for key in world.signs[HOSTS[0]] if key.domain == DOMAINS[0]}
    assert len(now) == 2
    assert not now & old
    assert {key.state for key in world.known().keys if key.selector in old and key.domain == DOMAINS[0]} == {REVOKED}
    assert len([key for key in world.signs[HOSTS[0]] if key.domain == DOMAINS[1]]) == 2


def test_cancelling_drops_what_does_not_sign_yet_and_nothing_else() -> None:
    world = World()
    world.run()
    world.run(wishes=Wishes(rotate=ONE))
    assert len(world.known().of(DOMAINS[0], PUBLISHED)) == 2
    world.run(wishes=Wishes(cancel=ONE))
    assert sorted(key.state for key in world.known().of(DOMAINS[0])) == [REMOVED, REMOVED, SIGNING, SIGNING]


def test_postponing_holds_the_calendar_but_not_the_operator() -> None:
    world = World()
    world.run(wishes=Wishes(postpone={DOMAINS[0]: START + DAY * 60}))
    world.now += DAY * 31
    world.run()
    assert len(world.known().of(DOMAINS[0])) == 2
    assert len(world.known().of(DOMAINS[1])) == 4
    world.run(wishes=Wishes(rotate=ONE))
    assert len(world.known().of(DOMAINS[0])) == 4


def test_a_selector_is_not_used_twice_on_one_day() -> None:
    world = World()
    world.run()
    world.run(wishes=Wishes(rotate=ONE))
    world.run(wishes=Wishes(cancel=ONE))
    world.run(wishes=Wishes(rotate=ONE))
    selectors = [key.selector for key in world.known().of(DOMAINS[0])]
    assert "production-20260101-2-rsa2048" in selectors
    assert "production-20260101-3-rsa2048" in selectors
    assert len(selectors) == len(set(selectors)) == 6


def test_a_key_that_signs_and_is_nowhere_stops_the_run_until_it_is_given_up() -> None:
    world = World()
    world.run()
    world.files = {name: {key for key in keys if key.domain != DOMAINS[0]} for name, keys in world.files.items()}
    with pytest.raises(LifecycleError, match=r"no mail host holds it any more.*lost=true"):
        begin(world.model, world.held(), world.now)
    world.run(wishes=Wishes(lost=ONE))
    assert len([key for key in world.signs[HOSTS[0]] if key.domain == DOMAINS[0]]) == 2


def test_a_key_that_nobody_wrote_down_has_to_be_published_before_it_signs() -> None:
    world = World()
    world.run()
    stray = DkimPublicKey(DOMAINS[0], "stray", "rsa2048", "stray")
    world.files[HOSTS[1]].add(stray)
    turn = begin(world.model, world.held(), world.now)
    found = turn.known.find(*DOMAINS[:1], "stray")
    assert found is not None
    assert found.state == PLANNED


def test_nothing_new_begins_while_a_host_is_not_asked() -> None:
    world = World()
    world.run()
    world.now += DAY * 30
    turn = begin(world.model, world.held(HOSTS[:1]), world.now)
    assert turn.create == ()
    assert f"no new rsa2048 key while {HOSTS[1]} is not asked" in turn.notes[0]


def test_the_file_says_what_it_was_written_from() -> None:
    world = World()
    world.run(wishes=Wishes(postpone={DOMAINS[0]: START + DAY}))
    document = to_document(world.known(), "production")
    assert from_document(document, "production") == world.known()
    assert from_document(None, "production") == Lifecycle()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 2}, "version 2"),
        ({"environment": "staging"}, "environment 'staging'"),
        ({"keys": [{"domain": "example.com"}]}, "KeyError"),
        ({"keys": "none"}, "TypeError"),
        ({"postponed": {"example.com": "soon"}}, "ValueError"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(change: dict[str, object], reason: str) -> None:
    world = World()
    world.run()
    with pytest.raises(StateError, match=reason):
        from_document({**to_document(world.known(), "production"), **change}, "production")


def test_the_next_step_of_each_state_is_told() -> None:
    world = World()
    world.run()
    domain = world.model.domains[0]
    key = world.known().of(DOMAINS[0])[0]
    assert next_step(key, domain) == ("a new key", START + DAY * 30)
    assert next_step(key, None)[1] is None
