# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The pace of direct delivery: what may be said, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.explain import explain
from ansible_collections.postseal.mail.plugins.module_utils.model.load import Inventory, load
from ansible_collections.postseal.mail.plugins.module_utils.model.pace import BUILT_IN
from ansible_collections.postseal.mail.plugins.module_utils.model.problems import InventoryError, Problem
from ansible_collections.postseal.mail.plugins.module_utils.model.summary import summary
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Model
from hypothesis import given
from hypothesis import strategies as st

from .conftest import HASH, HOSTS, SMALLEST, TODAY

Problems = Callable[..., tuple[Problem, ...]]
RELAYS = [
    {"name": name, "host": f"smtp.{name}.example", "login": "me", "secret": "canary-0123456789"}
    for name in ("first", "second")
]
ROUTES = [
    {"credential": "blog", "via": ["direct", "second"]},
    {"recipient_domain": "partner.example", "via": ["second", "direct"]},
    {"recipient_domain": "gmail.com", "via": ["direct", "second"]},
    {"default": True, "via": ["direct", "first"]},
]


def _inventory(pace: Any, **others: Any) -> dict[str, Any]:
    blog = {"name": "blog", "domain": "example.com", "secret_hash": HASH.replace("aaa", "bbb")}
    credentials = [*SMALLEST["postseal_credentials"], blog]
    return {**SMALLEST, "postseal_credentials": credentials, "postseal_pace": pace, **others}


def _model(pace: Any, **others: Any) -> Model:
    return load(Inventory("production", _inventory(pace, **others), HOSTS), TODAY)


def test_without_a_word_large_receivers_have_a_pace() -> None:
    model = load(Inventory("production", SMALLEST, HOSTS), TODAY)
    assert model.pace.concurrency == 10
    assert set(model.paced) == {domain for receiver in BUILT_IN for domain in receiver.domains}
    assert {model.paced[domain].target for domain in ("gmail.com", "googlemail.com")} == {"to_google:"}
    domains = [domain for receiver in BUILT_IN for domain in receiver.domains]
    assert len(set(domains)) == len(domains)


def test_each_receiver_has_one_transport_for_each_way() -> None:
    said = {
        "receivers": {
            "google": {"domains": ["Hosted.Example"], "rate": "45/m"},
            "Mine": {"domains": ["a.example", "partner.example", "bücher.example"]},
        }
    }
    model = _model(said, postseal_relays=RELAYS, postseal_routes=ROUTES)
    found = {
        domain: model.paced[domain].name for domain in ("gmail.com", "googlemail.com", "hosted.example", "a.example")
    }
    assert found == {
        "gmail.com": "to_google_via_direct_second",
        "googlemail.com": "to_google_via_direct_first",
        "hosted.example": "to_google_via_direct_first",
        "a.example": "to_mine_via_direct_first",
    }
    assert "partner.example" not in model.paced
    assert {model.paced[key].name for key in ("bücher.example", "xn--bcher-kva.example")} == {
        "to_mine_via_direct_first"
    }
    google = model.paced["gmail.com"].receiver
    assert (google.concurrency, google.delay) == (1, 2)
    assert model.paced["outlook.com"].receiver.concurrency == 5


@pytest.mark.parametrize(("rate", "delay"), [("60/m", 1), ("45/m", 2), ("1/m", 60), ("3600/h", 1), ("7/h", 515)])
def test_a_rate_is_never_exceeded(rate: str, delay: int) -> None:
    model = _model({"receivers": {"google": {"rate": rate}}})
    assert model.paced["gmail.com"].receiver.delay == delay


def test_a_sender_keeps_its_way_also_to_large_receivers(problems: Problems) -> None:
    routes = [{"sender": "@example.com", "via": ["first"]}, {"recipient_domain": "gmail.com", "via": ["direct"]}]
    ways = {"postseal_relays": RELAYS, "postseal_routes": [*routes, {"default": True, "via": ["direct"]}]}
    # A route by recipient goes before one by sender anyway.
    assert set(_model({}, **ways).paced) == {"gmail.com"}
    found = problems(_inventory({"receivers": {"yahoo": {"concurrency": 3}}}, **ways))
    assert [problem.path for problem in found] == ["postseal_pace.receivers.yahoo"]
    assert "name credential or stream" in found[0].fix


def test_nothing_has_a_pace_where_all_mail_takes_relays() -> None:
    model = _model({}, postseal_relays=RELAYS)
    assert not model.paced
    assert not [line for line in summary(model) if line.startswith("pace")]


def test_all_that_is_wrong_is_told_at_once(problems: Problems) -> None:
    said = {
        "concurrency": 0,
        "recievers": {},
        "receivers": {
            "gogle": {"concurrency": 5},
            "gmail.com": {"concurrency": 5},
            "yahoo": {"rate": "90/m"},
            "apple": {"rate": "1/d"},
            "gmx": {"rate": "10/m", "concurrency": 2},
            "orange": {"concurrency": "2", "speed": 1},
            "mine": {"domains": ["gmail.com", "no domain"]},
            "telekom": 5,
        },
    }
    found = {problem.path: problem for problem in problems(_inventory(said))}
    prefix = "postseal_pace."
    assert {path.removeprefix(prefix) for path in found} == {
        "concurrency",
        "recievers",
        "receivers.gogle.domains",
        "receivers.gmail.com",
        "receivers.yahoo.rate",
        "receivers.apple.rate",
        "receivers.gmx.concurrency",
        "receivers.orange.concurrency",
        "receivers.orange.speed",
        "receivers.mine.domains",
        "receivers.mine.domains[1]",
        "receivers.telekom",
    }
    assert "did you mean google" in found[f"{prefix}receivers.gogle.domains"].fix
    assert "say concurrency instead" in found[f"{prefix}receivers.yahoo.rate"].fix
    assert "domain of google already" in found[f"{prefix}receivers.mine.domains"].fix
    assert "domains" in found[f"{prefix}receivers.gmail.com"].fix


def test_a_pace_without_mail_is_refused(problems: Problems) -> None:
    found = problems(_inventory({"receivers": {"google": {"concurrency": 2}}}, postseal_relays=RELAYS))
    assert [problem.path for problem in found] == ["postseal_pace.receivers.google"]
    assert "sends none of its domains to direct first" in found[0].fix


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["receivers", "google", "rate", "domains"]) | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(ANYTHING)
def test_whatever_is_said_is_taken_or_refused_with_its_path(pace: Any) -> None:
    found: tuple[Problem, ...] = ()
    try:
        _model(pace, postseal_relays=RELAYS, postseal_routes=ROUTES)
    except InventoryError as error:
        found = error.problems
    assert all(problem.path.startswith("postseal_pace") and problem.fix for problem in found)


def test_it_is_explained_and_summed_up() -> None:
    model = _model({}, postseal_relays=RELAYS, postseal_routes=ROUTES)
    told = explain(model, "shop@example.com", "a@gmail.com", "shop")
    assert "  its pace: to google 5 connections at one time (gmail.com, googlemail.com)" in told
    assert "  Postfix calls this way to_google_via_direct_second:" in told
    # A way by login is stored with the message, and knows no receivers.
    told = explain(model, "blog@example.com", "a@gmail.com", "blog")
    assert "  Postfix calls this way via_direct_second:" in told
    assert "  its pace where it goes directly: 10 connections to gmail.com at one time" in told
    said = summary(model)
    assert [
        line for line in said if line.startswith("pace: 10 connections to a domain at one time; google 5, microsoft 5")
    ]
