# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The pace of direct delivery and the warm-up of an address: what may be said, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.explain import explain
from ansible_collections.postseal.mail.plugins.module_utils.model.load import HostVariables, Inventory, load
from ansible_collections.postseal.mail.plugins.module_utils.model.onward import warm_up_plan
from ansible_collections.postseal.mail.plugins.module_utils.model.pace import BUILT_IN
from ansible_collections.postseal.mail.plugins.module_utils.model.problems import InventoryError, Problem
from ansible_collections.postseal.mail.plugins.module_utils.model.summary import summary
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Model
from ansible_collections.postseal.mail.plugins.module_utils.model.warm_up import WarmUp
from ansible_collections.postseal.mail.plugins.module_utils.model.ways_rules import choose
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
WARM_UP = {"start": TODAY, "first_day": 50, "growth": 1.5, "until": 200}


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
        "warm_up": {"start": "soon", "first_day": 0, "growth": 1, "until": "1000", "hosts": [], "end": 1},
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
        *(f"warm_up.{key}" for key in ("start", "first_day", "growth", "until", "hosts", "end")),
    }
    assert "did you mean google" in found[f"{prefix}receivers.gogle.domains"].fix
    assert "say concurrency instead" in found[f"{prefix}receivers.yahoo.rate"].fix
    assert "domain of google already" in found[f"{prefix}receivers.mine.domains"].fix
    assert "domains" in found[f"{prefix}receivers.gmail.com"].fix


@pytest.mark.parametrize(
    ("pace", "ways", "path", "fix"),
    [
        ({"warm_up": WARM_UP}, {}, "postseal_routes[0].via", "name a relay behind it"),
        ({"warm_up": WARM_UP}, {"postseal_relays": RELAYS}, "postseal_pace.warm_up", "no route begins with direct"),
        (
            {"warm_up": WARM_UP},
            {"postseal_relays": RELAYS, "postseal_routes": [*ROUTES[:3], {"default": True, "via": ["direct"]}]},
            "postseal_routes[3].via",
            "nobody takes what exceeds",
        ),
        (
            {"warm_up": {**WARM_UP, "hosts": ["mail-b.example.com"]}},
            {"postseal_relays": RELAYS, "postseal_routes": ROUTES},
            "postseal_pace.warm_up.hosts",
            "did you mean mail-a.example.com",
        ),
        ({"warm_up": {**WARM_UP, "until": 50}}, {}, "postseal_pace.warm_up.until", "above first_day, which is 50"),
        ({"warm_up": {"growth": 2}}, {}, "postseal_pace.warm_up.start", "is missing"),
        ({"warm_up": {**WARM_UP, "start": "9999-12-31"}}, {}, "postseal_pace.warm_up.start", "too far away"),
        (
            {"receivers": {"google": {"concurrency": 2}}},
            {"postseal_relays": RELAYS},
            "postseal_pace.receivers.google",
            "sends none of its domains to direct first",
        ),
    ],
)
def test_what_cannot_work_is_refused(
    problems: Problems, pace: dict[str, Any], ways: dict[str, Any], path: str, fix: str
) -> None:
    found = problems(_inventory(pace, **ways))
    assert [problem.path for problem in found] == [path]
    assert fix in found[0].fix


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["receivers", "warm_up", "google", "start", "growth", "until", "first_day", "rate", "domains"]
            )
            | st.text(max_size=8),
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


@given(
    st.builds(
        WarmUp,
        st.just(TODAY),
        st.integers(1, 1000),
        st.floats(1.01, 10),
        st.integers(1001, 10**7),
    ),
    st.integers(-5, 3000),
)
def test_the_number_of_a_day_rises_until_there_is_none(warm_up: WarmUp, day: int) -> None:
    number, before = (warm_up.on(TODAY + timedelta(days=one)) for one in (day, day - 1))
    if day < 0:
        assert number == 0
    elif number is None:
        assert TODAY + timedelta(days=day) >= warm_up.over
    else:
        assert 1 <= number < warm_up.until
        assert before is not None
        assert before <= number
        assert TODAY + timedelta(days=day) < warm_up.over


def test_a_schedule_begins_and_ends_on_its_days() -> None:
    warm_up = WarmUp(date(2026, 12, 1), 50, 1.5, 200)
    assert warm_up.numbers == (50, 75, 112, 168)
    days = [date(2026, 11, 30), date(2026, 12, 1), date(2026, 12, 4), date(2026, 12, 5)]
    assert [warm_up.on(day) for day in days] == [0, 50, 168, None]
    assert warm_up.over == date(2026, 12, 5)


def test_a_host_knows_where_everybodys_mail_goes_onward() -> None:
    domains = [{"name": "example.com", "bounce": "back@example.com", "subdomains": ["news"]}]
    routes = [{"recipient_domain": "bücher.example", "via": ["direct", "second"]}, *ROUTES]
    model = _model({"warm_up": WARM_UP}, postseal_relays=RELAYS, postseal_routes=routes, postseal_domains=domains)
    first, second = "via_first:[smtp.first.example]:587", "via_second:[smtp.second.example]:587"
    assert warm_up_plan(model) == {
        "start": "2026-11-22",
        "numbers": [50, 75, 112, 168],
        "logins": {"blog@example.com": second},
        "recipients": {
            "xn--bcher-kva.example": second,
            "bücher.example": second,
            "partner.example": None,
            "gmail.com": second,
        },
        "senders": {},
        "bounces": {"example.com": "back@example.com", "news.example.com": "back@example.com"},
        "default": first,
    }
    assert {target.partition(":")[0] for target in (first, second)} <= {one.name for one in model.transports.all}
    route = choose(model, model.credential("shop"), "shop@example.com", "a@gmail.com").route
    assert route.via == ("direct", "second")


def test_a_warm_up_is_for_the_hosts_that_are_named() -> None:
    hosts = {**HOSTS, "mail-b.example.com": HostVariables(ansible_host="203.0.113.11")}
    said = _inventory(
        {"warm_up": {**WARM_UP, "hosts": ["mail-b.example.com"]}}, postseal_relays=RELAYS, postseal_routes=ROUTES
    )
    warm_up = load(Inventory("production", said, hosts), TODAY).pace.warm_up
    assert warm_up is not None
    assert [warm_up.concerns(host) for host in hosts] == [False, True]


def test_it_is_explained_and_summed_up() -> None:
    model = _model({"warm_up": WARM_UP}, postseal_relays=RELAYS, postseal_routes=ROUTES)
    told = explain(model, "shop@example.com", "a@gmail.com", "shop", TODAY)
    assert "  its pace: to google 5 connections at one time (gmail.com, googlemail.com)" in told
    assert "  Postfix calls this way to_google_via_direct_second:" in told
    limit = "each mail host sends 50 messages directly, and more by second; no limit from 2026-11-26"
    assert told[-1] == f"  warm-up: on 2026-11-22 {limit}"
    # A way by login is stored with the message, and knows no receivers.
    told = explain(model, "blog@example.com", "a@gmail.com", "blog", TODAY + timedelta(days=9))
    assert "  Postfix calls this way via_direct_second:" in told
    assert "  its pace where it goes directly: 10 connections to gmail.com at one time" in told
    assert told[-1] == "  warm-up: over since 2026-11-26; remove postseal_pace.warm_up"
    assert not [line for line in explain(model, "<>", "a@gmail.com", None, TODAY) if "warm-up" in line]
    said = summary(model, TODAY)
    assert [
        line for line in said if line.startswith("pace: 10 connections to a domain at one time; google 5, microsoft 5")
    ]
    assert "warm-up: today each mail host sends 50 messages directly; no limit from 2026-11-26" in said
    assert [line for line in summary(model, date(2026, 12, 1)) if line.startswith("WARNING: the warm-up is over")]
