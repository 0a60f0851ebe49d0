# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The gates of site.yml on freshly booted hosts of both releases, in the order a user meets them.

The tests of this file build on each other: bare hosts, check mode, run, run again, check again, mail.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .site import HOSTS, lab, play


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


def test_the_first_run_succeeds() -> None:
    run = play("site.yml")
    assert run.returncode == 0, run.output
    assert all(run.changed()[host] > 0 for host in HOSTS), run.output


def test_the_second_run_changes_nothing() -> None:
    run = play("site.yml")
    assert run.returncode == 0, run.output
    assert run.changed() == {"localhost": 0, **dict.fromkeys(HOSTS, 0)}, run.output


def test_check_mode_afterwards_reports_nothing() -> None:
    run = play("site.yml", "--check", "--diff")
    assert run.returncode == 0, run.output
    assert run.changed() == {"localhost": 0, **dict.fromkeys(HOSTS, 0)}, run.output
    assert not re.search(r"^[+-] ", run.output, re.MULTILINE), run.output


def test_each_step_runs_alone() -> None:
    for step in ("preflight", "keys", "dns", "services", "verify"):
        run = play(f"playbooks/{step}.yml")
        assert run.returncode == 0, run.output
        assert not any(run.changed().values()), run.output


@pytest.mark.parametrize("arguments", [("site.yml", "-vvv", "--diff"), ("site.yml", "-vvv", "--check", "--diff")])
def test_no_secret_is_ever_printed(arguments: tuple[str, ...]) -> None:
    run = play(*arguments)
    assert run.returncode == 0, run.output
    for secret in ("tsig", "shop", "shop.hash"):
        value = Path("/var/lib/postseal-lab/secrets", secret).read_text("utf-8").strip()
        assert value not in run.output, f"{secret} was printed"
    assert "PRIVATE KEY" not in run.output
