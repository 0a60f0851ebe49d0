# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The life of a host: made, booted, killed, thrown away."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from . import archives, cgroups, config, credentials, definition, network
from .run import LabError, attempt


def create(lab: config.Lab, host: config.Host, tree: Path) -> None:
    """Write a pristine host. What was there of it is gone afterwards."""
    discard(host)
    upper = host.directory / "upper"
    for name in ("upper", "work", "root"):
        (host.directory / name).mkdir(parents=True)
    config.HOSTS.chmod(0o700)  # below it are the hosts' private keys, whatever their umask
    upper.chmod(0o755)
    archives.offer(upper)
    definition.write_identity(lab, host, tree, upper)
    definition.write_files(lab, host, upper)
    credentials.write(host.directory / "made-of", f"{definition.fingerprint(lab, host, tree)}\n{tree}\n")


def boot(lab: config.Lab, host: config.Host) -> None:
    """Start HOST on what is written of it; returns as soon as its first process runs or has failed."""
    cgroups.kill(cgroups.of(host))
    network.plug_in(host, lab.network)
    group = cgroups.of(host)
    group.mkdir(parents=True)
    tree = (host.directory / "made-of").read_text().splitlines()[1]
    options = []
    if host.name == "receiver":
        config.MAIL.mkdir(parents=True, exist_ok=True)
        config.MAIL.chmod(0o700)
        options.append(f"--bind={config.MAIL}:/srv/mail")
    with (host.directory / "console.log").open("ab") as console:
        # A session of its own: it lives on when the terminal or the job that started it ends.
        process = subprocess.Popen(
            [
                "unshare", "--mount", "--propagation", "private", str(config.FILES / "boot"),
                str(group), tree, str(host.directory), host.netns, host.name, *options,
            ],
            stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + 5
    while not cgroups.is_populated(host) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


def discard(host: config.Host) -> None:
    """Power HOST off and remove what it has written; its packages are kept for the next."""
    cgroups.kill(cgroups.of(host))
    network.unplug(host)
    if host.directory.exists():
        archives.collect(host)
        shutil.rmtree(host.directory)


def is_current(lab: config.Lab, host: config.Host, tree: Path) -> bool:
    """Whether HOST is complete and made of what the lab says today."""
    try:
        return (host.directory / "made-of").read_text().split()[0] == definition.fingerprint(lab, host, tree)
    except (FileNotFoundError, IndexError):
        return False


def ssh(host: config.Host, command: str, timeout: float = 20) -> subprocess.CompletedProcess[str]:
    """Run a shell command on HOST as its SSH user."""
    return attempt(["ssh", "-F", str(config.SSH / "config"), host.name, command], timeout=timeout)


def lets_in(host: config.Host) -> bool:
    """Whether HOST's user can log in. A login, not a bare connection: sshd of Debian 13 punishes those."""
    return cgroups.is_populated(host) and ssh(host, "true").returncode == 0


def is_open(host: config.Host) -> bool:
    """Whether HOST has come so far that users may log in (systemd-user-sessions.service), seen from outside."""
    try:
        first = (cgroups.of(host) / "payload/init.scope/cgroup.procs").read_text().split()[0]
        root = Path(f"/proc/{first}/root")
        listening = (root / "run/sshd.pid").exists()
        return listening and not (root / "run/nologin").exists()
    except (OSError, IndexError):
        return False


def wait_booted(host: config.Host, seconds: float = 30) -> str:
    """Wait until HOST lets its user in and systemd has settled; returns systemd's word for it (`running`).

    Raises LabError with the end of the console if it never does.
    """
    deadline = time.monotonic() + seconds
    done = None
    while time.monotonic() < deadline and cgroups.is_populated(host):
        if is_open(host):
            done = ssh(host, "systemctl is-system-running --wait")
            if done.stdout.strip() in ("running", "degraded"):
                return done.stdout.strip()
        time.sleep(0.02)
    console = (host.directory / "console.log").read_text(errors="replace").splitlines()[-8:]
    said = [f"ssh: {done.stderr.strip() or done.stdout.strip()}"] if done else []
    raise LabError("\n  ".join([f"{host.name} does not boot; its console ends with", *console, *said]))
