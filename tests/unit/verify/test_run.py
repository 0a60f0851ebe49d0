# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The whole proof against systems that are not there, and without a usable inventory: no pass, no traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
SECRET = "correct-horse-battery-staple"
# Nothing listens on this address of the loopback network: every port refuses at once.
HOST = "127.0.0.9"
HASH = (
    "{SHA512-CRYPT}$6$abcdefgh$D7W7qyozKBT.t6FD3DVYHvADbIO0eSyI4.p20LaEUjro8PqTGYYo/EQcuNjhFbzo9Yg5ir1KIEqFY/yJpgFph0"
)
VARIABLES: dict[str, Any] = {
    "postseal_dns": {
        "resolvers": [HOST],
        "providers": {
            "main": {"type": "rfc2136", "server": HOST, "tsig": {"name": "k", "secret": "c2VjcmV0c2VjcmV0c2VjcmV0"}}
        },
    },
    "postseal_submission": {"ports": {"implicit_tls": 4651, "starttls": 5871}},
    "postseal_domains": [{"name": "shop.example"}],
    "postseal_credentials": [{"name": "shop", "domain": "shop.example", "secret_hash": HASH}],
    "postseal_probe": {"credential": "shop", "secret": SECRET, "recipient": "p@there.example", "mailbox": "/nowhere"},
}
NAME = "mail-a.example.com"
CONNECTION = {"plugin": "ssh", "address": HOST, "port": 221, "user": None, "key": None, "options": ""}
DEAD = {
    "inventory": {"folder": "staging", "variables": VARIABLES, "hosts": {NAME: {"ansible_host": HOST}}},
    "connections": {NAME: {**CONNECTION, "python": "/usr/bin/python3"}},
    "command": "ansible-playbook -i elsewhere",
}


def _run(given: bytes, report: Path, *more: str) -> subprocess.CompletedProcess[str]:
    reading, writing = os.pipe()
    os.write(writing, given)
    os.close(writing)
    command = [sys.executable, "-m", "pytest", "tests/verify", "-q", "-p", "no:cacheprovider"]
    command += [f"--handover-fd={reading}", f"--report-directory={report}", "--delivery-timeout=1", *more]
    try:
        return subprocess.run(
            command, cwd=ROOT, pass_fds=[reading], capture_output=True, text=True, check=False, timeout=120
        )
    finally:
        os.close(reading)


def test_a_system_that_is_not_there_passes_nothing(tmp_path: Path) -> None:
    answer = _run(json.dumps(DEAD).encode(), tmp_path)
    report = json.loads((tmp_path / "verify.json").read_text())
    statuses = {(entry["id"], entry["status"]) for entry in report["results"]}
    # A closed port 25 is what PORT25-1 asks for, and here it is closed indeed.
    assert {check for check, status in statuses if status == "passed"} <= {"PORT25-1"}
    assert ("PORT-1", "failed") in statuses
    assert {check for check, status in statuses if status == "failed"} == {"PORT-1"}
    assert answer.returncode == report["exit_code"] == 1
    assert "refuses connections" in answer.stdout
    for text in (answer.stdout, answer.stderr, *(path.read_text() for path in tmp_path.iterdir())):
        assert "Traceback" not in text
        assert "the check itself is broken" not in text
        assert SECRET not in text


def test_only_changes_prints_news_once_and_then_nothing(tmp_path: Path) -> None:
    first, second = (_run(json.dumps(DEAD).encode(), tmp_path, "--only-changes", "-k", "test_dmarc") for _ in "ab")
    told = re.match(r"Proof of staging: (\d+) problems, first report\nNEW NOT TESTED ", first.stdout)
    assert told, first.stdout
    assert (second.stdout, second.stderr) == ("", "")
    assert first.returncode == second.returncode == 2
    assert json.loads((tmp_path / "verify.json").read_text())["changes"]["remaining"] == int(told[1]) > 1
    assert json.loads((tmp_path / "verify.previous.json").read_text())["changes"] is None


def test_a_selection_that_cannot_be_tested_ends_with_2(tmp_path: Path) -> None:
    answer = _run(json.dumps(DEAD).encode(), tmp_path, "-k", "test_dmarc")
    assert answer.returncode == 2
    assert "NOT TESTED" in answer.stdout


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        (b"", "in a form that this version does not know"),
        (
            b'{"inventory": {"folder": "x", "variables": {}, "hosts": {}}, "connections": {},'
            b' "command": "ansible-playbook"}',
            "the inventory has problems",
        ),
    ],
)
def test_an_unusable_inventory_ends_with_2_and_its_reason(given: bytes, cause: str, tmp_path: Path) -> None:
    answer = _run(given, tmp_path)
    assert answer.returncode == 2
    assert cause in answer.stdout + answer.stderr
    assert not (tmp_path / "verify.json").exists()


def test_an_inventory_that_does_not_exist_ends_with_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "tests/verify", "-q", "-p", "no:cacheprovider"]
    command += [f"--ansible-inventory={tmp_path}/none", f"--report-directory={tmp_path}"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert answer.returncode == 2
    assert "Traceback" not in answer.stdout + answer.stderr
