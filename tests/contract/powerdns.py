# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A real PowerDNS Authoritative Server on loopback, with its API and an SQLite database."""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers import base
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.powerdns import PowerDnsProvider
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value, text
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Snapshot
from ansible_collections.postseal.mail.plugins.module_utils.model.types import PowerDns, Secret

from .knot import HOST, answers, free_port

SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
ZONES = [f"pdns{number:03d}.test" for number in range(150)]


class Server:
    """One pdns_server with its files below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.api_port = folder, free_port(), free_port()
        self.key = secrets.token_urlsafe(24)
        self.url = f"http://{HOST}:{self.api_port}"
        self.process: subprocess.Popen[bytes] | None = None
        program = shutil.which("pdns_server") or shutil.which("pdns_server", path="/usr/sbin")
        if not program or not SCHEMA.exists():
            packages = "Debian packages pdns-server and pdns-backend-sqlite3"
            pytest.fail(f"PowerDNS is not installed; script/test installs it ({packages})", pytrace=False)
        self.program = program

    def start(self) -> None:
        database = self.folder / "zones.sqlite3"
        with sqlite3.connect(database) as connection:
            connection.executescript(SCHEMA.read_text())
        connection.close()
        settings = {
            "launch": "gsqlite3",
            "gsqlite3-database": database,
            "gsqlite3-dnssec": "yes",
            # A commit that need not outlive a power failure is a hundred times as fast.
            "gsqlite3-pragma-synchronous": 0,
            "api": "yes",
            "api-key": self.key,
            "webserver-address": HOST,
            "webserver-port": self.api_port,
            "local-address": HOST,
            "local-port": self.port,
            "socket-dir": self.folder,
            "setuid": "",
            "setgid": "",
        }
        configuration = self.folder / "pdns.conf"
        configuration.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        configuration.chmod(0o600)
        command = [self.program, f"--config-dir={self.folder}", "--daemon=no", "--guardian=no", "--disable-syslog"]
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self._wait_for_api()
        for zone in ZONES:
            self.create(zone)
        if not answers(self.port, ZONES[-1]):
            pytest.fail(f"PowerDNS does not serve {ZONES[-1]}: {self.output()}")

    def output(self) -> str:
        return (self.folder / "output").read_text()

    def _wait_for_api(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                self.call("GET", "/zones")
            except OSError:
                time.sleep(0.05)
            else:
                return
        pytest.fail(f"PowerDNS does not start: {self.output()}")

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(10)

    def create(self, zone: str, **more: Any) -> None:
        """Make a zone whose name server is this one."""
        record = {"content": HOST, "disabled": False}
        glue = {"name": f"ns1.{zone}.", "type": "A", "ttl": 300, "records": [record]}
        body = {"name": f"{zone}.", "kind": "Native", "nameservers": [f"ns1.{zone}."], "rrsets": [glue], **more}
        self.call("POST", "/zones", body)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Speak with the API as somebody else would."""
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.url}/api/v1/servers/localhost{path}"
        request = urllib.request.Request(url, data, {"X-API-Key": self.key}, method=method)  # noqa: S310  # loopback
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=10) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from None
        return json.loads(text) if text else None

    def rrset(self, zone: str, name: str, rrtype: str) -> dict[str, Any] | None:
        """Return a record set as the API has it."""
        found = self.call("GET", f"/zones/{zone}.")["rrsets"]
        return next((rrset for rrset in found if (rrset["name"], rrset["type"]) == (f"{name}.", rrtype)), None)

    def change(self, zone: str, name: str, rrtype: str, **more: Any) -> None:
        """Change one record set: ``changetype``, ``ttl``, ``records``, ``comments``."""
        rrset = {"name": f"{name}.", "type": rrtype, "changetype": "REPLACE", **more}
        self.call("PATCH", f"/zones/{zone}.", {"rrsets": [rrset]})

    def settings(self, **changes: Any) -> PowerDns:
        return PowerDns(**{"name": "pdns", "url": self.url, "api_key": Secret(self.key), **changes})


class PowerDnsBackend:
    def __init__(self, server: Server, zone: str) -> None:
        self.server, self.zone = server, zone

    def servers(self, snapshot: Snapshot) -> Sequence[base.Server]:
        names = [str(value)[:-1] for value in snapshot.values((snapshot.zone, "NS"))]
        return [base.Server(name, HOST, self.server.port) for name in names]

    def provider(self, **changes: Any) -> PowerDnsProvider:
        return PowerDnsProvider(self.server.settings(**changes), timeout=2, locate=self.servers)

    def put(self, name: str, rrtype: str, ttl: int, values: Sequence[Value]) -> None:
        found = self.server.rrset(self.zone, name, rrtype)
        records = [*(found["records"] if found else ()), *({"content": text(v), "disabled": False} for v in values)]
        self.server.change(self.zone, name, rrtype, ttl=ttl, records=records)

    def remove(self, name: str, rrtype: str) -> None:
        self.server.change(self.zone, name, rrtype, changetype="DELETE")
