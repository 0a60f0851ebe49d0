# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.load import HostVariables, Inventory, load
from ansible_collections.postseal.mail.plugins.module_utils.model.problems import InventoryError, Problem
from ansible_collections.postseal.mail.plugins.module_utils.model.summary import summary
from hypothesis import given
from hypothesis import strategies as st

from .conftest import HASH, HOSTS, SMALLEST, TODAY, TSIG

Problems = Callable[..., tuple[Problem, ...]]


def test_the_smallest_inventory_has_safe_defaults(variables: dict[str, Any]) -> None:
    model = load(Inventory("production", variables, HOSTS), TODAY)
    assert model.environment == "production"
    assert model.hosts[0].addresses == ("203.0.113.10",)
    assert model.submission.ports.all == (465, 587)
    assert model.domains[0].dkim.algorithms == ("rsa2048", "ed25519")
    assert model.domains[0].spf.all == "fail"
    assert model.domains[0].dmarc.policy == "none"
    assert model.credentials[0].login == "shop@example.com"
    assert model.credentials[0].senders == ("shop@example.com",)
    assert model.tls.directory.startswith("https://acme-v02.")
    assert model.service_names(model.hosts[0]) == ("mail-a.example.com",)


def test_all_problems_come_at_once_each_with_path_value_and_fix(variables: dict[str, Any], problems: Problems) -> None:
    variables["postseal_domain"] = []
    variables["postseal_domains"].append({"name": "example_com", "dkim": {"algorithms": ["rsa1024"]}})
    variables["postseal_credentials"][0]["sender"] = ["x@example.com"]
    variables["postseal_submission"] = {"ports": {"starttls": "587"}}
    found = {problem.path: problem for problem in problems(variables, {"mail-a": HostVariables("mail-a")})}
    assert "did you mean postseal_domains?" in found["postseal_domain"].fix
    assert found["postseal_domains[1].name"].value == "'example_com'"
    assert "rsa2048" in found["postseal_domains[1].dkim.algorithms[0]"].fix
    assert "did you mean senders?" in found["postseal_credentials[0].sender"].fix
    assert "without quotes" in found["postseal_submission.ports.starttls"].fix
    assert "postseal_submission.hosts.mail-a" in found


@pytest.mark.parametrize(
    ("change", "path", "fix"),
    [
        ({"postseal_domains": [{"name": "example.com"}] * 2}, "postseal_domains", "twice"),
        ({"postseal_domains": {"name": "example.com"}}, "postseal_domains", "must be a list"),
        ({"postseal_domains": ["example.com"]}, "postseal_domains[0]", "must be a mapping"),
        ({"postseal_domains": [{"name": 17}]}, "postseal_domains[0].name", "must be text"),
        ({"postseal_domains": [{"name": "203.0.113.9"}]}, "postseal_domains[0].name", "not an address"),
        ({"postseal_domains": [{}]}, "postseal_domains[0].name", "is missing"),
        ({"postseal_domains": None}, "postseal_domains", "is missing"),
        ({"postseal_dns": {}}, "postseal_dns.providers", "is missing"),
        ({"postseal_dns": {"providers": {"x": {"type": "bind"}}}}, "postseal_dns.providers.x.type", "must be one of"),
        ({"postseal_dns": {"providers": {"x": None}}}, "postseal_dns.providers.x.type", "must be one of"),
        ({"postseal_submission": {"ports": {"starttls": 465}}}, "postseal_submission.ports", "twice"),
        ({"postseal_submission": {"ports": {"alternative": 25}}}, "postseal_submission.ports", "must not be 25"),
        ({"postseal_submission": {"limits": {"recipients": 0}}}, "postseal_submission.limits.recipients", "from 1"),
        ({"postseal_tls": {"issuer": "http://a.example"}}, "postseal_tls.issuer", "https://"),
        ({"postseal_environment": "a b"}, "postseal_environment", "must be at most"),
        ({"postseal_probe": {"credential": "other", "secret": "s", "recipient": "a@example.net", "mailbox": "/m"}},
         "postseal_probe.credential", "is not one of postseal_credentials"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_fix(
    variables: dict[str, Any], problems: Problems, change: dict[str, Any], path: str, fix: str
) -> None:
    found = [problem for problem in problems({**variables, **change}) if problem.path == path]
    assert any(fix in problem.fix for problem in found), found


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"domain": "example.net"}, "postseal_credentials[0].domain"),
        ({"senders": ["shop@example.net"]}, "postseal_credentials[0].senders[0]"),
        ({"senders": []}, "postseal_credentials[0].senders"),
        ({"senders": "shop@example.com"}, "postseal_credentials[0].senders"),
        ({"networks": ["203.0.113.1/24"]}, "postseal_credentials[0].networks[0]"),
        ({"networks": []}, "postseal_credentials[0].networks"),
        ({"secret_hash": "hunter2"}, "postseal_credentials[0].secret_hash"),
        ({"name": "Shop!"}, "postseal_credentials[0].name"),
    ],
)
def test_a_credential_that_cannot_work_is_refused(
    variables: dict[str, Any], problems: Problems, change: dict[str, Any], path: str
) -> None:
    variables["postseal_credentials"][0].update(change)
    assert path in [problem.path for problem in problems(variables)]


def test_secrets_are_in_no_message_summary_or_representation(variables: dict[str, Any], problems: Problems) -> None:
    model = load(Inventory("production", variables, HOSTS), TODAY)
    assert HASH not in repr(model)
    assert TSIG not in repr(model)
    assert HASH not in "\n".join(summary(model))
    variables["postseal_credentials"][0]["secret_hash"] = "plain-secret"
    variables["postseal_dns"]["providers"]["own"]["tsig"]["secret"] = "not base64!"
    text = "\n".join(map(str, problems(variables)))
    assert "plain-secret" not in text
    assert "not base64!" not in text


def test_several_providers_need_zones_that_cover_every_domain(variables: dict[str, Any], problems: Problems) -> None:
    providers = variables["postseal_dns"]["providers"]
    providers["other"] = {**providers["own"], "server": "192.0.2.54"}
    assert "postseal_dns.zones" in [problem.path for problem in problems(variables)]
    variables["postseal_dns"]["zones"] = {"example.net": "own"}
    assert any("example.com" in problem.fix for problem in problems(variables))
    variables["postseal_dns"]["zones"] = {"example.com": "othr"}
    assert "postseal_dns.zones.example.com" in [problem.path for problem in problems(variables)]


def test_names_are_normalised_to_lower_case_a_labels(variables: dict[str, Any]) -> None:
    variables["postseal_domains"] = [{"name": "Bücher.Example."}]
    variables["postseal_credentials"][0]["domain"] = "bücher.example"
    model = load(Inventory("lab", variables, HOSTS), TODAY)
    assert model.domains[0].name == "xn--bcher-kva.example"
    assert model.credentials[0].senders == ("shop@xn--bcher-kva.example",)


def test_two_hosts_with_one_address_and_no_host_at_all_are_refused(
    variables: dict[str, Any], problems: Problems
) -> None:
    twins = {"a.example.com": HostVariables("192.0.2.1"), "b.example.com": HostVariables("192.0.2.1")}
    assert any("twice" in problem.fix for problem in problems(variables, twins))
    assert any("has no hosts" in problem.fix for problem in problems(variables, {}))


def test_the_folder_names_the_environment_or_is_refused(variables: dict[str, Any], problems: Problems) -> None:
    assert any("postseal_environment" in problem.path for problem in problems(variables, folder="my inventory"))


def _problems(variables: dict[str, Any]) -> tuple[Problem, ...]:
    """Return what is wrong with ``variables``; any exception but the inventory's own gets through."""
    try:
        load(Inventory("production", variables, HOSTS), TODAY)
    except InventoryError as error:
        return error.problems
    return ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(name=st.sampled_from(sorted([*SMALLEST, "postseal_submission", "postseal_tls", "postseal_probe"])), value=JSON)
def test_no_value_whatever_ends_in_a_traceback(name: str, value: Any) -> None:
    assert _problems({**SMALLEST, name: value}) is not None


@given(
    path=st.sampled_from([
        ("postseal_domains", 0, "spf"), ("postseal_domains", 0, "dkim"), ("postseal_domains", 0, "dmarc"),
        ("postseal_domains", 0, "mx"), ("postseal_credentials", 0, "senders"), ("postseal_credentials", 0, "name"),
        ("postseal_dns", "providers", "own"), ("postseal_dns", "zones"), ("postseal_dns", "limits"),
    ]),
    value=JSON,
)  # fmt: skip
def test_no_nested_value_ends_in_a_traceback(path: tuple[Any, ...], value: Any) -> None:
    variables = copy.deepcopy(SMALLEST)
    place: Any = variables
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert _problems(variables) is not None
