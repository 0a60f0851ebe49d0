# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What may be said of an application's credential, and what is refused with its path, value and fix."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.load import HostVariables, Inventory, load
from ansible_collections.postseal.mail.plugins.module_utils.model.problems import Problem
from ansible_collections.postseal.mail.plugins.module_utils.model.summary import summary
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Credential, Model, Quota

from .conftest import HASH, HOSTS, TODAY

Problems = Callable[..., tuple[Problem, ...]]
OTHER = "{SSHA512}" + "A" * 107 + "="
TOKEN = "9tFq-3mZr_Kd0xWbLs7uHv2nYc4e"
TWO = {**HOSTS, "mail-b.example.com": HostVariables(ansible_host="203.0.113.11")}


def _model(variables: dict[str, Any], **change: Any) -> Model:
    variables["postseal_credentials"][0].update(change)
    return load(Inventory("production", variables, HOSTS), TODAY)


def _one(variables: dict[str, Any], **change: Any) -> Credential:
    return _model(variables, **change).credentials[0]


def test_everything_that_can_be_said_of_a_credential_is_in_the_model(variables: dict[str, Any]) -> None:
    found = _one(
        variables,
        previous_hash=OTHER,
        previous_until="2026-12-01",
        rate={"messages": ["500/h", "20/m"], "recipients": "2000 / d"},
        expires="2027-06-30",
        stream="Transactional",
    )
    assert found.active
    assert found.rate.messages == (Quota(60, 20), Quota(3600, 500))
    assert [str(quota) for quota in found.rate.recipients] == ["2000/d"]
    assert found.previous_hash is not None
    assert found.previous_hash.reveal() == OTHER
    assert found.previous_ends_at == 1796169600  # 2026-12-02T00:00:00Z
    assert found.expires_at == 1814400000  # 2027-07-01T00:00:00Z
    assert found.stream == "transactional"


def test_a_day_is_as_yaml_reads_it_or_text(variables: dict[str, Any]) -> None:
    assert _one(variables, expires=date(2027, 6, 30)).expires == _one(variables, expires="2027-06-30").expires


def test_the_last_day_is_still_valid(variables: dict[str, Any]) -> None:
    last = _one(variables, expires=str(TODAY), previous_hash=OTHER, previous_until=str(TODAY))
    assert last.previous_hash is not None


def test_a_previous_password_is_over_after_its_day_and_does_not_stand_in_the_way(variables: dict[str, Any]) -> None:
    over = _one(variables, previous_hash=OTHER, previous_until="2026-11-21")
    assert (over.previous_hash, over.previous_until) == (None, None)


def test_a_password_in_the_inventory_becomes_the_same_hash_in_every_run(variables: dict[str, Any]) -> None:
    del variables["postseal_credentials"][0]["secret_hash"]
    first, second = (_one(variables, secret=TOKEN) for _ in range(2))
    assert first.secret_hash == second.secret_hash
    assert first.secret_hash is not None
    assert first.secret_hash.reveal().startswith("{SSHA512}")
    assert TOKEN not in repr(first)
    variables["postseal_credentials"][0]["name"] = "blog"
    assert _one(variables).secret_hash != first.secret_hash


def test_the_probe_takes_the_password_that_is_there_already(variables: dict[str, Any]) -> None:
    del variables["postseal_credentials"][0]["secret_hash"]
    variables["postseal_probe"] = {"credential": "shop@example.com", "recipient": "p@example.net", "mailbox": "/m"}
    model = _model(variables, secret=TOKEN)
    assert model.probe is not None
    assert model.probe.secret.reveal() == TOKEN


@pytest.mark.parametrize(("key", "value"), [("revoked", True), ("revoked", "2026-11-01"), ("suspended", True)])
def test_who_is_shut_out_stays_in_the_model_by_name(variables: dict[str, Any], key: str, value: Any) -> None:
    model = _model(variables, **{key: value}, previous_hash=OTHER, previous_until="2026-12-01")
    assert not model.credential("shop").active
    assert model.credential("shop@example.com") is model.credentials[0]


def test_a_revoked_credential_needs_no_hash_and_may_be_expired(variables: dict[str, Any]) -> None:
    del variables["postseal_credentials"][0]["secret_hash"]
    assert _one(variables, revoked=True, expires="2026-01-01").secret_hash is None


@pytest.mark.parametrize(
    ("change", "path", "fix"),
    [
        ({"domain": "example.net"}, "domain", "is not one of postseal_domains"),
        ({"senders": ["shop@example.net"]}, "senders[0]", "outside postseal_domains"),
        ({"senders": ["@mail.example.com"]}, "senders[0]", "outside postseal_domains"),
        ({"networks": ["203.0.113.0/33"]}, "networks[0]", "must be a network"),
        ({"networks": ["office"]}, "networks[0]", "must be a network"),
        ({"networks": ["0.0.0.0/0"]}, "networks[0]", "leave networks out"),
        ({"networks": ["::/0"]}, "networks[0]", "leave networks out"),
        ({"expires": "2026-11-21"}, "expires", "today is 2026-11-22"),
        ({"expires": "next year"}, "expires", "must be a day, like 2027-06-30"),
        ({"expires": 2027}, "expires", "must be a day"),
        ({"rate": {"messages": "500"}}, "rate.messages", "like 20/m, 500/h or 2000/d"),
        ({"rate": {"messages": 500}}, "rate.messages", "like 20/m"),
        ({"rate": {"messages": "0/h"}}, "rate.messages", "like 20/m"),
        ({"rate": {"messages": "5/week"}}, "rate.messages", "like 20/m"),
        ({"rate": {"recipients": ["5/h", "7/h"]}}, "rate.recipients", "two limits for one period"),
        ({"rate": {"recipients": []}}, "rate.recipients", "say unlimited"),
        ({"rate": {"mesages": "5/h"}}, "rate.mesages", "did you mean messages?"),
        ({"rate": "500/h"}, "rate", "must be a mapping with the keys messages, recipients"),
        ({"stream": "a b"}, "stream", "letters, digits"),
        ({"secret_hash": None}, "secret_hash", "-e name=shop"),
        ({"secret_hash": "{MD5}x"}, "secret_hash", "not accepted"),
        ({"secret_hash": "{ARGON2ID}$argon2id$v=19$m=65536"}, "secret_hash", "slow on purpose"),
        ({"secret_hash": "{SSHA512}short"}, "secret_hash", "whole"),
        ({"secret_hash": "{SHA512-CRYPT}$6$rounds=99999$salt$" + "a" * 86}, "secret_hash", "more than 5000 rounds"),
        ({"secret_hash": "$6$salt$" + "a" * 86}, "secret_hash", "begin with its scheme"),
        ({"secret": TOKEN}, "secret", "beside secret_hash"),
        ({"secret_hash": None, "secret": "Summer2026!"}, "secret", "too easy to guess"),
        ({"secret_hash": None, "secret": "shopshopshopshopshopshop"}, "secret", "too easy to guess"),
        ({"previous_hash": OTHER}, "previous_until", "belongs to previous_hash"),
        ({"previous_until": "2026-12-01"}, "previous_hash", "belongs to previous_until"),
        ({"previous_hash": OTHER, "previous_until": "2027-11-22"}, "previous_until", "more than 90 days ahead"),
        ({"previous_hash": HASH, "previous_until": "2026-12-01"}, "previous_hash", "the same as secret_hash"),
        ({"revoked": "yes"}, "revoked", "true, or the day"),
        ({"suspended": "yes"}, "suspended", "true or false"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_with_path_and_fix(
    variables: dict[str, Any], problems: Problems, change: dict[str, Any], path: str, fix: str
) -> None:
    variables["postseal_credentials"][0].update(change)
    found = [problem for problem in problems(variables) if problem.path == f"postseal_credentials[0].{path}"]
    assert any(fix in problem.fix for problem in found), found


@pytest.mark.parametrize(
    ("other", "path", "fix"),
    [
        ({"name": "shop", "secret_hash": OTHER}, "name", "is the login of postseal_credentials[0] too"),
        ({"name": "blog", "secret_hash": HASH}, "secret_hash", "is the password of postseal_credentials[0] too"),
        ({"name": "blog", "previous_hash": HASH, "previous_until": "2026-12-01"}, "previous_hash", "is the password"),
        ({"name": "blog", "senders": ["shop@example.com"]}, "senders", "may be used by shop@example.com too"),
    ],
)
def test_overlapping_credentials_are_refused(
    variables: dict[str, Any], problems: Problems, other: dict[str, Any], path: str, fix: str
) -> None:
    variables["postseal_credentials"].append({"domain": "example.com", "secret_hash": OTHER, **other})
    (found,) = problems(variables)
    assert found.path == f"postseal_credentials[1].{path}"
    assert fix in found.fix


@pytest.mark.parametrize("shared", ["@example.com", "shop@example.com"])
@pytest.mark.parametrize("first", [0, 1])
def test_senders_overlap_only_where_it_is_said(
    variables: dict[str, Any], problems: Problems, shared: str, first: int
) -> None:
    whole = {"name": "all", "domain": "example.com", "secret_hash": OTHER, "senders": ["@example.com"]}
    variables["postseal_credentials"].insert(first, whole)
    (found,) = problems(variables)
    assert found.value == "'shop@example.com'"
    assert "shared_senders" in found.fix
    variables["postseal_submission"] = {"shared_senders": [shared]}
    assert len(_model(variables).credentials) == 2


def test_a_revoked_credential_no_longer_owns_its_sender(variables: dict[str, Any]) -> None:
    variables["postseal_credentials"].append(
        {"name": "blog", "domain": "example.com", "secret_hash": OTHER, "senders": ["shop@example.com"]}
    )
    assert len(_model(variables, revoked=True).credentials) == 2


def test_a_name_that_several_have_does_not_name_the_one_of_the_probe(
    variables: dict[str, Any], problems: Problems
) -> None:
    variables["postseal_domains"].append({"name": "example.org"})
    variables["postseal_credentials"].append({"name": "shop", "domain": "example.org", "secret_hash": OTHER})
    probe = {"credential": "shop", "secret": "s", "recipient": "p@example.net", "mailbox": "/m"}
    variables["postseal_probe"] = probe
    (found,) = problems(variables)
    assert "shop@example.com, shop@example.org" in found.fix
    probe["credential"] = "shop@example.org"
    assert _model(variables).probe is not None


def test_limits_come_from_the_default_where_the_credential_has_none(variables: dict[str, Any]) -> None:
    variables["postseal_limits"] = {"default": {"messages": "100/h", "recipients": "500/d"}}
    rate = _one(variables, rate={"messages": "unlimited"}).rate
    assert rate.messages == ()
    assert rate.recipients == (Quota(86400, 500),)


def test_nothing_is_counted_unless_something_is_limited(variables: dict[str, Any]) -> None:
    assert _model(variables).limits.store is None
    store = _model(variables, rate={"messages": "5/h"}).limits.store
    assert store is not None
    assert (store.host, store.address, store.port) == ("mail-a.example.com", "127.0.0.1", 6379)


def test_hosts_that_count_together_need_a_password_and_a_private_address(
    variables: dict[str, Any], problems: Problems
) -> None:
    variables["postseal_credentials"][0]["rate"] = {"messages": "5/h"}
    (found,) = problems(variables, TWO)
    assert found.path == "postseal_limits.store.password"
    variables["postseal_limits"] = {"store": {"password": TOKEN, "address": "8.8.8.8"}}
    (found,) = problems(variables, TWO)
    assert found.path == "postseal_limits.store.address"
    variables["postseal_limits"]["store"]["address"] = "10.0.0.10"
    store = load(Inventory("production", variables, TWO), TODAY).limits.store
    assert store is not None
    assert (store.host, store.address) == (None, "10.0.0.10")
    variables["postseal_limits"]["store"]["host"] = "mail-b.example.com"
    store = load(Inventory("production", variables, TWO), TODAY).limits.store
    assert store is not None
    assert (store.host, store.address) == ("mail-b.example.com", "10.0.0.10")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"postseal_limits": {"store": {"host": "other.example.com"}}}, "postseal_limits.store.host"),
        ({"postseal_limits": {"store": {"password": "a b"}}}, "postseal_limits.store.password"),
        ({"postseal_limits": {"store": {"password": "redis"}}}, "postseal_limits.store.password"),
        ({"postseal_limits": {"default": {"messages": "many"}}}, "postseal_limits.default.messages"),
        ({"postseal_firewall": {"failures": 1}}, "postseal_firewall.failures"),
        ({"postseal_firewall": {"ban": 60}}, "postseal_firewall.ban"),
        ({"postseal_firewall": {"within": "2d"}}, "postseal_firewall.within"),
        ({"postseal_firewall": {"never": ["10.0.0.1/8"]}}, "postseal_firewall.never[0]"),
        ({"postseal_containment": {"spike": {"factor": 1}}}, "postseal_containment.spike.factor"),
        ({"postseal_containment": {"bounces": {"percent": 101}}}, "postseal_containment.bounces.percent"),
        ({"postseal_containment": {"spike": {}, "notify": ["ops"]}}, "postseal_containment.notify[0]"),
        ({"postseal_containment": {"notify": ["ops@example.com"]}}, "postseal_containment.notify"),
        ({"postseal_log": {"retention": "1h"}}, "postseal_log.retention"),
        ({"postseal_log": {"retention": 30}}, "postseal_log.retention"),
        ({"postseal_log": {"addresses": "mask"}}, "postseal_log.addresses"),
        ({"postseal_log": {"readers": "a b"}}, "postseal_log.readers"),
        ({"postseal_submission": {"reveal": ["ip"]}}, "postseal_submission.reveal[0]"),
        ({"postseal_submission": {"shared_senders": ["x"]}}, "postseal_submission.shared_senders[0]"),
    ],
)
def test_what_protects_the_service_is_checked_too(
    variables: dict[str, Any], problems: Problems, change: dict[str, Any], path: str
) -> None:
    assert path in [problem.path for problem in problems({**variables, **change})]


def test_what_is_not_said_is_safe(variables: dict[str, Any]) -> None:
    model = _model(variables, networks=["198.51.100.0/24"])
    assert (model.log.retention, model.log.addresses, model.log.readers) == (30 * 86400, "keep", "adm")
    assert not model.containment.enabled
    assert model.firewall.enabled
    assert model.submission.reveal == ()
    assert model.never_banned == ("198.51.100.0/24", "203.0.113.10/32")


def test_containment_counts_too_and_one_word_turns_each_part_on(variables: dict[str, Any]) -> None:
    variables["postseal_containment"] = {"spike": {"factor": 5}}
    model = _model(variables)
    assert model.containment.spike is not None
    assert (model.containment.spike.factor, model.containment.spike.at_least) == (5, 200)
    assert (model.containment.bounces, model.containment.notify) == (None, ())
    assert model.limits.store is not None


def test_no_password_is_in_a_message(variables: dict[str, Any], problems: Problems) -> None:
    variables["postseal_credentials"][0].update(secret="MarkerWeak1", previous_hash="{MD5}MarkerHash")
    variables["postseal_limits"] = {"store": {"password": "MarkerStore"}}
    text = "\n".join(map(str, problems(variables)))
    assert "Marker" not in text


def test_the_summary_tells_what_holds_for_each_credential(variables: dict[str, Any]) -> None:
    said = {"rate": {"messages": "5/h"}, "expires": "2027-06-30", "networks": ["192.0.2.0/24"]}
    (line,) = [line for line in summary(_model(variables, **said)) if line.startswith("credential")]
    assert line.endswith("as shop@example.com; at most 5/h messages; from 192.0.2.0/24; until 2027-06-30")
    assert "credential shop@example.com is suspended" in summary(_model(variables, suspended=True))
    assert "credential shop@example.com is revoked" in summary(_model(variables, suspended=True, revoked=True))
