# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Keys, certificates and passwords of the lab. Made when absent, kept until `lab down`."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path

from . import config
from .run import run

# Who may send through the smarthosts: two accounts at the first, one at the second.
RELAY_ACCOUNTS = ("relay-a", "relay-a-news", "relay-b")
ACME_NAMES = ("DNS:acme.lab.test",)


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file as a whole or not at all, never readable by more people than MODE says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    Path(name).chmod(mode)
    Path(name).rename(path)


def ensure(lab: config.Lab) -> None:
    """Make whatever is missing below ssh/, secrets/ and pki/."""
    for directory in (config.SSH, config.SSH / "hosts", config.SECRETS, config.PKI):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
    ensure_secrets()
    ensure_ssh(lab)
    receiver = lab.host("receiver").names[0]
    ensure_certificate("acme", [*ACME_NAMES, *addresses(lab.host("internet").names[0])])
    names = [f"DNS:{name}" for name in (receiver.name, *lab.certified)]
    ensure_certificate("receiver", [*names, *addresses(receiver)])
    for relay in lab.host("receiver").names[1:]:
        ensure_certificate(relay.name.partition(".")[0], [f"DNS:{relay.name}"], expired=True)
    ensure_certificate("policy", [f"DNS:mta-sts.{domain}" for domain in lab.policies])


def addresses(name: config.Name) -> list[str]:
    """The addresses of NAME as subject alternative names."""
    return [f"IP:{name.ipv4}", f"IP:{name.ipv6}"]


def key_digest(name: str) -> str:
    """The SHA-256 of the public key in pki/NAME.crt, as TLSA 3 1 1 has it (RFC 6698 2.1)."""
    pem = run(["openssl", "x509", "-noout", "-pubkey", "-in", str(config.PKI / f"{name}.crt")])
    body = "".join(line for line in pem.splitlines() if not line.startswith("-----"))
    return hashlib.sha256(base64.b64decode(body)).hexdigest()


def ensure_secrets() -> None:
    """The TSIG keys (RFC 8945), PowerDNS' API key, and one application's password with its hash."""
    for key in ("tsig", "xfr"):
        path = config.SECRETS / key
        if not path.exists():
            write(path, base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
    if not (config.SECRETS / "powerdns").exists():
        write(config.SECRETS / "powerdns", secrets.token_urlsafe(24) + "\n")
    for account in RELAY_ACCOUNTS:
        if not (config.SECRETS / account).exists():
            write(config.SECRETS / account, secrets.token_urlsafe(24) + "\n")
    password = config.SECRETS / "shop"
    if not password.exists():
        write(password, secrets.token_urlsafe(24) + "\n")
        (config.SECRETS / "shop.hash").unlink(missing_ok=True)
    hashed = config.SECRETS / "shop.hash"
    if not hashed.exists():
        crypted = run(["openssl", "passwd", "-6", "-stdin"], stdin=password.read_text()).strip()
        write(hashed, f"{{SHA512-CRYPT}}{crypted}\n")


def ensure_ssh(lab: config.Lab) -> None:
    """The operator's key, one host key per host (it outlives a reset), and what ssh(1) needs to use them."""
    identity = config.SSH / "id_ed25519"
    ensure_ssh_key(identity, "postseal-lab")
    for host in lab.hosts:
        ensure_ssh_key(config.SSH / "hosts" / host.name, host.fqdn)
    write(config.SSH / "known_hosts", "".join(known_host(host) for host in lab.hosts))
    write(config.SSH / "config", "\n".join(ssh_config(lab.hosts)))


def ensure_ssh_key(path: Path, comment: str) -> None:
    """An Ed25519 key pair at PATH."""
    if not path.exists() or not path.with_name(f"{path.name}.pub").exists():
        path.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])


def known_host(host: config.Host) -> str:
    """The known_hosts line of HOST under its name and all its addresses."""
    kind, key = (config.SSH / "hosts" / f"{host.name}.pub").read_text().split()[:2]
    names = [host.name, host.fqdn, *(address for name in host.names for address in (name.ipv4, name.ipv6))]
    return f"{','.join(dict.fromkeys(names))} {kind} {key}\n"


def ssh_config(hosts: Iterable[config.Host]) -> Iterable[str]:
    """The lines of ssh_config(5) by which `ssh -F` reaches each host under its short name."""
    for host in hosts:
        yield f"Host {host.name} {host.fqdn}"
        yield f"  HostName {host.address}"
        yield f"  User {host.user}"
    yield "Host *"
    yield f"  IdentityFile {config.SSH / 'id_ed25519'}"
    yield "  IdentitiesOnly yes"
    yield f"  UserKnownHostsFile {config.SSH / 'known_hosts'}"
    yield "  GlobalKnownHostsFile /dev/null"
    yield "  StrictHostKeyChecking yes"
    yield "  ConnectTimeout 5"
    yield "  LogLevel ERROR"
    yield ""


def ensure_certificate(name: str, names: Iterable[str], *, expired: bool = False) -> None:
    """pki/NAME.crt and NAME.key: a certificate for NAMES by an authority of its own (pki/NAME-ca.crt).

    The authority's key is thrown away: it has signed the only certificate it will ever sign, and with ``expired`` one
    like it that ended yesterday (NAME-expired.crt). Ten years, because tests may fake the clock. Made anew when the
    lab has come to want other names (NAME.names).
    """
    key, certificate, authority, wanted = (config.PKI / f"{name}{end}" for end in (".key", ".crt", "-ca.crt", ".names"))
    text = ",".join(names)
    if all(file.exists() for file in (key, certificate, authority, wanted)) and wanted.read_text() == text:
        return
    wanted.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=config.PKI) as scratch:
        ca_key = f"{scratch}/ca.key"
        new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        run([
            *new, "-keyout", ca_key, "-out", str(authority), "-days", "3650", "-subj", f"/CN=Lab authority: {name}",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        ])  # fmt: skip
        run([
            *new, "-CA", str(authority), "-CAkey", ca_key, "-keyout", str(key), "-out", str(certificate),
            "-days", "3650", "-subj", f"/CN={name}", "-addext", f"subjectAltName={text}",
            "-addext", "basicConstraints=critical,CA:FALSE",
        ])  # fmt: skip
        if expired:
            asked = run(
                [
                    "openssl",
                    "x509",
                    "-x509toreq",
                    "-copy_extensions",
                    "copy",
                    "-in",
                    str(certificate),
                    "-signkey",
                    str(key),
                ]
            )
            run([
                "openssl", "x509", "-req", "-copy_extensions", "copy", "-CA", str(authority), "-CAkey", ca_key,
                "-days", "-1", "-out", str(config.PKI / f"{name}-expired.crt"),
            ], stdin=asked)  # fmt: skip
    write(wanted, text)
