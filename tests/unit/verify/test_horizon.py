# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""When a key was made is read from its selector, or not at all."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dkim.lifecycle import unused
from ansible_collections.postseal.mail.plugins.module_utils.dkim.states import RETIRING, SIGNING, KeyState
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Dkim, Domain
from ansible_collections.postseal.mail.tests.verify.proof.horizon import Expiry, change_of, day_of
from hypothesis import given
from hypothesis import strategies as st


@given(st.dates(min_value=date(2000, 1, 1)), st.sampled_from(["production", "lab", "eu-2", "x-20200101"]))
def test_the_day_is_read_back_from_the_selector_that_the_keys_step_gives(day: date, environment: str) -> None:
    made = day_of(unused(environment, day, "ed25519", ()))
    assert made is not None
    assert made.date() == day


@pytest.mark.parametrize("name", ["default", "s1", "production-20261341-rsa2048", "2026"])
def test_other_selectors_tell_no_day(name: str) -> None:
    assert day_of(name) is None


def test_days_are_negative_after_the_end() -> None:
    end = Expiry("certificate", "x", datetime(2026, 1, 2, tzinfo=UTC), "")
    assert end.days(datetime(2026, 1, 3, 12, tzinfo=UTC)) == -1.5


SINCE = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize("days", [30, 365])
def test_a_key_is_due_when_the_inventory_says(days: int) -> None:
    domain = Domain("shop.example", dkim=Dkim(rotate_every=days * 86400))
    for key in (KeyState("shop.example", "s1-20200101-rsa2048", "rsa2048", SIGNING, SINCE), None):
        found = change_of(key, domain, "s1-20260102-rsa2048")
        assert found is not None
        assert (found.at, found.then) == (SINCE + timedelta(days=days), "is due for a change")


def test_a_key_that_retires_goes_and_one_without_a_day_is_not_told() -> None:
    domain = Domain("shop.example", dkim=Dkim(grace=14 * 86400))
    found = change_of(KeyState("shop.example", "s1", "rsa2048", RETIRING, SINCE), domain, "s1")
    assert found is not None
    assert (found.at, found.then) == (SINCE + timedelta(days=14), "can be revoked")
    assert change_of(None, domain, "s1") is None
    never = Domain("shop.example", dkim=Dkim(rotate_every=0))
    assert change_of(KeyState("shop.example", "s1", "rsa2048", SIGNING, SINCE), never, "s1") is None
