# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The proof as people use it: by playbook or by pytest with the same result, every day, without rights or traces."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .breakage import HOSTS, Record, Zones
from .faults import SHOP
from .site import ROOT, on, play

# root without any of root's rights (capabilities(7)): whoever runs the proof needs none.
POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


@pytest.fixture(autouse=True)
def served(standing_site: None) -> None:
    """Both hosts serve as the inventory says."""


@pytest.fixture
def zones() -> Iterator[Zones]:
    changed = Zones()
    yield changed
    changed.restore()


def _prove(report: Path, *options: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-m", "pytest", "tests/verify", "--ansible-inventory=inventories/lab"]
    command += ["-p", "no:cacheprovider", f"--report-directory={report}", *options]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, check=False
    )


def _read(report: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((report / "verify.json").read_text("utf-8"))
    return found


def _ends(report: Path) -> set[tuple[str, str, str]]:
    return {(entry["id"], entry["target"], entry["status"]) for entry in _read(report)["results"]}


def test_playbook_and_pytest_say_the_same_and_a_repair_is_the_only_news(zones: Zones, tmp_path: Path) -> None:
    played, called = tmp_path / "played", tmp_path / "called"
    zones.replace(Record(SHOP, f"_smtp._tls.{SHOP}", "TXT"))
    run = play("playbooks/verify.yml", "-e", f"report_directory={played}")
    answer = _prove(called)
    assert _ends(played) == _ends(called)
    assert (run.returncode, answer.returncode) == (2, 1)
    assert _read(played)["exit_code"] == _read(called)["exit_code"] == 1
    assert {(check, target) for check, target, status in _ends(called) if status == "failed"} == {("RPT-1", SHOP)}
    for text in (run.output, answer.stdout):
        assert f"FAILED RPT-1, {SHOP}: " in text
    zones.restore()
    news = _prove(called, "--only-changes")
    assert news.stdout.splitlines()[1:] == [
        f"REPAIRED RPT-1, {SHOP}: Senders are told where to report on TLS towards the domain"
    ], news.stderr
    again = _prove(called, "--only-changes")
    assert (again.stdout, again.stderr, again.returncode) == ("", "", 0)


def test_it_needs_no_rights_and_leaves_no_traces(tmp_path: Path) -> None:
    state = (
        "find /etc -xdev -type f -exec sha256sum {} + | sort | sha256sum; systemctl --failed --no-legend; postqueue -p"
    )
    before = [on(host, state) for host in HOSTS]
    answer = _prove(tmp_path, before=POWERLESS)
    assert answer.returncode == 0, answer.stdout
    assert [on(host, state) for host in HOSTS] == before


def test_what_expires_is_in_the_report(tmp_path: Path) -> None:
    assert _prove(tmp_path).returncode == 0
    report = _read(tmp_path)
    assert {one["what"] for one in report["expiries"]} >= {"certificate", "DKIM key", "DNSSEC signature"}
    assert all(0 < one["days"] < 3650 for one in report["expiries"])
    assert {view["verdict"] for view in report["readiness"]} == {"ready"}


def test_a_test_message_is_followed_to_the_receiver() -> None:
    run = play("playbooks/send_test.yml", "-e", "to=probe@receiver.test", "-e", f"mail_host={HOSTS[1]}")
    assert run.returncode == 0, run.output
    assert f"to {HOSTS[1]} " in run.output
    assert "RCPT TO:<probe@receiver.test>: 250 2.1.5 Ok (yes, done)" in run.output
    assert f"arrived from {HOSTS[1]} [" in run.output
    assert "DMARC pass" in run.output
    assert "receiver.receiver.test[" in run.output
    assert run.changed() == {"localhost": 0, HOSTS[1]: 0}


def test_a_test_message_that_is_refused_says_why() -> None:
    probe = {"credential": "shop", "secret": "not-the-password", "recipient": "p@receiver.test", "mailbox": "/none"}
    run = play("playbooks/send_test.yml", "-e", json.dumps({"to": "p@receiver.test", "postseal_probe": probe}))
    assert run.returncode == 2
    assert "the login is refused: name or password is wrong" in " ".join(run.output.split())
    assert "not-the-password" not in run.output
