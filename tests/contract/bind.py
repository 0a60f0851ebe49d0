# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A real BIND 9 on loopback: a primary that takes updates."""

from __future__ import annotations

import base64
import secrets
import shutil
import subprocess
from pathlib import Path

import dns.query
import dns.tsig
import dns.update
import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Rfc2136, Secret, Tsig

from .knot import HOST, answers, free_port

KEYS = ("postseal", "writer", "others")
ZONES = [f"bind{number:02d}.test" for number in range(45)]
# A zone that only changes when its file does and the server is told to look (SIGHUP).
STATIC = "static.test"


class Bind:
    """One named with its files below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.secrets = {name: base64.b64encode(secrets.token_bytes(32)).decode() for name in KEYS}
        self.process: subprocess.Popen[bytes] | None = None
        program = shutil.which("named") or shutil.which("named", path="/usr/sbin")
        if not program:
            pytest.fail("named is not installed; script/test installs it (Debian package bind9)", pytrace=False)
        self.program = program

    def start(self) -> None:
        for zone in (*ZONES, STATIC):
            (self.folder / zone).write_text(
                f"$ORIGIN {zone}.\n$TTL 300\n@ SOA ns1 hostmaster 1 60 60 600 5\n@ NS ns1\nns1 A {HOST}\n"
            )
        configuration = self.folder / "named.conf"
        configuration.write_text(self._configuration())
        with (self.folder / "output").open("wb") as output:
            # -n 1: one worker is enough; -4: nothing of ours listens on IPv6.
            command = [self.program, "-g", "-4", "-n", "1", "-c", str(configuration)]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        if not answers(self.port, ZONES[-1]):
            pytest.fail(f"BIND does not serve {ZONES[-1]}: {(self.folder / 'output').read_text()}")

    def _configuration(self) -> str:
        keys = "".join(
            f'key "{name}" {{ algorithm hmac-sha256; secret "{value}"; }};\n' for name, value in self.secrets.items()
        )
        grants = " ".join(f"grant {name} zonesub ANY;" for name in KEYS)
        zones = "".join(
            f'zone "{zone}" {{ type primary; file "{zone}"; update-policy {{ {grants} }}; '
            'allow-transfer { key "postseal"; key "others"; }; };\n'
            for zone in ZONES
        )
        zones += f'zone "{STATIC}" {{ type primary; file "{STATIC}"; }};\n'
        return f"""{keys}
options {{
    directory "{self.folder}";
    pid-file "{self.folder}/pid";
    session-keyfile "{self.folder}/session.key";
    managed-keys-directory "{self.folder}";
    listen-on port {self.port} {{ {HOST}; }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
    notify no;
}};
controls {{ }};
{zones}"""

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(10)

    def settings(self, key: str) -> Rfc2136:
        return Rfc2136("bind", HOST, self.port, Tsig(key, "hmac-sha256", Secret(self.secrets[key])))

    def edit(self, zone: str) -> dns.update.UpdateMessage:
        """Return an update as somebody else would send it; hand it to :meth:`send`."""
        message = dns.update.UpdateMessage(zone)
        message.use_tsig(dns.tsig.Key("others.", self.secrets["others"], "hmac-sha256."))
        return message

    def send(self, message: dns.update.UpdateMessage) -> None:
        answer = dns.query.tcp(message, HOST, port=self.port, timeout=5)
        assert answer.rcode() == 0, answer
