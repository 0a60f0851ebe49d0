# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Run playbooks and commands against the lab the way a person does, and say what came of it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAB_STATE = Path("/var/lib/postseal-lab")
HOSTS = ("sender-a.sender.test", "sender-b.sender.test")
# Lines of `script/lab status`: logins, name servers, resolver, authority, receiver, and who serves MTA-STS policies.
SERVICES = 4 + 2 + 1 + 1 + 1 + 4
# The first call logs in, those after it take the same connection: a login costs ten times what most commands do.
_SSH = ("ssh", "-F", str(LAB_STATE / "ssh/config"), "-o", f"ControlPath={LAB_STATE}/ssh/tests-%n")
_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What one ansible-playbook call did: exit code, text, and per host (ok, changed, unreachable, failed)."""

    returncode: int
    output: str
    recap: dict[str, tuple[int, int, int, int]]

    def changed(self) -> dict[str, int]:
        """Return how many tasks changed something, by host."""
        return {host: counts[1] for host, counts in self.recap.items()}


def play(*arguments: str, inventory: Path = Path("inventories/lab")) -> Run:
    """Run ansible-playbook in the checkout against the lab and return what it did."""
    command = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", str(inventory), *arguments]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    answer = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    output = answer.stdout + answer.stderr
    recap = {
        match[1]: (int(match[2]), int(match[3]), int(match[4]), int(match[5])) for match in _RECAP.finditer(output)
    }
    return Run(answer.returncode, output, recap)


def lab(*arguments: str) -> str:
    """Run script/lab and return its standard output; raises :class:`subprocess.CalledProcessError` if it fails."""
    if arguments[0] in ("reset", "cut"):
        hang_up(arguments[1])
    answer = subprocess.run(
        [str(ROOT / "script/lab"), *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return answer.stdout


def lab_with_input(text: str, *arguments: str) -> str:
    """Run script/lab with TEXT on its standard input and return its standard output."""
    answer = subprocess.run(
        [str(ROOT / "script/lab"), *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, input=text
    )
    return answer.stdout


def ssh(host: str, command: str) -> list[str]:
    """Return the command line that runs a shell command on a lab host (short or full name) as its SSH user."""
    return [*_SSH, "-o", "ControlMaster=auto", "-o", "ControlPersist=60", host.partition(".")[0], command]


def hang_up(host: str) -> None:
    """Close the connection that :func:`ssh` keeps, if there is one: its host goes away."""
    subprocess.run([*_SSH, "-O", "exit", host.partition(".")[0]], check=False, capture_output=True)


def on(host: str, command: str) -> str:
    """Run a shell command as root on a lab host and return its standard output."""
    line = ssh(host, f"sudo -n sh -c {shlex.quote(command)}")
    return subprocess.run(line, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True).stdout


def nftables_forgets(host: str, act: str, table: str) -> None:
    """Have nftables.service ``restart`` or ``reload``, which forgets all tables; wait until one of ours is back."""
    on(host, f"systemctl {act} nftables; timeout 20 sh -c 'until nft list tables | grep {table}; do sleep 0.2; done'")
