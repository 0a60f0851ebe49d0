# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.keyplan import (
    KeyPlanError,
    NewKey,
    complete,
    from_dict,
    plan,
    relevant,
    to_dict,
)
from ansible_collections.postseal.mail.plugins.module_utils.model.keys import DkimPublicKey, HostKeys, TlsPublicKey
from ansible_collections.postseal.mail.plugins.module_utils.model.load import HostVariables, Inventory, load
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Model
from hypothesis import given
from hypothesis import strategies as st

from .conftest import SMALLEST

TODAY = date(2026, 11, 21)
NAMES = ("mail-a.example.com", "mail-b.example.com", "mail-c.example.com")
RSA = DkimPublicKey("example.com", "production-20260101-rsa2048", "rsa2048", "RSA")
ED = DkimPublicKey("example.com", "production-20260101-ed25519", "ed25519", "ED")


@pytest.fixture
def model() -> Model:
    return _model()


def _model() -> Model:
    hosts = {name: HostVariables(f"192.0.2.{number}") for number, name in enumerate(NAMES, 1)}
    return load(Inventory("production", SMALLEST, hosts), TODAY)


def _held(name: str, *keys: DkimPublicKey, tls: bool = True) -> HostKeys:
    return HostKeys(name, tuple(keys), (TlsPublicKey(name, "00"),) if tls else ())


def test_the_first_host_makes_what_nobody_has(model: Model) -> None:
    held = [_held(name, tls=False) for name in NAMES]
    first, second = (plan(model, held, host, TODAY) for host in model.hosts[:2])
    assert first.create == (
        NewKey("example.com", "production-20261121-rsa2048", "rsa2048"),
        NewKey("example.com", "production-20261121-ed25519", "ed25519"),
    )
    assert second.create == ()
    assert first.tls
    assert second.tls


def test_nothing_is_made_while_a_host_was_not_asked(model: Model) -> None:
    with pytest.raises(KeyPlanError, match=r"mail-c\.example\.com was not asked"):
        plan(model, [_held(NAMES[0], RSA), _held(NAMES[1], RSA)], model.hosts[0], TODAY)


def test_a_host_that_was_not_asked_does_not_matter_when_no_key_is_missing(model: Model) -> None:
    assert plan(model, [_held(NAMES[0], RSA, ED)], model.hosts[0], TODAY).create == ()


def test_a_new_first_host_receives_and_makes_nothing(model: Model) -> None:
    held = [_held(NAMES[0]), _held(NAMES[1], RSA, ED), _held(NAMES[2], RSA, ED)]
    first, second, third = (plan(model, held, host, TODAY) for host in model.hosts)
    assert first.create == ()
    assert set(first.receive) == {RSA, ED}
    assert set(second.export) == {RSA, ED}
    assert third.export == ()


def test_a_host_is_complete_with_a_key_of_each_kind(model: Model) -> None:
    assert complete(model, _held(NAMES[0], RSA, ED))
    assert not complete(model, _held(NAMES[0], RSA))
    assert not complete(model, _held(NAMES[0], RSA, ED, tls=False))


def test_a_parked_domain_does_not_keep_a_host_from_being_complete() -> None:
    parked = {**SMALLEST, "postseal_domains": [*SMALLEST["postseal_domains"], {"name": "example.org", "parked": True}]}
    model = load(Inventory("production", parked, {NAMES[0]: HostVariables("192.0.2.1")}), TODAY)
    assert complete(model, _held(NAMES[0], RSA, ED))


def test_keys_of_other_domains_and_algorithms_are_left_alone(model: Model) -> None:
    foreign = DkimPublicKey("example.net", "s", "rsa2048", "X")
    unwanted = DkimPublicKey("example.com", "s", "rsa4096", "X")
    assert relevant(model, _held(NAMES[0], RSA, foreign, unwanted)).dkim == (RSA,)


def test_the_fact_survives_the_way_through_ansible() -> None:
    keys = _held(NAMES[0], RSA, ED)
    raw: dict[str, Any] = to_dict(keys)
    assert from_dict({**raw, "misplaced": []}) == keys


@given(st.lists(st.sets(st.sampled_from([RSA, ED])), min_size=3, max_size=3))
def test_after_the_plan_every_host_holds_the_same_keys(holdings: list[set[DkimPublicKey]]) -> None:
    model = _model()
    held = [_held(name, *sorted(keys, key=str)) for name, keys in zip(NAMES, holdings, strict=True)]
    made = {
        DkimPublicKey(key.domain, key.selector, key.algorithm, "NEW")
        for host in model.hosts
        for key in plan(model, held, host, TODAY).create
    }
    held[0] = _held(NAMES[0], *held[0].dkim, *sorted(made, key=str))
    plans = [plan(model, held, host, TODAY) for host in model.hosts]
    offered = {key for one in plans for key in one.export}
    for keys, one in zip(held, plans, strict=True):
        assert set(one.receive) <= offered
        assert {key.algorithm for key in (*keys.dkim, *one.receive)} == {"rsa2048", "ed25519"}
        assert not set(one.receive) & set(keys.dkim)
