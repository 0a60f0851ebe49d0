# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What makes a tree a host of the lab: the files written over it, and a fingerprint of all that."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from string import Template

from . import config, credentials, zones
from .run import run, say

# Those of the receiver, the policies and one of the smarthosts. The other one's is private.
PUBLIC_AUTHORITIES = ("receiver", "policy", "relay-b")
RESOLV_CONFS = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))


def fingerprint(lab: config.Lab, host: config.Host, tree: Path) -> str:
    """A digest of all that HOST is made of; a host with another one is out of date."""
    digest = hashlib.sha256(json.dumps([tree.name, repr(host), repr(lab.network), PUBLIC_AUTHORITIES]).encode())
    for certificate in sorted(config.PKI.glob("*.crt")):
        digest.update(certificate.name.encode() + certificate.read_bytes())
    if (config.FILES / host.name).is_dir():
        digest.update(repr((lab.static_zones, lab.dynamic_zones, lab.policies, lab.tsig, forwarders())).encode())
        for path in sorted(files_of(host)):
            digest.update(str(path.relative_to(config.FILES)).encode() + path.read_bytes())
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
        "relay_a_secret": (config.SECRETS / "relay-a").read_text().strip(),
        "relay_a_news_secret": (config.SECRETS / "relay-a-news").read_text().strip(),
        "relay_b_secret": (config.SECRETS / "relay-b").read_text().strip(),
        "powerdns_key": (config.SECRETS / "powerdns").read_text().strip(),
        "controller_ipv4": lab.network.controller.ipv4,
        "controller_ipv6": lab.network.controller.ipv6,
        "primary_zones": zones.knot_zones(lab, secondary=False),
        "secondary_zones": zones.knot_zones(lab, secondary=True),
        "stub_zones": zones.stub_zones(lab),
        "policies": json.dumps(lab.policies),
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
        if path.suffix == ".service" and "[Install]" in path.read_text():
            enable(upper, path.name)
    if host.name == "internet":
        write_internet(lab, upper)
    if host.name == "receiver":
        copy_certificate("receiver", upper / "etc/lab/receiver")
        copy_certificate("policy", upper / "etc/lab/policy")
        for relay in ("relay-a", "relay-b"):
            copy_certificate(relay, upper / f"etc/lab/{relay}")
            shutil.copy(config.PKI / f"{relay}-expired.crt", upper / f"etc/lab/{relay}-expired.crt")


def write_internet(lab: config.Lab, upper: Path) -> None:
    """Zones and the ACME authority's certificate; Debian's own units of these daemons stay off."""
    key = credentials.key_digest("receiver")
    for zone in zones.every_zone(lab):
        credentials.write(upper / f"var/lib/knot-primary/{zone}.zone", zones.zone_file(lab, zone, key), 0o644)
    credentials.write(upper / "etc/knot/zones", "".join(f"{zone}\n" for zone in zones.every_zone(lab)), 0o644)
    copy_certificate("acme", upper / "etc/pebble/acme")
    for unit in ("knot.service", "pdns.service", "unbound.service", "unbound-resolvconf.service"):
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
    for name in PUBLIC_AUTHORITIES:
        trust(name, tree, upper)
    # Where both releases look for it: pam_env complains at each login otherwise.
    credentials.write(upper / "etc/locale.conf", "LANG=C.UTF-8\n", 0o644)
    credentials.write(upper / "etc/default/locale", "LANG=C.UTF-8\n", 0o644)
    # Written, not left to the first boot: systemd would take an empty one for a first boot and apply all presets.
    credentials.write(upper / "etc/machine-id", f"{secrets.token_hex(16)}\n", 0o444)
    credentials.write(upper / "etc/ssh/ssh_host_ed25519_key", (config.SSH / "hosts" / host.name).read_text())
    credentials.write(
        upper / "etc/ssh/ssh_host_ed25519_key.pub", (config.SSH / "hosts" / f"{host.name}.pub").read_text(), 0o644
    )
    # Hosts are reached by key alone, as the proof asks of every mail host.
    credentials.write(upper / "etc/ssh/sshd_config.d/lab.conf", "PasswordAuthentication no\n", 0o644)
    home = upper / "root" if host.user == "root" else add_user(host.user, tree, upper)
    authorized = home / ".ssh/authorized_keys"
    credentials.write(authorized, (config.SSH / "id_ed25519.pub").read_text())
    owner = 0 if host.user == "root" else 1000
    for path in (home, authorized.parent, authorized):
        os.chown(path, owner, owner)
    home.chmod(0o700)
    authorized.parent.chmod(0o700)


def trust(name: str, tree: Path, upper: Path) -> None:
    """Make NAME's authority one that every host of the world knows, as update-ca-certificates(8) would."""
    certificate = config.PKI / f"{name}-ca.crt"
    folder = upper / "etc/ssl/certs"
    credentials.write(upper / f"usr/local/share/ca-certificates/lab-{name}.crt", certificate.read_text(), 0o644)
    bundle = folder / "ca-certificates.crt"
    known = (bundle if bundle.exists() else tree / "etc/ssl/certs/ca-certificates.crt").read_text()
    credentials.write(bundle, known + certificate.read_text(), 0o644)
    digest = run(["openssl", "x509", "-noout", "-subject_hash", "-in", str(certificate)]).strip()
    credentials.write(folder / f"{digest}.0", certificate.read_text(), 0o644)


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
