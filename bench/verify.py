# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""How long the proof takes at the lab, from the command to the exit code, and what it asks of others.

The lab must be up and serve (script/lab up, site.yml). The nine further domains are names below the lab's own: nothing
is published for them, and asking costs the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

from .measure import BenchError, figure, interleave, progress

ROOT = Path(__file__).resolve().parent.parent
SSLYZE = ROOT / ".venv-sslyze/bin/sslyze"
ROUNDS = 3
GOAL, SCANNED_GOAL, TEN_GOAL = 6.0, 15.0, 2.0


def main() -> None:
    """Take all figures."""
    given = _given()
    one, ten = _narrowed(given, 1), _narrowed(given, 10)
    reports: dict[str, dict[str, Any]] = {}

    def case(name: str, inventory: dict[str, Any], sslyze: str = "") -> float:
        progress(f"verify {name}")
        seconds, reports[name] = _run(inventory, sslyze)
        return seconds

    taken = interleave(
        {
            "one": lambda: case("one", one),
            "ten": lambda: case("ten", ten),
            "scanned": lambda: case("scanned", one, str(SSLYZE)),
        },
        ROUNDS,
    )
    figure("verify.one_host_one_domain_s", taken["one"], f"<={GOAL:g}")
    figure("verify.one_host_one_domain_with_sslyze_s", taken["scanned"], f"<={SCANNED_GOAL:g}")
    figure("verify.ten_domains_by_one", taken["ten"] / taken["one"], f"<={TEN_GOAL:g}")
    for name in ("one", "ten"):
        figure(f"verify.{name}.checks", len(reports[name]["results"]))
        for kind, number in sorted(reports[name]["connections"].items()):
            figure(f"verify.{name}.{kind}", number)


def _given() -> dict[str, Any]:
    """Return the lab's inventory as the proof reads it."""
    command = [sys.executable, "tests/verify/proof/resolve.py", "inventories/lab"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise BenchError(f"the lab's inventory cannot be read: {answer.stderr.strip()[-300:]}")
    given: dict[str, Any] = json.loads(answer.stdout)
    return given


def _narrowed(given: dict[str, Any], domains: int) -> dict[str, Any]:
    """Return the inventory with one host and so many domains."""
    narrowed = deepcopy(given)
    host = min(narrowed["inventory"]["hosts"])
    narrowed["inventory"]["hosts"] = {host: narrowed["inventory"]["hosts"][host]}
    narrowed["connections"] = {host: narrowed["connections"][host]}
    own = narrowed["inventory"]["variables"]["postseal_domains"][0]
    more = [{**own, "name": f"d{number}.{own['name']}"} for number in range(1, domains)]
    narrowed["inventory"]["variables"]["postseal_domains"] = [own, *more]
    return narrowed


def _run(given: dict[str, Any], sslyze: str) -> tuple[float, dict[str, Any]]:
    reading, writing = os.pipe()
    os.write(writing, json.dumps(given).encode())
    os.close(writing)
    with tempfile.TemporaryDirectory(prefix="postseal-bench-") as folder:
        command = [sys.executable, "-m", "pytest", "tests/verify", "-q", "-p", "no:cacheprovider"]
        command += [f"--handover-fd={reading}", f"--report-directory={folder}", f"--sslyze={sslyze}"]
        began = time.monotonic()
        try:
            answer = subprocess.run(
                command, cwd=ROOT, pass_fds=[reading], capture_output=True, text=True, check=False, timeout=600
            )
        finally:
            os.close(reading)
        seconds = time.monotonic() - began
        written = Path(folder) / "verify.json"
        if not written.exists():
            raise BenchError(f"the proof did not run: {answer.stdout[-300:]}")
        report: dict[str, Any] = json.loads(written.read_text("utf-8"))
    if not any(one["id"] == "AUTH-3" and one["status"] == "passed" for one in report["results"]):
        raise BenchError("the lab does not serve: script/lab up; ansible-playbook -i inventories/lab site.yml")
    return seconds, report


if __name__ == "__main__":
    main()
