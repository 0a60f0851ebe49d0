# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""When a key was made is read from its selector, or not at all."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dkim.lifecycle import unused
from ansible_collections.postseal.mail.tests.verify.proof.horizon import Expiry, day_of
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
