# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The benchmarks measure what they say: shapes become inventories, cases take turns, a failure is no figure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.postseal.mail.plugins.module_utils.model.passwords import new_token

from bench.hosts import HOSTS
from bench.measure import BenchError, figure, interleave, seconds, together
from bench.provision import SHAPES, Bench, Shape
from bench.submission import LOGIN, Taken, cost, credential, rate
from bench.submission_credentials import inventory


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_shape_is_the_labs_inventory_with_other_numbers(shape: Shape, root: Path, tmp_path: Path) -> None:
    folder = Bench(tmp_path).inventory(shape)
    mail = yaml.safe_load((folder / "group_vars/all/mail.yml").read_text("utf-8"))
    own = yaml.safe_load((root / "inventories/lab/group_vars/all/mail.yml").read_text("utf-8"))
    hosts = yaml.safe_load((folder / "hosts.yml").read_text("utf-8"))
    assert folder.name == "lab"
    assert len(hosts["postseal_submission"]["hosts"]) == shape.hosts
    assert len({domain["name"] for domain in mail["postseal_domains"]}) == shape.domains
    assert mail["postseal_domains"][0] == own["postseal_domains"][0]
    for key in own.keys() - {"postseal_domains", "postseal_dns"}:
        assert mail[key] == own[key]


def test_last_shape_is_the_labs_own() -> None:
    assert SHAPES[-1] == Shape(2, 1)


def test_cases_take_turns_and_give_their_median() -> None:
    calls: list[str] = []
    values = iter([1.0, 10.0, 3.0, 30.0, 100.0, 20.0])

    def case(name: str) -> float:
        calls.append(name)
        return next(values)

    assert interleave({"a": lambda: case("a"), "b": lambda: case("b")}, 3) == {"a": 3.0, "b": 20.0}
    assert calls == ["a", "b"] * 3


def test_command_that_fails_is_no_measurement() -> None:
    with pytest.raises(BenchError, match="exited with 3:\nlast words"):
        seconds([sys.executable, "-c", "print('last words'); raise SystemExit(3)"])


def test_commands_together_run_at_the_same_time() -> None:
    pause = [sys.executable, "-c", "import time; time.sleep(0.5)"]
    assert 0.5 <= together([pause, pause, pause]) < 1.4


def test_submission_is_measured_with_the_labs_inventory_and_one_limited_credential(root: Path, tmp_path: Path) -> None:
    folder, place = inventory(tmp_path, HOSTS[0], credential(new_token())), "group_vars/all/mail.yml"
    mail = yaml.safe_load((folder / place).read_text("utf-8"))
    own = yaml.safe_load((root / "inventories/lab" / place).read_text("utf-8"))
    added = mail["postseal_credentials"].pop()
    assert mail == own
    assert f"{added['name']}@{added['domain']}" == LOGIN
    assert added["rate"].keys() == {"messages", "recipients"}


def test_rates_and_costs_are_medians_of_rounds() -> None:
    rounds = [Taken(100, 1, 0.1), Taken(100, 2, 0.3), Taken(100, 10, 0.2)]
    assert (rate(rounds), cost(rounds)) == (50, 2)


def test_figure_is_one_line_of_name_value_goal(capsys: pytest.CaptureFixture[str]) -> None:
    figure("a.b", 0.456, "<=0.6")
    figure("a.c", 12)
    assert capsys.readouterr().out == "a.b 0.46 <=0.6\na.c 12.00 -\n"
