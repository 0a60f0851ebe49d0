# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A lab for the tests that need one: found as it is, or made and taken away again; and the order that saves most."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Iterator

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # pytest-xdist has no types

from .site import HOSTS, LAB_STATE, ROOT, hang_up, play

LAB = ROOT / "script/lab"
ALONE = "master"  # what pytest-xdist calls a process that it has not started
# First what makes hosts anew, then what has them made mail hosts, then what gives them another inventory, then all that
# finds them as the lab's has them: so that hosts are brought from one inventory to the next and back but once.
ORDER = (
    "test_lab",
    "test_site.py",
    "test_credentials.py",
    "test_door.py",
    "test_firewall.py",
    "test_senders.py",
    "test_limits.py",
    "test_pace.py",
    "test_queue.py",
    "test_nothing_lost.py",
    "test_secrets.py",
    "test_log.py",
    "test_policies.py",
    "",
)
# What the hosts serve: by which test run and after how many failures they were brought to it, or another inventory.
SERVED = LAB_STATE / "tests-served"
OTHERWISE = " otherwise"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files so that bare hosts are made mail hosts only once, and mark what can run at the same time.

    ``apart`` are tests of one mail host, which the other one does not notice, and those on machines of their own;
    files marked ``together`` prepare both hosts.
    """
    items.sort(key=lambda item: next(rank for rank, name in enumerate(ORDER) if item.path.name.startswith(name)))
    for item in items:
        one_host = isinstance(item, pytest.Function) and "callspec" in vars(item) and "host" in item.callspec.params
        if (one_host and not item.get_closest_marker("together")) or item.path.name == "test_lab_life.py":
            item.add_marker(pytest.mark.apart)


class ByPlace(LoadScopeScheduling):  # type: ignore[misc]
    """Gives all tests of one mail host to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return next((host for host in HOSTS if host in nodeid), nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByPlace:
    """Return how tests are given to the workers of ``pytest -n``."""
    return ByPlace(config, log)


@pytest.fixture(scope="session", autouse=True)
def standing_lab(worker_id: str) -> Iterator[None]:
    """Bring the lab up, or repair it; afterwards take it down, unless it stood before or others may still need it."""
    before = subprocess.run([LAB, "status"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    subprocess.run([LAB, "up"], check=True, stdin=subprocess.DEVNULL)
    yield
    if worker_id == ALONE:
        if SERVED.exists() and SERVED.read_text("utf-8").endswith(OTHERWISE):
            play("site.yml")
            SERVED.unlink()
        for host in ("internet", "receiver", *HOSTS):
            hang_up(host)
        if "The lab is down." in before.stdout:
            subprocess.run([LAB, "down"], check=True, stdin=subprocess.DEVNULL)


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    """One host of each release."""
    return str(request.param)


@pytest.fixture(scope="module")
def standing_site(request: pytest.FixtureRequest, worker_id: str, testrun_uid: str) -> None:
    """Both hosts serve as the inventory says. Every file leaves them so, unless a test of it failed."""
    _serve(request.session.testsfailed if worker_id == ALONE else 0, testrun_uid)


@pytest.fixture(scope="module")
def standing_hosts(request: pytest.FixtureRequest, testrun_uid: str) -> None:
    """Both hosts serve, by whatever inventory; the file may leave them with another. Not for tests beside others."""
    _serve(request.session.testsfailed, testrun_uid, otherwise=True)


def _serve(failed: int, testrun_uid: str, *, otherwise: bool = False) -> None:
    """Have both hosts serve, and remember it; ``otherwise``: what they serve now does not matter, and will change."""
    fresh = f"{testrun_uid} {failed}"
    with SERVED.open("a+") as memory:
        fcntl.flock(memory, fcntl.LOCK_EX)
        memory.seek(0)
        if memory.read() not in ([fresh, fresh + OTHERWISE] if otherwise else [fresh]):
            run = play("site.yml")
            assert run.returncode == 0, run.output
        memory.truncate(0)
        memory.write(fresh + OTHERWISE if otherwise else fresh)
