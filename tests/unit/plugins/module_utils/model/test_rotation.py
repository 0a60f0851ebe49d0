# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What each order does to a credential, and which orders make no sense."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.rotation import RotationError, find, steps

from .conftest import TODAY

SHOP: dict[str, Any] = {"name": "shop", "domain": "example.com", "secret_hash": "H"}
OVERLAPPING = {**SHOP, "previous_hash": "P", "previous_until": "2026-11-22"}
OVER = {**SHOP, "previous_hash": "P", "previous_until": "2026-11-21"}


def test_a_name_or_a_login_finds_the_credential_and_an_ambiguous_name_does_not() -> None:
    listed = [SHOP, {"name": "Shop", "domain": "Example.org."}, {"name": "blog", "domain": "example.org"}]
    assert find(listed, "BLOG") == 2
    assert find(listed, "shop@example.org") == 1
    assert find(listed, "cron") is None
    with pytest.raises(RotationError, match=r"shop@example\.com, shop@example\.org"):
        find(listed, "shop")


def test_a_rotation_keeps_the_old_password_for_a_while() -> None:
    found = steps("rotate", SHOP, TODAY, 7)
    assert found.put == {"secret_hash": "", "previous_until": "2026-11-29"}
    assert found.rename == {"secret_hash": "previous_hash"}
    assert found.remove == ()


def test_a_rotation_that_is_over_makes_room_for_the_next() -> None:
    assert steps("rotate", OVER, TODAY, 7).remove == ("previous_hash",)


def test_a_rotation_without_overlap_ends_every_old_password() -> None:
    found = steps("rotate", OVERLAPPING, TODAY, 0)
    assert (found.put, found.rename) == ({"secret_hash": ""}, {})
    assert found.remove == ("previous_hash", "previous_until")


def test_shutting_out_and_back() -> None:
    assert steps("revoke", SHOP, TODAY, 7).put == {"revoked": "2026-11-22"}
    assert steps("revoke", {**SHOP, "revoked": "2026-11-01"}, TODAY, 7).nothing
    assert steps("suspend", SHOP, TODAY, 7).put == {"suspended": True}
    assert steps("suspend", {**SHOP, "suspended": True}, TODAY, 7).nothing
    assert steps("resume", {**SHOP, "suspended": True}, TODAY, 7).remove == ("suspended",)
    assert steps("resume", SHOP, TODAY, 7).nothing
    assert steps("revoke previous", OVERLAPPING, TODAY, 7).remove == ("previous_hash", "previous_until")


def test_a_revoked_credential_is_issued_anew_without_its_past() -> None:
    found = steps("issue", {**OVERLAPPING, "revoked": "2026-11-01"}, TODAY, 7)
    assert found.put == {"secret_hash": ""}
    assert found.remove == ("previous_hash", "previous_until", "revoked")


@pytest.mark.parametrize(
    ("what", "entry", "says"),
    [
        ("issue", SHOP, "rotate=true"),
        ("rotate", None, "no such credential to rotate"),
        ("revoke", None, "no such credential to revoke"),
        ("rotate", {**SHOP, "secret_hash": None}, "no password yet"),
        ("rotate", OVERLAPPING, "valid until 2026-11-22 still"),
        ("rotate", {**SHOP, "revoked": True}, "revoked"),
        ("rotate", {"name": "shop", "domain": "example.com", "secret": "x"}, "in your vault"),
        ("issue", {"name": "shop", "domain": "example.com", "secret": "x"}, "in your vault"),
    ],
)
def test_what_makes_no_sense_is_refused(what: str, entry: dict[str, Any] | None, says: str) -> None:
    with pytest.raises(RotationError, match=says):
        steps(what, entry, TODAY, 7)
