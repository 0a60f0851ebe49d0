# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The gates of site.yml on freshly booted hosts of both releases, in the order a user meets them.

The tests of this file build on each other: bare hosts, check mode, run, run again, check again, mail.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .site import HOSTS, Run, lab, play


@pytest.fixture(scope="module", autouse=True)
def bare_hosts() -> None:
    """Both mail hosts as they came from the distributor, and zones without a record of theirs."""
    for host in ("internet", *HOSTS):
        lab("reset", host.partition(".")[0])


def test_a_wrong_inventory_fails_before_any_host_is_touched() -> None:
    run = play("site.yml", "-e", '{"postseal_domains": [{"nmae": "shop.test"}]}')
    assert run.returncode != 0
    assert "did you mean name?" in run.output
    assert set(run.recap) == {"localhost"}


def test_check_mode_on_bare_hosts_runs_without_error() -> None:
    run = play("site.yml", "--check", "--diff")
    assert run.returncode == 0, run.output
    assert all(run.changed()[host] > 0 for host in HOSTS), run.output
    assert "_dmarc.shop.test" in run.output


@pytest.fixture(scope="module")
def first() -> Run:
    """The run that makes mail hosts of them, as talkative as can be."""
    return play("site.yml", "-vvv", "--diff")


def test_the_first_run_succeeds(first: Run) -> None:
    assert first.returncode == 0, first.output
    assert all(first.changed()[host] > 0 for host in HOSTS), first.output


@pytest.fixture(scope="module")
def second() -> Run:
    """A run that finds everything as it should be, as talkative as can be."""
    return play("site.yml", "-vvv", "--diff")


@pytest.fixture(scope="module")
def checked(second: Run) -> Run:
    """A check run after it, as talkative."""
    return play("site.yml", "-vvv", "--check", "--diff")


def test_the_second_run_changes_nothing(second: Run) -> None:
    assert second.returncode == 0, second.output
    assert second.changed() == {"localhost": 0, **dict.fromkeys(HOSTS, 0)}, second.output


def test_check_mode_afterwards_reports_nothing(checked: Run) -> None:
    assert checked.returncode == 0, checked.output
    assert checked.changed() == {"localhost": 0, **dict.fromkeys(HOSTS, 0)}, checked.output
    assert not re.search(r"^[+-] ", checked.output, re.MULTILINE), checked.output


@pytest.mark.parametrize("step", ["preflight", "keys", "dns", "services", "verify"])
def test_each_step_runs_alone(step: str) -> None:
    run = play(f"playbooks/{step}.yml")
    assert run.returncode == 0, run.output
    assert not any(run.changed().values()), run.output


def test_no_secret_is_ever_printed(first: Run, second: Run, checked: Run) -> None:
    for run in (first, second, checked):
        for secret in ("tsig", "shop", "shop.hash"):
            value = Path("/var/lib/postseal-lab/secrets", secret).read_text("utf-8").strip()
            assert value not in run.output, f"{secret} was printed"
        assert "PRIVATE KEY" not in run.output
