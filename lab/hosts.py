# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Hosts: a cached tree, what is written over it, and the processes that run in it."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from string import Template

from . import config, credentials, network, zones
from .run import LabError, attempt, run, say

CGROUP = "postseal-lab"
OWN_CGROUP_MOUNT = Path("/run/postseal-lab-cgroup")
RESOLV_CONFS = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))


# --- cgroups: one per host; killing it is pulling the plug -------------------------------------------------------


def cgroup_root() -> Path:
    """Where cgroup2 is mounted on this machine: alone, or beside the old hierarchies. Mounted if it is nowhere."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _device, place, kind, *_rest = line.split()
        if kind == "cgroup2":
            return Path(place) / CGROUP
    OWN_CGROUP_MOUNT.mkdir(exist_ok=True)
    run(["mount", "-t", "cgroup2", "none", str(OWN_CGROUP_MOUNT)])
    return OWN_CGROUP_MOUNT / CGROUP


def release_cgroup_root() -> None:
    """Unmount what cgroup_root() had to mount."""
    if OWN_CGROUP_MOUNT.is_dir():
        run(["umount", str(OWN_CGROUP_MOUNT)])
        OWN_CGROUP_MOUNT.rmdir()


def cgroup(host: config.Host) -> Path:
    """The cgroup of HOST."""
    return cgroup_root() / host.name


def is_running(host: config.Host) -> bool:
    """Whether any process of HOST is alive."""
    try:
        return "populated 1" in (cgroup(host) / "cgroup.events").read_text()
    except FileNotFoundError:
        return False


def kill(group: Path) -> None:
    """Kill every process of a cgroup and remove it; LabError if one does not go."""
    if not group.is_dir():
        return
    (group / "cgroup.kill").write_text("1")
    deadline = time.monotonic() + 10
    while "populated 1" in (group / "cgroup.events").read_text():
        if time.monotonic() > deadline:
            raise LabError(f"processes of {group} do not end; see {group}/cgroup.procs")
        time.sleep(0.01)
    for directory, _names, _files in os.walk(group, topdown=False):
        Path(directory).rmdir()


# --- what a host is made of --------------------------------------------------------------------------------------


def fingerprint(lab: config.Lab, host: config.Host, tree: Path) -> str:
    """A digest of all that HOST is made of; a host with another one is out of date."""
    digest = hashlib.sha256(json.dumps([tree.name, repr(host), repr(lab.network)]).encode())
    if (config.FILES / host.name).is_dir():
        digest.update(repr((lab.static_zones, lab.dynamic_zones, lab.tsig, forwarders())).encode())
        for path in sorted(files_of(host)):
            digest.update(str(path).encode() + path.read_bytes())
    return digest.hexdigest()


def files_of(host: config.Host) -> Iterator[Path]:
    """The files that the lab brings for HOST."""
    return (path for path in (config.FILES / host.name).rglob("*") if path.is_file())


def forwarders() -> tuple[str, ...]:
    """The machine's resolvers. Those on loopback are left out: hosts cannot reach them."""
    for path in RESOLV_CONFS:
        if path.exists():
            lines = [line.split() for line in path.read_text().splitlines()]
            servers = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
            usable = [server for server in servers if not server.startswith("127.") and server != "::1"]
            if usable:
                return tuple(usable)
    say("this machine's resolver listens on loopback only: hosts of the lab cannot resolve names outside it")
    return ()


def values(lab: config.Lab) -> dict[str, str]:
    """What templates may say."""
    forward = forwarders()
    return {
        "tsig": lab.tsig,
        "tsig_secret": (config.SECRETS / "tsig").read_text().strip(),
        "xfr_secret": (config.SECRETS / "xfr").read_text().strip(),
        "controller_ipv4": lab.network.controller.ipv4,
        "controller_ipv6": lab.network.controller.ipv6,
        "primary_zones": zones.knot_zones(lab, secondary=False),
        "secondary_zones": zones.knot_zones(lab, secondary=True),
        "stub_zones": zones.stub_zones(lab),
        "forwarders": "\n".join(f"    forward-addr: {address}" for address in forward),
    }


def write_files(lab: config.Lab, host: config.Host, upper: Path) -> None:
    """Put the lab's files for HOST in place, templates rendered, units enabled."""
    source = config.FILES / host.name
    for path in files_of(host):
        target = upper / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".tmpl":
            credentials.write(target.with_suffix(""), Template(path.read_text()).substitute(values(lab)))
        else:
            shutil.copy(path, target)
        if path.suffix == ".service":
            enable(upper, path.name)
    if host.name == "internet":
        write_internet(lab, upper)
    if host.name == "receiver":
        copy_certificate("receiver", upper / "etc/lab/receiver")


def write_internet(lab: config.Lab, upper: Path) -> None:
    """Zones and the ACME authority's certificate; Debian's own units of these daemons stay off."""
    for zone in zones.every_zone(lab):
        credentials.write(upper / f"var/lib/knot-primary/{zone}.zone", zones.zone_file(lab, zone), 0o644)
    credentials.write(upper / "etc/knot/zones", "".join(f"{zone}\n" for zone in zones.every_zone(lab)), 0o644)
    copy_certificate("acme", upper / "etc/pebble/acme")
    for unit in ("knot.service", "unbound.service", "unbound-resolvconf.service"):
        mask(upper, unit)


def copy_certificate(name: str, target: Path) -> None:
    """Copy pki/NAME.{crt,key} to TARGET.{crt,key}."""
    credentials.write(target.with_suffix(".crt"), (config.PKI / f"{name}.crt").read_text(), 0o644)
    credentials.write(target.with_suffix(".key"), (config.PKI / f"{name}.key").read_text())


def enable(upper: Path, unit: str) -> None:
    """Start UNIT at boot."""
    wants = upper / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / unit).symlink_to(f"/etc/systemd/system/{unit}")


def mask(upper: Path, unit: str) -> None:
    """Never start UNIT."""
    path = upper / "etc/systemd/system" / unit
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("/dev/null")


def write_identity(lab: config.Lab, host: config.Host, tree: Path, upper: Path) -> None:
    """What makes a tree this host: its names, its keys, its resolver, its user."""
    credentials.write(upper / "etc/hostname", f"{host.name}\n", 0o644)
    addresses = "".join(f"{address}\t{host.fqdn} {host.name}\n" for address in (host.names[0].ipv4, host.names[0].ipv6))
    credentials.write(upper / "etc/hosts", f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n{addresses}", 0o644)
    # trust-ad: the resolver is the lab's own; without it glibc hides that an answer was validated (resolv.conf(5)).
    credentials.write(upper / "etc/resolv.conf", f"nameserver {lab.network.resolver}\noptions trust-ad\n", 0o644)
    credentials.write(upper / "etc/default/locale", "LANG=C.UTF-8\n", 0o644)
    # Written, not left to the first boot: systemd would take an empty one for a first boot and apply all presets.
    credentials.write(upper / "etc/machine-id", f"{secrets.token_hex(16)}\n", 0o444)
    credentials.write(upper / "etc/ssh/ssh_host_ed25519_key", (config.SSH / "hosts" / host.name).read_text())
    credentials.write(
        upper / "etc/ssh/ssh_host_ed25519_key.pub", (config.SSH / "hosts" / f"{host.name}.pub").read_text(), 0o644
    )
    home = upper / "root" if host.user == "root" else add_user(host.user, tree, upper)
    authorized = home / ".ssh/authorized_keys"
    credentials.write(authorized, (config.SSH / "id_ed25519.pub").read_text())
    owner = 0 if host.user == "root" else 1000
    for path in (home, authorized.parent, authorized):
        os.chown(path, owner, owner)
    home.chmod(0o700)
    authorized.parent.chmod(0o700)


def add_user(name: str, tree: Path, upper: Path) -> Path:
    """An unprivileged user with sudo, as cloud images have it; returns the home directory."""
    lines = {
        "etc/passwd": f"{name}:x:1000:1000::/home/{name}:/bin/bash\n",
        "etc/group": f"{name}:x:1000:\n",
        "etc/shadow": f"{name}:*:19000:0:99999:7:::\n",
        "etc/gshadow": f"{name}:*::\n",
    }
    for path, line in lines.items():
        original = tree / path
        credentials.write(upper / path, original.read_text() + line, original.stat().st_mode & 0o777)
        shutil.chown(upper / path, original.stat().st_uid, original.stat().st_gid)
    credentials.write(upper / f"etc/sudoers.d/{name}", f"{name} ALL=(ALL:ALL) NOPASSWD: ALL\n", 0o440)
    home = upper / "home" / name
    home.mkdir(parents=True)
    return home


# --- packages that hosts downloaded serve the next host ----------------------------------------------------------


def collect_packages(host: config.Host) -> None:
    """Move what apt of HOST has downloaded into the shared cache (links where the file system allows)."""
    config.ARCHIVES.mkdir(parents=True, exist_ok=True)
    for path in (host.directory / "upper/var/cache/apt/archives").glob("*.deb"):
        link(path, config.ARCHIVES / path.name)


def offer_packages(upper: Path) -> None:
    """Give a new host every package that a host has downloaded before. apt verifies each before it uses it."""
    archives = upper / "var/cache/apt/archives"
    archives.mkdir(parents=True)
    for path in config.ARCHIVES.glob("*.deb"):
        link(path, archives / path.name)


def link(source: Path, target: Path) -> None:
    """TARGET becomes SOURCE's content, unless it is there already."""
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        partial = target.with_name(f".{target.name}")
        shutil.copy(source, partial)
        partial.rename(target)


# --- life --------------------------------------------------------------------------------------------------------


def create(lab: config.Lab, host: config.Host, tree: Path) -> None:
    """Write a pristine host. What was there of it is gone afterwards."""
    discard(host)
    upper = host.directory / "upper"
    for name in ("upper", "work", "root"):
        (host.directory / name).mkdir(parents=True)
    upper.chmod(0o755)
    offer_packages(upper)
    write_identity(lab, host, tree, upper)
    write_files(lab, host, upper)
    credentials.write(host.directory / "made-of", f"{fingerprint(lab, host, tree)}\n{tree}\n")


def boot(lab: config.Lab, host: config.Host) -> None:
    """Start HOST on what is written of it."""
    kill(cgroup(host))
    network.plug_in(host, lab.network)
    group = cgroup(host)
    group.mkdir(parents=True)
    tree = (host.directory / "made-of").read_text().splitlines()[1]
    options = []
    if host.name == "receiver":
        config.MAIL.mkdir(parents=True, exist_ok=True)
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
    while not is_running(host) and process.poll() is None:
        time.sleep(0.005)


def discard(host: config.Host) -> None:
    """Power HOST off and remove what it has written; its packages are kept for the next."""
    kill(cgroup(host))
    network.unplug(host)
    if host.directory.exists():
        collect_packages(host)
        shutil.rmtree(host.directory)


def is_current(lab: config.Lab, host: config.Host, tree: Path) -> bool:
    """Whether HOST is complete and made of what the lab says today."""
    try:
        return (host.directory / "made-of").read_text().split()[0] == fingerprint(lab, host, tree)
    except (FileNotFoundError, IndexError):
        return False


def ssh(host: config.Host, command: str, timeout: float = 20) -> subprocess.CompletedProcess[str]:
    """Run a shell command on HOST as its SSH user."""
    return attempt(["ssh", "-F", str(config.SSH / "config"), host.name, command], timeout=timeout)


def lets_in(host: config.Host) -> bool:
    """Whether HOST's user can log in. A login, not a bare connection: sshd of Debian 13 punishes those."""
    return is_running(host) and ssh(host, "true").returncode == 0


def is_open(host: config.Host) -> bool:
    """Whether HOST has come so far that users may log in (systemd-user-sessions.service), seen from outside."""
    try:
        first = (cgroup(host) / "payload/init.scope/cgroup.procs").read_text().split()[0]
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
    while time.monotonic() < deadline and is_running(host):
        if is_open(host):
            done = ssh(host, "systemctl is-system-running --wait")
            if done.stdout.strip() in ("running", "degraded"):
                return done.stdout.strip()
        time.sleep(0.02)
    console = (host.directory / "console.log").read_text(errors="replace").splitlines()[-8:]
    said = [f"ssh: {done.stderr.strip() or done.stdout.strip()}"] if done else []
    raise LabError("\n  ".join([f"{host.name} does not boot; its console ends with", *console, *said]))
