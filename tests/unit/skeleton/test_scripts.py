# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The entry points say what is wrong before they do anything, and name the step that failed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import tools

ROOT_HERE = os.geteuid() == 0
# As somebody without rights, and as root (or what looks like it) with a network that leads nowhere.
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if ROOT_HERE else []
OFFLINE = ["unshare", "--net"] if ROOT_HERE else ["unshare", "--user", "--map-root-user", "--net"]


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def checkout(root: Path) -> Iterator[Path]:
    """A checkout of the entry points, without an environment, that everybody may read."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        for folder in ("script", "requirements", "lab"):
            shutil.copytree(root / folder, directory / folder)
        yield directory


@pytest.mark.parametrize("command", [["demo"], ["test"], ["test", "lab"], ["bench"], ["lab", "up"]])
def test_without_root_nothing_is_done(checkout: Path, command: list[str]) -> None:
    done = run(*NOBODY, checkout / "script" / command[0], *command[1:])
    assert done.returncode == 1
    assert "root" in done.stderr
    assert "==>" not in done.stdout


@pytest.mark.parametrize("command", [["bootstrap", "everything"], ["lint", "spelling"], ["bench", "speed"]])
def test_unknown_argument_is_refused(root: Path, command: list[str]) -> None:
    done = run(root / "script" / command[0], *command[1:])
    assert done.returncode == 1
    assert command[1] in done.stderr


def fake_missing_package(directory: Path) -> str:
    """Return a PATH on which dpkg-query knows no package, and apt keeps its lists to itself."""
    (directory / "bin").mkdir()
    (directory / "bin/dpkg-query").write_text("#!/bin/sh\nexit 1\n", "utf-8")
    (directory / "bin/dpkg-query").chmod(0o755)
    return f"{directory}/bin:{os.environ['PATH']}"


def test_missing_packages_without_root_are_named(checkout: Path) -> None:
    done = run(*NOBODY, checkout / "script/bootstrap", PATH=fake_missing_package(checkout))
    assert done.returncode == 1
    assert "needs root" in done.stderr
    assert "mmdebstrap" in done.stderr


def test_mirror_that_does_not_answer_is_named_with_its_step(checkout: Path) -> None:
    lists = checkout / "lists"
    (lists / "partial").mkdir(parents=True)
    (checkout / "apt.conf").write_text(
        f'Dir::State::Lists "{lists}";\nAPT::Sandbox::User "root";\nAcquire::Retries "0";\n', "utf-8"
    )
    done = run(
        *OFFLINE,
        checkout / "script/bootstrap",
        PATH=fake_missing_package(checkout),
        APT_CONFIG=str(checkout / "apt.conf"),
    )
    assert done.returncode == 1
    assert "step 'apt-get update' failed: the package mirror did not answer" in done.stderr
    assert "apt-get install" not in done.stdout


def test_package_index_that_does_not_answer_is_named_with_its_step(checkout: Path) -> None:
    done = run(*OFFLINE, checkout / "script/bootstrap", "run", PIP_RETRIES="0", PIP_TIMEOUT="2")
    assert done.returncode == 1
    assert "step 'pip install -r requirements/run.txt' failed" in done.stderr
    assert not list((checkout / ".venv").glob(".installed-*"))


def test_bootstrap_installs_what_the_lab_needs(root: Path) -> None:
    text = (root / "script/bootstrap").read_text("utf-8")
    listed = re.search(r"^packages=\((.*)\)$", text, re.MULTILINE)
    assert listed
    assert {*tools.PROGRAMS.values(), *tools.FILES.values()} <= set(listed[1].split())
