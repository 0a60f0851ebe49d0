# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The lab's mail hosts as a benchmark needs them: by SSH, without Ansible."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from .measure import BenchError

ROOT = Path(__file__).resolve().parents[1]
LAB = Path("/var/lib/postseal-lab")
SSH = LAB / "ssh"

# What a host has: packages someone asked for, units that are enabled and active, the files it was asked about.
_SURVEY = r"""
import grp, json, os, pwd, stat, subprocess, sys
asked = json.load(sys.stdin)
def lines(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
def entry(path):
    about = os.lstat(path)
    found = {"path": path, "owner": pwd.getpwuid(about.st_uid).pw_name, "group": grp.getgrgid(about.st_gid).gr_name}
    return {**found, "mode": format(stat.S_IMODE(about.st_mode), "o")}
keys = [os.path.join(top, name) for top, _, names in os.walk("/etc/postseal") for name in names]
enabled = {line.split()[0] for line in lines("systemctl", "list-unit-files", "--state=enabled", "--no-legend")}
active = {line.split()[0] for line in lines("systemctl", "list-units", "--state=active", "--no-legend", "--plain")}
files = [path for path in asked if os.path.isfile(path) and not os.path.islink(path)]
print(json.dumps({
    "packages": lines("apt-mark", "showmanual"),
    "units": sorted(enabled & active),
    "files": [{**entry(path), "content": open(path, encoding="utf-8").read()} for path in files],
    "keys": [entry(path) for path in sorted(keys) if path not in files],
    "directories": [entry(top) for top, _, _ in os.walk("/etc/postseal")],
}))
"""


@dataclass(frozen=True)
class Host:
    """One mail host of the lab: its name there, its inventory name, its address and the account for SSH."""

    name: str
    fqdn: str
    address: str
    user: str

    def command(self, *words: str) -> list[str]:
        """Return the command line that runs ``words`` there as root."""
        sudo = [] if self.user == "root" else ["sudo"]
        return ["ssh", "-F", str(SSH / "config"), self.name, *sudo, *words]

    def survey(self) -> dict[str, list[object]]:
        """Return packages, units, files, keys and directories of the host; raises :class:`BenchError`."""
        words = self.command("python3", "-c", shlex.quote(_SURVEY))
        done = subprocess.run(words, input=json.dumps(templates()), capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"{self.name} does not answer: {done.stderr.strip()}")
        answer: dict[str, list[object]] = json.loads(done.stdout)
        return answer


HOSTS = (
    Host("sender-a", "sender-a.sender.test", "10.97.0.21", "root"),
    Host("sender-b", "sender-b.sender.test", "10.97.0.22", "admin"),
)


def templates() -> list[str]:
    """Return where the roles' templates are installed; they lie in folders named like their destination."""
    roots = sorted((ROOT / "roles").glob("*/templates"))
    return ["/" + str(path.relative_to(top)).removesuffix(".j2") for top in roots for path in top.rglob("*.j2")]


def write_state(directory: Path, born: dict[str, dict[str, list[object]]], hosts: tuple[Host, ...]) -> dict[str, str]:
    """Write what ``hosts`` have more than when they were ``born``; return the environment that pyinfra finds it by.

    Configuration may hold secrets: ``directory`` must be private.
    """
    told = []
    for host in hosts:
        now = host.survey()
        kept = {key: [part for part in now[key] if part not in born[host.name][key]] for key in ("packages", "units")}
        for number, file in enumerate(now["files"]):
            assert isinstance(file, dict)  # noqa: S101 - the survey above says so
            source = directory / f"{host.name}-{number}"
            source.write_text(file.pop("content"), "utf-8")
            file["source"] = str(source)
        kept |= {key: now[key] for key in ("files", "keys", "directories")}
        told.append(
            {**asdict(host), "key": str(SSH / "id_ed25519"), "known_hosts": str(SSH / "known_hosts"), "kept": kept}
        )
    state = directory / "state.json"
    state.write_text(json.dumps({"hosts": told}), "utf-8")
    return {**os.environ, "POSTSEAL_BENCH_STATE": str(state)}
