# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Tools to break one thing in the lab and put it right again: configuration of a mail host, records, certificates."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rdatatype
import dns.tsigkeyring
import dns.update
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from .site import HOSTS, ROOT, on

LAB = Path("/var/lib/postseal-lab")
SERVERS = ("10.97.0.2", "10.97.0.3")
KNOT = "knotc -s /run/knot-primary/knot.sock"
SAVED = "/root/.postseal-faults.tar"
SAVED_PATHS = (
    "etc/postfix etc/dovecot etc/rspamd etc/postseal etc/letsencrypt etc/systemd/system/postseal-log-expire.service "
    "var/lib/postseal/dkim"
)
SERVICES = "postfix dovecot rspamd"
# Files of faults that the copy does not have.
LEFT = (
    "/etc/postfix/fault* /etc/postseal/dkim/*/stray* /var/spool/postfix/corrupt/FAULT "
    "/etc/ssh/sshd_config.d/00-fault.conf /etc/systemd/system/*.d/zz-fault.conf"
)
READY = """
for i in $(seq 100); do
  test -S /var/spool/postfix/rspamd/milter.sock && test -S /var/spool/postfix/private/auth && break; sleep 0.1
done
"""


def save(host: str) -> None:
    """Keep a copy of everything that a fault may change on a host."""
    on(host, f"tar -C / -cpf {SAVED} {SAVED_PATHS}")


def restore(host: str, services: str) -> None:
    """Put a host's configuration back and restart the services, so that no process of theirs remembers the fault."""
    stop = (
        f"systemctl stop {services}; rm -f {LEFT}; systemctl daemon-reload; systemctl restart postseal-firewall; "
        "chmod 0640 /var/log/journal/*.postseal/*.journal; "
    )
    start = f"systemctl enable -q {SERVICES} certbot.timer && systemctl start {SERVICES}"
    on(host, f"{stop}tar -C / -xpf {SAVED} && {start}; {READY} postqueue -f")


def clean(host: str) -> None:
    """Remove the copy."""
    on(host, f"rm -f {SAVED}")


def break_host(host: str, script: str, restart: str) -> None:
    """Run a fault's script on a host and restart the services it is about."""
    on(host, f"set -e; {script}" + (f"; systemctl restart {restart}; {READY}" if restart else ""))


@dataclass(frozen=True)
class Record:
    """A record set that a fault puts in the place of the real one; no values: it is gone."""

    zone: str
    name: str
    type: str
    values: tuple[str, ...] = ()


@dataclass
class Zones:
    """Changes records by dynamic update (RFC 2136), as a customer of the lab's DNS provider, and remembers what was."""

    _were: list[tuple[Record, int]] = field(default_factory=list)

    def replace(self, record: Record) -> None:
        """Put ``record`` in the place of what stands there."""
        self._were.append(current(record))
        self._put(record, 5)

    def restore(self) -> None:
        """Put everything back."""
        while self._were:
            record, ttl = self._were.pop()
            self._put(record, ttl)

    def _put(self, record: Record, ttl: int) -> None:
        secret = (LAB / "secrets" / "tsig").read_text().strip()
        keyring = dns.tsigkeyring.from_text({"postseal": ("hmac-sha256", secret)})
        change = dns.update.UpdateMessage(record.zone, keyring=keyring)
        change.delete(f"{record.name}.", record.type)
        for value in record.values:
            change.add(f"{record.name}.", ttl, record.type, value)
        answer = dns.query.tcp(change, SERVERS[0], timeout=10)
        assert answer.rcode() == 0, answer.to_text()
        settle(record.zone)


def current(record: Record) -> tuple[Record, int]:
    """Return what the primary server serves at the record's name and type, and its TTL."""
    answer = dns.query.tcp(dns.message.make_query(record.name, record.type), SERVERS[0], timeout=10)
    wanted = dns.rdatatype.from_text(record.type)
    for rrset in answer.answer:
        if rrset.rdtype == wanted:
            values = tuple(rdata.to_text() for rdata in rrset)
            return Record(record.zone, record.name, record.type, values), int(rrset.ttl)
    return Record(record.zone, record.name, record.type), 30


def settle(zone: str) -> None:
    """Wait until both servers hold the same version of a zone, then make the resolver forget what it knew of it."""
    deadline = time.monotonic() + 20
    while len({_serial(server, zone) for server in SERVERS}) > 1:
        assert time.monotonic() < deadline, f"the servers of {zone} do not agree"
        time.sleep(0.05)
    forget(zone)


def forget(zone: str) -> None:
    """Make the lab's resolver ask anew."""
    on("internet", f"unbound-control -c /etc/unbound/lab.conf flush_zone {zone}")


def _serial(server: str, zone: str) -> str:
    answer = dns.query.udp(dns.message.make_query(zone, "SOA"), server, timeout=5)
    return str(answer.answer[0][0])


def point(zone: str, owner: str, target: str) -> None:
    """Change a reverse name, which belongs to the hosting provider: not by dynamic update, but on its server."""
    steps = (
        f"zone-begin {zone}",
        f"zone-unset {zone} {owner} PTR",
        f"zone-set {zone} {owner} 5 PTR {target}.",
        f"zone-commit {zone}",
    )
    on("internet", " && ".join(f"{KNOT} {step}" for step in steps) + " >/dev/null")
    settle(zone)


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        """The authority's certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def certify(self, public_pem: str, names: Iterable[str], days: float) -> str:
        """Return a certificate, in PEM, for a public key and names, valid for ``days`` from now."""
        public = serialization.load_pem_public_key(public_pem.encode())
        assert isinstance(public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        now = datetime.now(UTC)
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        return leaf.public_bytes(serialization.Encoding.PEM).decode()


def install(host: str, path: str, content: str) -> None:
    """Write a file that only root can read."""
    encoded = base64.b64encode(content.encode()).decode()
    on(host, f"umask 077; echo {encoded} | base64 -d > {path}")


@dataclass(frozen=True)
class Report:
    """What one run of the proof said."""

    exit_code: int
    results: list[dict[str, str]]

    def having(self, status: str) -> set[tuple[str, str]]:
        """Return (check, target) of the results with a status."""
        return {(entry["id"], entry["target"]) for entry in self.results if entry["status"] == status}

    def findings(self) -> set[tuple[str, str]]:
        """Return (check, target) of what was found wrong, of every level."""
        return set.union(*map(self.having, ("failed", "warning", "info")))

    def describe(self) -> str:
        """Return what did not pass, one line each."""
        return "\n".join(
            f"{entry['status']} {entry['id']} {entry['target']}: {entry['observed']}"
            for entry in self.results
            if entry["status"] not in ("passed", "not applicable")
        )


class Proof:
    """Runs the proof as pytest does for everybody; the inventory is resolved once, ``ca`` replaces its bundle, and
    ``variables`` are further ones of the inventory.
    """

    def __init__(self, directory: Path, ca: Path, **variables: Any) -> None:
        command = [sys.executable, str(ROOT / "tests/verify/proof/resolve.py"), "inventories/lab"]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
        given: dict[str, Any] = json.loads(answer.stdout)
        given["inventory"]["variables"]["postseal_tls"]["ca"] = str(ca)
        given["inventory"]["variables"] |= variables
        self._given = json.dumps(given).encode()
        self._directory = directory

    def run(self, sslyze: Path | None = None, *options: str) -> Report:
        """Run it, with ``sslyze`` only if that is given and further ``options`` of pytest, and return its report."""
        reading, writing = os.pipe()
        os.write(writing, self._given)
        os.close(writing)
        command = [sys.executable, "-m", "pytest", "tests/verify", "-q", "-p", "no:cacheprovider"]
        command += [f"--handover-fd={reading}", f"--report-directory={self._directory}", "--delivery-timeout=12"]
        command += [f"--sslyze={sslyze or ''}", *options]
        try:
            answer = subprocess.run(
                command, cwd=ROOT, pass_fds=[reading], capture_output=True, text=True, check=False, timeout=180
            )
        finally:
            os.close(reading)
        assert "Traceback" not in answer.stdout + answer.stderr
        report = json.loads((self._directory / "verify.json").read_text())
        assert answer.returncode == report["exit_code"]
        return Report(answer.returncode, report["results"])


__all__ = ["HOSTS", "SERVICES", "Authority", "Proof", "Record", "Report", "Zones"]
