# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The lab's beginning, its accidents and its end, on a machine of the test's own beside the lab that stands."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .site import ROOT, SERVICES


@dataclass(frozen=True)
class Machine:
    """Namespaces in which commands see another machine; `init` is their first process as seen from here."""

    init: int

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a shell command there."""
        enter = ["nsenter", "--all", "--target", str(self.init), "sh", "-c", f"cd {ROOT} && {command}"]
        return subprocess.run(enter, capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL)

    def good(self, command: str) -> str:
        """Run a shell command that has to succeed; its standard output."""
        answer = self.run(command)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def well(self) -> bool:
        """Whether `status` finds all services well."""
        answer = self.run("script/lab status")
        return answer.returncode == 0 and answer.stdout.count(" ok\n") == SERVICES

    def traces(self) -> str:
        """What is there of a lab: files, links, namespaces, tables, control groups, mounts, processes."""
        return self.good(
            "ls -A /var/lib; ls /run | grep postseal; ip -o link | grep -v ' lo:'; ip netns; nft list tables;"
            "ls /sys/fs/cgroup | grep postseal; grep -E 'postseal|netns|nspawn' /proc/mounts;"
            "ps -eo args | grep '[n]spawn'; true"
        )


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """An empty machine; whatever runs there ends with the test."""
    with subprocess.Popen(
        [str(ROOT / "tests/lab/machine.sh"), str(tmp_path / "var-lib")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        # The script's child made the namespaces; that one's child is the first process in them.
        yield Machine(child(child(process.pid)))
        process.terminate()


def child(process: int) -> int:
    """The one child of a process."""
    (only,) = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return int(only)


def test_down_leaves_nothing_and_puts_forwarding_back(machine: Machine) -> None:
    before = machine.traces()
    machine.good("echo 0 > /proc/sys/net/ipv4/ip_forward")
    machine.good("script/lab up")
    assert machine.well()
    assert machine.good("cat /proc/sys/net/ipv4/ip_forward") == "1\n"
    assert machine.traces().count("systemd-nspawn") == 4
    machine.good("script/lab down")
    assert machine.traces() == before
    assert machine.good("cat /proc/sys/net/ipv4/ip_forward") == "0\n"
    assert machine.good("script/lab down") == ""


def test_up_repairs_what_a_crash_left(machine: Machine) -> None:
    # Killed while hosts boot.
    machine.run("timeout --signal=KILL 1 script/lab up")
    machine.good("script/lab up")
    assert machine.well()
    # The network is gone, one host is half made, one hangs, one has lost its system.
    machine.good(
        "ip link delete pslab0; nft delete table ip postseal_lab; rm /var/lib/postseal-lab/hosts/sender-a/made-of"
    )
    machine.good("echo 1 > /sys/fs/cgroup/postseal-lab/receiver/cgroup.freeze")
    machine.good("script/lab ssh sender-b sudo rm -r /etc/ssh /usr/lib/systemd; script/lab cut sender-b")
    assert not machine.well()
    machine.good("script/lab up")
    assert machine.well()
    # The machine was switched off: files are there, nothing else.
    machine.good("for group in /sys/fs/cgroup/postseal-lab/*/; do echo 1 > $group/cgroup.kill; done")
    machine.good("umount /run/netns/*; rm /run/netns/*; ip link delete pslab0; nft flush ruleset")
    machine.good("script/lab up")
    assert machine.well()


def test_down_after_a_crash_leaves_nothing(machine: Machine) -> None:
    before = machine.traces()
    machine.run("timeout --signal=KILL 1.5 script/lab up")
    machine.good("rm -r /var/lib/postseal-lab/ssh; rm -f /var/lib/postseal-lab/hosts/*/made-of")
    machine.good("script/lab down")
    assert machine.traces() == before


def test_a_package_that_one_host_downloaded_serves_the_next(machine: Machine, tmp_path: Path) -> None:
    machine.good("mkdir -p /var/cache/postseal-lab/archives")
    machine.good(f"mkdir {tmp_path}/own && mount --bind {tmp_path}/own /var/cache/postseal-lab/archives")
    machine.good("script/lab up")
    machine.good("script/lab ssh sender-a 'echo content > /var/cache/apt/archives/example_1_all.deb'")
    machine.good("script/lab ssh sender-a 'echo half > /var/cache/apt/archives/partial/example_2_all.deb'")
    machine.good("script/lab reset sender-a && script/lab reset sender-b")
    archives = machine.good("script/lab ssh sender-b 'cd /var/cache/apt/archives && sudo grep -rH . --include=*.deb'")
    assert archives == "example_1_all.deb:content\n"


@pytest.mark.parametrize(
    ("occupy", "expected"),
    [
        ("ip link add other type bridge; ip address add 10.97.0.77/28 dev other", "other has the address 10.97.0.77"),
        (
            "ip link add other type bridge; ip link set other up; ip route add 10.97.0.0/25 dev other",
            "10.97.0.0/24 is routed to other",
        ),
        ("ip link add pslab0 type veth peer name other", "`ip link delete pslab0`"),
    ],
)
def test_a_network_that_is_taken_is_explained(machine: Machine, occupy: str, expected: str) -> None:
    machine.good(occupy)
    answer = machine.run("script/lab up")
    assert answer.returncode == 1
    assert expected in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "nspawn" not in machine.traces()


def test_no_package_mirror_names_the_step(machine: Machine, tmp_path: Path) -> None:
    # An empty cache: the trees have to be built, and this machine has no way out.
    machine.good(f"mkdir {tmp_path}/cache && mount --bind {tmp_path}/cache /var/cache")
    answer = machine.run("script/lab up")
    assert answer.returncode == 1
    assert "building the Debian tree bookworm-" in answer.stderr
    assert "does `apt-get update` work on this machine?" in answer.stderr
    assert "nspawn" not in machine.traces()
    assert list((tmp_path / "cache/postseal-lab/trees").iterdir()) == []
