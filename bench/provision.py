# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What provisioning costs: the first run against apt-get alone, a run that changes nothing against pyinfra and a ping.

The lab's mail hosts are reset for it, and end as the lab's own inventory describes them.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .hosts import HOSTS, ROOT, Host, write_state
from .measure import BenchError, figure, interleave, progress, seconds, together

Survey = dict[str, list[object]]
Command = list[str | Path]
FIRST_REPETITIONS = 3
UNCHANGED_REPETITIONS = 5
# Zones of the lab that may be updated (lab/lab.toml).
DOMAINS = ("shop.test", *(f"shop{number}.test" for number in range(1, 10)))
PEER = ROOT / "bench/peer"
FIRST_GOAL, UNCHANGED_GOAL = 1.5, 0.6


@dataclass(frozen=True)
class Shape:
    """How much one run provisions."""

    hosts: int
    domains: int

    @property
    def name(self) -> str:
        """What figures of this shape are called."""
        return f"{self.hosts}-host{'s' * (self.hosts > 1)}-{self.domains}-domain{'s' * (self.domains > 1)}"


# The last one is the lab's own but for its parked domain, which no host knows of: nothing is left behind.
SHAPES = (Shape(1, 10), Shape(2, 10), Shape(1, 1), Shape(2, 1))
FIRST = (Shape(1, 1), Shape(2, 1))


class Bench:
    """The measurements, with a private directory for inventories and for what the peer installs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.born: dict[str, Survey] = {}

    def run(self) -> None:
        """Take all figures."""
        for shape in FIRST:
            self.first(shape)
        for shape in SHAPES:
            self.unchanged(shape)

    def first(self, shape: Shape) -> None:
        """Compare the first run with an installation of the same packages and nothing else."""
        hosts, inventory = HOSTS[: shape.hosts], self.inventory(shape)
        wanted: dict[str, list[str]] = {}
        proof: list[float] = []

        def site() -> float:
            self.reset(hosts)
            self.born = self.born or {host.name: host.survey() for host in HOSTS}
            taken = seconds([*playbook(inventory), "--skip-tags", "verify"])
            proof.append(seconds([*playbook(inventory), "--tags", "verify"]))
            for host in hosts:
                wanted[host.name] = [
                    str(p) for p in host.survey()["packages"] if p not in self.born[host.name]["packages"]
                ]
            return taken

        def apt() -> float:
            self.reset(hosts)
            return together([host.command(*INSTALL, *wanted[host.name]) for host in hosts])

        self.reset(HOSTS)
        medians = interleave({"site.yml without the proof, first run": site, "apt-get install": apt}, FIRST_REPETITIONS)
        ours, floor = medians.values()
        proven = ours + statistics.median(proof)
        figure(f"provision.first.{shape.name}.site-seconds", proven)
        figure(f"provision.first.{shape.name}.site-without-proof-seconds", ours)
        figure(f"provision.first.{shape.name}.apt-get-seconds", floor)
        figure(f"provision.first.{shape.name}.site-to-apt-get", proven / floor, f"<={FIRST_GOAL}")
        figure(f"provision.first.{shape.name}.site-without-proof-to-apt-get", ours / floor, f"<={FIRST_GOAL}")

    def unchanged(self, shape: Shape) -> None:
        """Compare a run that finds everything in place with pyinfra's, and with an Ansible ping."""
        hosts, inventory = HOSTS[: shape.hosts], self.inventory(shape)
        progress(f"converging {shape.name}")
        seconds(playbook(inventory))
        require_no_change(inventory)
        kept = write_state(self.directory, self.born, hosts)
        peer: Command = [
            ROOT / ".venv-bench/bin/pyinfra",
            "-y",
            ROOT / "bench/peer/inventory.py",
            ROOT / "bench/peer/deploy.py",
        ]
        seconds(peer, kept)
        medians = interleave(
            {
                "site.yml": lambda: seconds(playbook(inventory)),
                "site.yml without the proof": lambda: seconds([*playbook(inventory), "--skip-tags", "verify"]),
                "pyinfra": lambda: seconds(peer, kept),
                "ansible ping": lambda: seconds(["ansible", "-i", inventory, "postseal_submission", "-m", "ping"]),
            },
            UNCHANGED_REPETITIONS,
        )
        site, converge, other, ping = medians.values()
        prefix, goal = f"provision.unchanged.{shape.name}", f"<={UNCHANGED_GOAL}"
        figure(f"{prefix}.site-seconds", site)
        figure(f"{prefix}.site-without-proof-seconds", converge)
        figure(f"{prefix}.pyinfra-seconds", other)
        figure(f"{prefix}.site-to-pyinfra", site / other, goal)
        figure(f"{prefix}.site-without-proof-to-pyinfra", converge / other, goal)
        figure(f"{prefix}.site-to-ping", site / ping)
        figure(f"{prefix}.site-without-proof-to-ping", converge / ping)

    def inventory(self, shape: Shape) -> Path:
        """Return an inventory of this shape, the lab's in all other respects.

        Its folder is called lab too: the folder's name marks whose DNS records are whose.
        """
        folder = self.directory / shape.name / "lab"
        if not folder.exists():
            shutil.copytree(ROOT / "inventories/lab", folder)
            edit(folder / "hosts.yml", shape, _hosts)
            edit(folder / "group_vars/all/mail.yml", shape, _mail)
        return folder

    def reset(self, hosts: Sequence[Host]) -> None:
        """Give ``hosts`` back their state after birth."""
        for host in hosts:
            seconds([ROOT / "script/lab", "reset", host.name])


INSTALL = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "install", "--no-install-recommends")


def playbook(inventory: Path) -> Command:
    """Return the command line of site.yml."""
    return ["ansible-playbook", "-i", inventory, ROOT / "site.yml"]


def require_no_change(inventory: Path) -> None:
    """Run site.yml; raise :class:`BenchError` unless every host reports changed=0."""
    done = subprocess.run(playbook(inventory), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    recap = [line for line in done.stdout.splitlines() if " changed=" in line]
    if done.returncode or not recap or any(" changed=0 " not in line for line in recap):
        raise BenchError(f"a second run is not without change:\n{done.stdout[-2000:]}")


def edit(path: Path, shape: Shape, change: Any) -> None:
    """Rewrite a YAML file of an inventory for ``shape``."""
    data = yaml.safe_load(path.read_text("utf-8"))
    change(data, shape)
    path.write_text(yaml.safe_dump(data, sort_keys=False), "utf-8")


def _hosts(data: dict[str, Any], shape: Shape) -> None:
    wanted = {host.fqdn for host in HOSTS[: shape.hosts]}
    listed = data["postseal_submission"]["hosts"]
    data["postseal_submission"]["hosts"] = {name: said for name, said in listed.items() if name in wanted}


def _mail(data: dict[str, Any], shape: Shape) -> None:
    first = data["postseal_domains"][0]
    data["postseal_domains"] = [{**first, "name": name} for name in DOMAINS[: shape.domains]]
    # Shapes follow each other in the same zones: what the last one published stays, and what changes may be much.
    data["postseal_dns"] |= {"limits": {"max_deletes": 1000, "max_changed_percent": 100}}


def main() -> None:
    """Bring the lab up and print the figures."""
    progress("script/lab up")
    seconds([ROOT / "script/lab", "up"])
    with tempfile.TemporaryDirectory(prefix="postseal-bench.") as directory:
        Bench(Path(directory)).run()


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        raise SystemExit(f"not measured: {error}") from None
