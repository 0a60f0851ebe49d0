# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Routes by names that Postfix may see otherwise: U-labels, comments, senders that a bounce address replaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.explain import explain
from ansible_collections.postseal.mail.plugins.module_utils.model.load import Inventory, load
from ansible_collections.postseal.mail.plugins.module_utils.model.problems import Invalid, InventoryError, Problem
from ansible_collections.postseal.mail.plugins.module_utils.model.ways_rules import choose

from .conftest import HOSTS, TODAY

Problems = Callable[..., tuple[Problem, ...]]
PRIMARY: dict[str, Any] = {"name": "primary", "preset": "sendgrid", "secret": "canary-0123456789"}


def test_a_recipient_domain_is_looked_up_in_both_of_its_forms(variables: dict[str, Any]) -> None:
    routes: list[dict[str, Any]] = [
        {"recipient_domain": "b\u00fccher.example", "via": ["primary"]},
        {"default": True, "via": ["direct"]},
    ]
    said = {**variables, "postseal_relays": [PRIMARY], "postseal_routes": routes}
    keys = load(Inventory("production", said, HOSTS), TODAY).routes[0].recipient_keys
    assert keys == ("xn--bcher-kva.example", "b\u00fccher.example")


def test_a_sender_that_a_table_takes_for_a_comment_is_refused(variables: dict[str, Any], problems: Problems) -> None:
    routes = [{"sender": "#1@example.com", "via": ["primary"]}, {"default": True, "via": ["direct"]}]
    found = problems({**variables, "postseal_relays": [PRIMARY], "postseal_routes": routes})
    assert [(one.path, "begins a comment" in one.fix) for one in found] == [("postseal_routes[0].sender", True)]


def test_who_submits_nothing_has_no_way(variables: dict[str, Any]) -> None:
    variables["postseal_credentials"][0]["suspended"] = True
    model = load(Inventory("production", variables, HOSTS), TODAY)
    with pytest.raises(Invalid, match="submits nothing"):
        explain(model, "shop@example.com", "a@example.net", "shop")


@pytest.mark.parametrize(
    ("sender", "refused"),
    [("s@example.com", True), ("@eu.example.com", True), ("bounces@example.com", False), ("@example.com", False)],
)
def test_a_route_names_the_sender_that_mail_leaves_with(sender: str, refused: bool, variables: dict[str, Any]) -> None:
    variables["postseal_domains"] = [{"name": "example.com", "subdomains": ["eu"], "bounce": "bounces@example.com"}]
    routes = [{"sender": sender, "via": ["primary"]}, {"default": True, "via": ["direct"]}]
    said = {**variables, "postseal_relays": [PRIMARY], "postseal_routes": routes}
    if refused:
        with pytest.raises(InventoryError, match=r"bounce puts bounces@example\.com in its place"):
            load(Inventory("production", said, HOSTS), TODAY)
        return
    model = load(Inventory("production", said, HOSTS), TODAY)
    for address in ("shop@example.com", "shop@EU.example.com"):
        assert choose(model, None, address, "a@example.net").reason == f"sender {sender}"
    assert choose(model, None, "", "a@example.net").reason == "default"
