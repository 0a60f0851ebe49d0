# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What each command of script/lab does."""

from __future__ import annotations

import argparse
import fcntl
import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from . import cgroups, config, credentials, health, hosts, network, tools, trees
from .run import LabError, say, step


def run(arguments: argparse.Namespace) -> int:
    """Carry out a parsed command line; returns the exit code."""
    if os.geteuid() != 0:
        raise LabError("the lab boots hosts and changes the machine's network: run script/lab as root")
    lab = config.load()
    if arguments.command in WHOLE:
        return WHOLE[arguments.command](lab, arguments)
    if arguments.host not in {host.name for host in lab.hosts}:
        raise LabError(f"no host {arguments.host}; there are {', '.join(host.name for host in lab.hosts)}")
    return SINGLE[arguments.command](lab, lab.host(arguments.host), arguments)


@contextmanager
def locked() -> Iterator[None]:
    """One command changes the lab at a time; a second one waits for the first."""
    while True:
        with config.LOCK.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("waiting for another script/lab to end ...")
                fcntl.flock(lock, fcntl.LOCK_EX)
            # `down` removes the file: what was waited for may no longer be the lock that others see.
            if config.LOCK.exists() and config.LOCK.samefile(f"/proc/self/fd/{lock.fileno()}"):
                yield
                return


def up(lab: config.Lab, _arguments: argparse.Namespace) -> int:
    """Bring the lab up. What is well stays as it is; what is missing, dead or out of date is made anew."""
    with locked(), step("lab up"):
        tools.ensure()
        config.STATE.mkdir(parents=True, exist_ok=True)
        found = trees.ensure(lab)
        credentials.ensure(lab)
        network.ensure(lab)
        cgroups.root()
        with ThreadPoolExecutor(max_workers=len(lab.hosts)) as pool:
            list(pool.map(lambda host: bring_up(lab, host, found[host.name]), lab.hosts))
        health.wait(lab)
        health.write_bundle(lab)
        health.write_anchors(lab)
    report(lab, {})
    return 0


def bring_up(lab: config.Lab, host: config.Host, tree: Path) -> None:
    """Leave HOST alone if it is well, boot it again if it lost power, make it anew if that does not help."""
    if hosts.is_current(lab, host, tree):
        if hosts.lets_in(host):
            return
        try:
            with step(f"booting {host.name} again"):
                hosts.boot(lab, host)
                hosts.wait_booted(host)
                return
        except LabError as error:
            say(str(error))
    with step(f"making {host.name}"):
        hosts.create(lab, host, tree)
        hosts.boot(lab, host)
        hosts.wait_booted(host)


def reset(lab: config.Lab, host: config.Host, _arguments: argparse.Namespace) -> int:
    """Throw HOST away and make it anew; its SSH host key stays the same."""
    with locked(), step(f"reset {host.name}"):
        require_up()
        hosts.create(lab, host, trees.tree_of(lab, host).path)
        hosts.boot(lab, host)
        hosts.wait_booted(host)
        health.wait(lab)
        health.write_bundle(lab)
        health.write_anchors(lab)
    return 0


def cut(_lab: config.Lab, host: config.Host, _arguments: argparse.Namespace) -> int:
    """Stop HOST the hard way."""
    with locked():
        cgroups.kill(cgroups.of(host))
        network.unplug(host)
    say(f"{host.name} has no power; `script/lab up` boots it again")
    return 0


def require_up() -> None:
    """LabError if there is no lab."""
    if not config.CA_BUNDLE.exists():
        raise LabError("the lab is not up: run `script/lab up`")


def status(lab: config.Lab, _arguments: argparse.Namespace) -> int:
    """Print hosts and services; 0 if all is well, else 1."""
    if not config.HOSTS.is_dir():
        print("The lab is down.")
        return 1
    problems = health.survey((*health.logins(lab), *health.internet(lab)))
    report(lab, problems)
    return 1 if problems else 0


def report(lab: config.Lab, problems: Mapping[health.Service, str]) -> None:
    """Print hosts and services, each with its problem or `ok`."""
    print(f"{'HOST':10} {'RELEASE':9} {'SERVICE':26} {'WHERE':32} STATE")
    releases = {host.name: host.release for host in lab.hosts}
    for service in (*health.logins(lab), *health.internet(lab)):
        state = problems.get(service, "ok")
        print(f"{service.host:10} {releases[service.host]:9} {service.name:26} {service.where:32} {state}")


def down(lab: config.Lab, arguments: argparse.Namespace) -> int:
    """Remove every process, cable, table, cgroup and file of the lab, whatever state it is in."""
    with locked(), step("lab down"):
        groups = cgroups.root()
        if groups.is_dir():
            for group in [path for path in groups.iterdir() if path.is_dir()]:
                cgroups.kill(group)
            groups.rmdir()
        for host in lab.hosts:
            hosts.discard(host)
        network.remove(lab)
        cgroups.release()
        if config.STATE.exists():
            shutil.rmtree(config.STATE)
        if arguments.cache and config.CACHE.exists():
            shutil.rmtree(config.CACHE)
        config.LOCK.unlink()
    return 0


def ssh(_lab: config.Lab, host: config.Host, arguments: argparse.Namespace) -> int:
    """Become ssh(1) on HOST; what follows the name is a command line for its shell, as with ssh."""
    return become_ssh(host, arguments.rest)


def logs(_lab: config.Lab, host: config.Host, arguments: argparse.Namespace) -> int:
    """Become journalctl(1) on HOST."""
    sudo = [] if host.user == "root" else ["sudo"]
    command = ["journalctl", "--no-pager", "--namespace=+postseal"]
    return become_ssh(host, [*sudo, *command, *map(shlex.quote, arguments.rest)])


def become_ssh(host: config.Host, words: Sequence[str]) -> int:
    """Replace this process by ssh(1); only a failure returns."""
    require_up()
    os.execvp("ssh", ["ssh", "-F", str(config.SSH / "config"), host.name, *words])  # noqa: S606


WHOLE: dict[str, Callable[[config.Lab, argparse.Namespace], int]] = {"up": up, "down": down, "status": status}
SINGLE: dict[str, Callable[[config.Lab, config.Host, argparse.Namespace], int]] = {
    "ssh": ssh,
    "reset": reset,
    "cut": cut,
    "logs": logs,
}
