# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an order does to the text of a variables file, and which orders are refused before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.postseal.mail.plugins.action.credential import NOT_YET, Edit, Order, _order
from ansible_collections.postseal.mail.plugins.module_utils.model.load import HostVariables, Inventory
from ansible_collections.postseal.mail.plugins.module_utils.model.passwords import ssha512
from ansible_collections.postseal.mail.plugins.module_utils.model.rotation import RotationError
from ansible_collections.postseal.mail.plugins.module_utils.model.secret import Secret
from ansible_collections.postseal.mail.plugins.plugin_utils.credential_text import EditError
from ansible_collections.postseal.mail.plugins.plugin_utils.variables_file import FileError

ROOT = Path(__file__).resolve().parents[4]
MAIL = (ROOT / "inventories/production/group_vars/all/mail.yml").read_text()
HASH = ssha512(Secret("x")).reveal()
TODAY = datetime.now(tz=UTC).date()


def _edit(text: str, name: str, state: str = "issue", **said: Any) -> str:
    variables = yaml.safe_load(text.replace("{{ vault_tsig }}", "c2VjcmV0").replace('"{{ name }}"', "shop"))
    inventory = Inventory("production", variables, {"mail-a.example.com": HostVariables("203.0.113.10")})
    order = _order({"name": name, "state": state, "domain": None, "overlap": "7d", "hash": HASH, **said})
    return Edit(order, said.get("inventory", inventory), said.get("hash", HASH))(text)


def _shop(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text)["postseal_credentials"][0]
    return found


def test_every_order_changes_its_keys_and_no_comment() -> None:
    old = _shop(MAIL)["secret_hash"]
    rotated = _edit(MAIL, "shop", "rotate", overlap="3d")
    assert _shop(rotated)["secret_hash"] == HASH
    assert _shop(rotated)["previous_hash"] == old
    assert _shop(rotated)["previous_until"] == TODAY + timedelta(days=3)
    ended = _edit(rotated, "shop", "revoke_previous")
    assert ended == MAIL.replace(old, HASH)
    suspended = _edit(ended, "shop", "suspend")
    assert _shop(suspended)["suspended"] is True
    assert _edit(suspended, "shop", "resume") == ended
    revoked = _edit(ended, "shop@example.com", "revoke")
    assert _shop(revoked)["revoked"] == TODAY
    assert _edit(revoked, "shop") == ended
    for text in (rotated, suspended, revoked):
        assert [line for line in MAIL.splitlines() if "#" in line and line not in text.splitlines()] == []


@pytest.mark.parametrize("state", ["revoke", "suspend", "resume", "revoke_previous"])
def test_what_is_so_already_stays_as_it_is(state: str) -> None:
    once = _edit(MAIL, "shop", state)
    assert _edit(once, "shop", state) == once


def test_a_check_run_goes_through_the_same_checks() -> None:
    assert NOT_YET in _edit(MAIL, "blog", domain="example.com", hash=NOT_YET)
    with pytest.raises(AnsibleActionFail, match="is not one of postseal_domains"):
        _edit(MAIL, "blog", domain="example.net", hash=NOT_YET)


def test_the_only_domain_that_sends_need_not_be_said() -> None:
    staging = (ROOT / "inventories/staging/group_vars/all/mail.yml").read_text()
    assert yaml.safe_load(_edit(staging, "blog"))["postseal_credentials"][1]["domain"] == "staging.example.com"


def _templated(text: str) -> str:
    return text.replace("postseal_credentials:", "apps:") + 'postseal_credentials: "{{ apps }}"\n'


@pytest.mark.parametrize(
    ("change", "said", "kind", "says"),
    [
        (str, {"name": "blog"}, RotationError, "say which domain"),
        (str, {"name": "blog", "state": "rotate"}, RotationError, "no such credential"),
        (str, {"name": "blog", "state": "revoke"}, RotationError, "no such credential"),
        (str, {"name": "shop"}, RotationError, "has a password already"),
        (str, {"name": "shop", "domain": "example.org", "state": "rotate"}, RotationError, "no such credential"),
        (str, {"name": "shop", "state": "rotate", "overlap": "36h"}, AnsibleActionFail, "whole days"),
        (str, {"name": "shop", "state": "rotate", "overlap": "100d"}, AnsibleActionFail, "at most 90d"),
        (str, {"name": "a b"}, AnsibleActionFail, "at most 40 letters"),
        (str, {"name": "blog", "domain": "x"}, AnsibleActionFail, "full domain name"),
        (_templated, {"name": "shop", "state": "rotate"}, EditError, "template"),
        (
            lambda text: text.replace("name: shop", 'name: "{{ name }}"'),
            {"name": "shop", "state": "rotate"},
            EditError,
            "is not what Ansible makes of it",
        ),
        (lambda text: text.replace("postseal_credentials:", "apps:"), {"name": "shop"}, FileError, "does not define"),
        (
            lambda text: text.replace("senders: [shop@example.com", "senders: [shop@example.edu"),
            {"name": "shop", "state": "rotate"},
            AnsibleActionFail,
            "outside postseal_domains",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(
    change: Callable[[str], str], said: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        _edit(change(MAIL), **said)


def test_shutting_out_works_when_the_inventory_cannot_be_read() -> None:
    assert _shop(_edit(MAIL, "shop", "revoke", inventory=None))["revoked"] == TODAY
    assert Order("shop", None, "revoke", 7).with_password is False
