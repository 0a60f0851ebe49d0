# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Real Knot servers on loopback: a primary that takes updates, and a secondary that can be made to lag."""

from __future__ import annotations

import base64
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.tsig
import dns.update
import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Rfc2136, Secret, Tsig

HOST = "127.0.0.1"
# Keys of the primary: what Postseal uses, one that may not transfer zones, one that may only do that, one that no zone
# names, and the hand of others.
KEYS = ("postseal", "writer", "reader", "nobody", "others")
PLAIN = [f"plain{number:02d}.test" for number in range(90)]
SIGNED = [f"signed{number:02d}.test" for number in range(8)]


def free_port() -> int:
    """Return a port that is free for UDP and TCP on loopback."""
    for _ in range(50):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind((HOST, 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind((HOST, port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free for both UDP and TCP")


def answers(port: int, zone: str, rrtype: str = "SOA") -> bool:
    """Wait until the server at ``port`` answers for ``zone`` with authority; tell whether it did."""
    query = dns.message.make_query(zone, rrtype)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            answer = dns.query.udp(query, HOST, port=port, timeout=1)
        except (dns.exception.DNSException, OSError):
            answer = None
        if answer is not None and answer.flags & dns.flags.AA and answer.answer:
            return True
        time.sleep(0.05)
    return False


class Knot:
    """One knotd with its files below ``folder``."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.socket = folder / "control.sock"
        self.process: subprocess.Popen[bytes] | None = None
        program = shutil.which("knotd") or shutil.which("knotd", path="/usr/sbin")
        if not program:
            pytest.fail("knotd is not installed; script/test installs it (Debian package knot)", pytrace=False)
        self.program = program
        folder.mkdir()

    def start(self, configuration: str) -> None:
        (self.folder / "knot.conf").write_text(
            f"server:\n    rundir: {self.folder}\n    listen: {HOST}@{self.port}\n    identity: test\n"
            f"control:\n    listen: {self.socket}\n"
            f"log:\n  - target: {self.folder}/knot.log\n    any: info\n"
            f"database:\n    storage: {self.folder}\n"
            f"{configuration}"
        )
        command = [self.program, "-c", str(self.folder / "knot.conf")]
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(10)

    def control(self, *words: str) -> str:
        program = str(Path(self.program).with_name("knotc"))
        command = [program, "-s", str(self.socket), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout

    def wait_for(self, zone: str, *, rrtype: str = "SOA") -> None:
        """Wait until the server answers for ``zone`` with authority."""
        if answers(self.port, zone, rrtype):
            return
        log = self.folder / "knot.log"
        pytest.fail(f"Knot does not serve {zone}: {log.read_text() if log.exists() else 'it did not start'}")


class Pair:
    """A primary and its secondary, with the TSIG keys of the primary."""

    def __init__(self, folder: Path) -> None:
        self.secrets = {name: base64.b64encode(secrets.token_bytes(32)).decode() for name in KEYS}
        self.primary, self.secondary = Knot(folder / "primary", free_port()), Knot(folder / "secondary", free_port())

    def start(self) -> None:
        for zone in (*PLAIN, *SIGNED):
            (self.primary.folder / f"{zone}.zone").write_text(
                f"$ORIGIN {zone}.\n$TTL 300\n@ SOA ns1 hostmaster 1 60 60 600 5\n"
                f"@ NS ns1\n@ NS ns2\nns1 A {HOST}\nns2 A {HOST}\n"
            )
        self.primary.start(self._primary())
        self.primary.wait_for(PLAIN[-1])
        self.secondary.start(self._secondary())
        for zone in SIGNED:
            self.primary.wait_for(zone, rrtype="DNSKEY")
        for zone in (PLAIN[-1], SIGNED[-1]):
            self.secondary.wait_for(zone)

    def stop(self) -> None:
        self.secondary.stop()
        self.primary.stop()

    def _primary(self) -> str:
        keys = "".join(
            f"  - id: {name}\n    algorithm: hmac-sha256\n    secret: {value}\n" for name, value in self.secrets.items()
        )
        templates = [("plain", zone) for zone in PLAIN] + [("signed", zone) for zone in SIGNED]
        zones = "".join(f"  - domain: {zone}\n    template: {template}\n" for template, zone in templates)
        return f"""
key:
{keys}
remote:
  - id: secondary
    address: {HOST}@{self.secondary.port}
acl:
  - id: postseal
    key: [postseal, others]
    action: [update, transfer]
  - id: writer
    key: writer
    action: update
  - id: reader
    key: reader
    action: transfer
  - id: secondary
    address: {HOST}
    action: transfer
policy:
  - id: fast
    algorithm: ecdsap256sha256
template:
  - id: plain
    storage: {self.primary.folder}
    file: "%s.zone"
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
    notify: secondary
    acl: [postseal, writer, reader, secondary]
  - id: signed
    storage: {self.primary.folder}
    file: "%s.zone"
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
    dnssec-signing: on
    dnssec-policy: fast
    notify: secondary
    acl: [postseal, writer, reader, secondary]
zone:
{zones}"""

    def _secondary(self) -> str:
        zones = "".join(f"  - domain: {zone}\n" for zone in (*PLAIN, *SIGNED))
        return f"""
remote:
  - id: primary
    address: {HOST}@{self.primary.port}
acl:
  - id: primary
    address: {HOST}
    action: notify
template:
  - id: default
    storage: {self.secondary.folder}
    master: primary
    acl: primary
zone:
{zones}"""

    def settings(self, key: str = "postseal", **changes: str) -> Rfc2136:
        """Return a provider of the inventory that uses ``key``; ``changes`` may spoil its TSIG data."""
        tsig = {"name": key, "algorithm": "hmac-sha256", "secret": self.secrets.get(key, ""), **changes}
        return Rfc2136("knot", HOST, self.primary.port, Tsig(tsig["name"], tsig["algorithm"], Secret(tsig["secret"])))

    def edit(self, zone: str) -> dns.update.UpdateMessage:
        """Return an update as somebody else would send it; hand it to :meth:`send`."""
        message = dns.update.UpdateMessage(zone)
        message.use_tsig(dns.tsig.Key("others.", self.secrets["others"], "hmac-sha256."))
        return message

    def send(self, message: dns.update.UpdateMessage) -> None:
        answer = dns.query.tcp(message, HOST, port=self.primary.port, timeout=5)
        assert answer.rcode() == 0, answer
