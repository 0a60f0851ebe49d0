# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The whole proof against systems that are not there, and without a usable inventory: no pass, no traceback."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .whole import DEAD, ROOT, SECRET, run


def test_a_system_that_is_not_there_passes_nothing(tmp_path: Path) -> None:
    answer = run(json.dumps(DEAD).encode(), tmp_path)
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
    first, second = (run(json.dumps(DEAD).encode(), tmp_path, "--only-changes", "-k", "test_dmarc") for _ in "ab")
    told = re.match(r"Proof of staging: (\d+) problems, first report\nNEW NOT TESTED ", first.stdout)
    assert told, first.stdout
    assert (second.stdout, second.stderr) == ("", "")
    assert first.returncode == second.returncode == 2
    assert json.loads((tmp_path / "verify.json").read_text())["changes"]["remaining"] == int(told[1]) > 1
    assert json.loads((tmp_path / "verify.previous.json").read_text())["changes"] is None


def test_a_selection_that_cannot_be_tested_ends_with_2(tmp_path: Path) -> None:
    answer = run(json.dumps(DEAD).encode(), tmp_path, "-k", "test_dmarc")
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
    answer = run(given, tmp_path)
    assert answer.returncode == 2
    assert cause in answer.stdout + answer.stderr
    assert not (tmp_path / "verify.json").exists()


def test_an_inventory_that_does_not_exist_ends_with_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "tests/verify", "-q", "-p", "no:cacheprovider"]
    command += [f"--ansible-inventory={tmp_path}/none", f"--report-directory={tmp_path}"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert answer.returncode == 2
    assert "Traceback" not in answer.stdout + answer.stderr
