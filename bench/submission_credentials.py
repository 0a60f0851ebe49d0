# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a change of credentials costs: ten against a thousand, in seconds and in calls to the host."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import yaml
from ansible_collections.postseal.mail.plugins.module_utils.model.passwords import new_token, ssha512

from .hosts import ROOT, Host
from .measure import BenchError, figure, progress
from .provision import Shape, edit
from .provision import _hosts as only_hosts

FEW, MANY = 10, 1000
GOAL = 2.0
REPETITIONS = 3


def inventory(directory: Path, host: Host, extra: Mapping[str, Mapping[str, object]]) -> Path:
    """Return the lab's inventory with ``host`` alone and ``extra`` credentials of shop.test, by name."""
    folder = directory / "lab"
    subprocess.run(["cp", "-r", ROOT / "inventories/lab", folder], check=True)
    edit(folder / "hosts.yml", Shape(1, 1), only_hosts)
    path = folder / "group_vars/all/mail.yml"
    data = yaml.safe_load(path.read_text("utf-8"))
    for name, more in extra.items():
        entry = {"name": name, "domain": "shop.test", "secret_hash": ssha512(new_token()).reveal(), **more}
        data["postseal_credentials"].append(entry)
    path.write_text(yaml.safe_dump(data, sort_keys=False), "utf-8")
    return folder


def measure(directory: Path, host: Host) -> None:
    """Have ``host`` serve ten and a thousand credentials in turn, and tell what each change takes."""
    inventories = {}
    for count in (FEW, MANY):
        place = directory / str(count)
        place.mkdir()
        inventories[count] = inventory(place, host, {f"app{number}": {} for number in range(count)})
    taken: dict[int, list[float]] = {FEW: [], MANY: []}
    calls: dict[int, int] = {}
    for _ in range(REPETITIONS):
        for count, folder in inventories.items():
            spent, calls[count] = _change(folder)
            taken[count].append(spent)
            progress(f"{count} credentials: {spent:.2f} s")
    medians = {count: statistics.median(values) for count, values in taken.items()}
    for count in (FEW, MANY):
        figure(f"submission.{count}-credentials-seconds", medians[count])
        figure(f"submission.{count}-credentials-remote-calls", calls[count])
    figure("submission.credentials-many-to-few", medians[MANY] / medians[FEW], f"<={GOAL}")


def _change(folder: Path) -> tuple[float, int]:
    """Return the seconds services.yml takes, and how often it spoke to the host; it must change something."""
    began = time.monotonic()
    command: list[str | Path] = ["ansible-playbook", "-vvv", "-i", folder, ROOT / "playbooks/services.yml"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode or "changed=0" in done.stdout.rpartition("PLAY RECAP")[2].partition("localhost")[0]:
        raise BenchError("\n".join(done.stdout.splitlines()[-30:]))
    return time.monotonic() - began, done.stdout.count("SSH: EXEC")
