# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dkim.lifecycle import LifecycleError, Wishes
from ansible_collections.postseal.mail.plugins.module_utils.dkim.states import REMOVED, SIGNING, KeyState, Lifecycle
from ansible_collections.postseal.mail.plugins.module_utils.model.keyplan import (
    complete,
    from_dict,
    plan,
    relevant,
    to_dict,
)
from ansible_collections.postseal.mail.plugins.module_utils.model.keys import (
    DkimPublicKey,
    HostKeys,
    NewKey,
    TlsPublicKey,
)
from ansible_collections.postseal.mail.plugins.module_utils.model.load import HostVariables, Inventory, load
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Model
from hypothesis import given
from hypothesis import strategies as st

from .conftest import SMALLEST

NOW = datetime(2026, 11, 21, tzinfo=UTC)
NAMES = ("mail-a.example.com", "mail-b.example.com", "mail-c.example.com")
RSA = DkimPublicKey("example.com", "production-20260101-rsa2048", "rsa2048", "RSA")
ED = DkimPublicKey("example.com", "production-20260101-ed25519", "ed25519", "ED")


@pytest.fixture
def model() -> Model:
    return _model()


def _model() -> Model:
    hosts = {name: HostVariables(f"192.0.2.{number}") for number, name in enumerate(NAMES, 1)}
    return load(Inventory("production", SMALLEST, hosts), NOW.date())


SIGNED = Lifecycle(tuple(KeyState(key.domain, key.selector, key.algorithm, SIGNING, NOW) for key in (ED, RSA)))


def _held(name: str, *keys: DkimPublicKey, tls: bool = True, known: Lifecycle = SIGNED) -> HostKeys:
    return HostKeys(name, tuple(keys), (TlsPublicKey(name, "00"),) if tls else (), known)


def test_the_first_host_makes_what_nobody_has(model: Model) -> None:
    held = [_held(name, tls=False, known=Lifecycle()) for name in NAMES]
    first, second = (plan(model, held, host, NOW) for host in model.hosts[:2])
    assert first.create == (
        NewKey("example.com", "production-20261121-rsa2048", "rsa2048"),
        NewKey("example.com", "production-20261121-ed25519", "ed25519"),
    )
    assert second.create == ()
    assert first.tls
    assert second.tls


def test_nothing_is_made_while_a_host_was_not_asked(model: Model) -> None:
    with pytest.raises(LifecycleError, match=r"mail-c\.example\.com was not asked"):
        plan(model, [_held(name, RSA, known=Lifecycle()) for name in NAMES[:2]], model.hosts[0], NOW)


def test_a_host_that_was_not_asked_does_not_matter_when_no_key_is_missing(model: Model) -> None:
    assert plan(model, [_held(NAMES[0], RSA, ED)], model.hosts[0], NOW).create == ()


def test_a_new_first_host_receives_and_makes_nothing(model: Model) -> None:
    held = [_held(NAMES[0]), _held(NAMES[1], RSA, ED), _held(NAMES[2], RSA, ED)]
    first, second, third = (plan(model, held, host, NOW) for host in model.hosts)
    assert first.create == ()
    assert set(first.receive) == {RSA, ED}
    assert set(second.export) == {RSA, ED}
    assert third.export == ()


def test_a_host_is_complete_with_a_key_of_each_kind(model: Model) -> None:
    assert complete(model, _held(NAMES[0], RSA, ED), NOW)
    assert not complete(model, _held(NAMES[0], RSA), NOW)
    assert not complete(model, _held(NAMES[0], RSA, ED, tls=False), NOW)


def test_a_parked_domain_does_not_keep_a_host_from_being_complete() -> None:
    parked = {**SMALLEST, "postseal_domains": [*SMALLEST["postseal_domains"], {"name": "example.org", "parked": True}]}
    model = load(Inventory("production", parked, {NAMES[0]: HostVariables("192.0.2.1")}), NOW)
    assert complete(model, _held(NAMES[0], RSA, ED), NOW)


def test_keys_of_other_domains_and_algorithms_are_left_alone(model: Model) -> None:
    foreign = DkimPublicKey("example.net", "s", "rsa2048", "X")
    unwanted = DkimPublicKey("example.com", "s", "rsa4096", "X")
    assert relevant(model, _held(NAMES[0], RSA, foreign, unwanted)).dkim == (RSA,)


def test_the_fact_survives_the_way_through_ansible() -> None:
    keys = _held(NAMES[0], RSA, ED)
    raw: dict[str, Any] = to_dict(keys, "production")
    assert from_dict({**raw, "misplaced": []}) == keys


def test_a_host_that_kept_no_states_yet_has_its_keys_written_down_as_signing(model: Model) -> None:
    held = [_held(name, RSA, ED, known=Lifecycle()) for name in NAMES]
    assert not complete(model, held[0], NOW)
    assert plan(model, held, model.hosts[0], NOW).known == SIGNED


def test_a_key_that_is_over_is_deleted_everywhere_and_given_to_nobody(model: Model) -> None:
    old = DkimPublicKey("example.com", "production-20250101-rsa2048", "rsa2048", "OLD")
    over = SIGNED.put(KeyState(old.domain, old.selector, old.algorithm, REMOVED, NOW))
    held = [_held(NAMES[0], RSA, ED, old, known=over), *(_held(name, RSA, ED, known=over) for name in NAMES[1:])]
    assert not complete(model, held[0], NOW)
    plans = [plan(model, held, host, NOW) for host in model.hosts]
    assert [one.remove for one in plans] == [(old,), (), ()]
    assert not any(one.export or one.receive for one in plans)


def test_a_rotation_is_begun_when_it_is_due_or_asked_for(model: Model) -> None:
    held = [_held(name, RSA, ED) for name in NAMES]
    assert plan(model, held, model.hosts[0], NOW + timedelta(days=179)).create == ()
    assert len(plan(model, held, model.hosts[0], NOW + timedelta(days=180)).create) == 2
    asked = plan(model, held, model.hosts[0], NOW, Wishes(rotate=frozenset({"example.com"})))
    assert {key.selector for key in asked.create} == {"production-20261121-rsa2048", "production-20261121-ed25519"}


@given(st.lists(st.sets(st.sampled_from([RSA, ED])), min_size=3, max_size=3))
def test_after_the_plan_every_host_holds_the_same_keys(holdings: list[set[DkimPublicKey]]) -> None:
    model = _model()
    held = [_held(name, *sorted(keys, key=str), known=Lifecycle()) for name, keys in zip(NAMES, holdings, strict=True)]
    made = {
        DkimPublicKey(key.domain, key.selector, key.algorithm, "NEW")
        for host in model.hosts
        for key in plan(model, held, host, NOW).create
    }
    known = plan(model, held, model.hosts[0], NOW).known
    assert known is not None
    held = [_held(keys.host, *keys.dkim, known=known) for keys in held]
    held[0] = _held(NAMES[0], *held[0].dkim, *sorted(made, key=str), known=known)
    plans = [plan(model, held, host, NOW) for host in model.hosts]
    offered = {key for one in plans for key in one.export}
    for keys, one in zip(held, plans, strict=True):
        assert set(one.receive) <= offered
        assert {key.algorithm for key in (*keys.dkim, *one.receive)} == {"rsa2048", "ed25519"}
        assert not set(one.receive) & set(keys.dkim)
