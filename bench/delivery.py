# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a relay with verified TLS costs against smtp-sink(1) without any, and how soon the next relay takes over.

Throughput: one lab host has its queue filled while delivery waits, then sends it to a smarthost that forgets what it
gets, on the same host, in turn with smtp-sink. Taking over: from the relay A of the lab, harmed in three ways, to B.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lab.credentials import ensure_certificate
from tests.lab.applications import Application, application, arrived, deploy, send
from tests.lab.breakage import Record, Zones
from tests.lab.site import LAB_STATE, lab, on, play

from .hosts import HOSTS, ROOT
from .measure import BenchError, figure, progress, seconds
from .submission import _PSS as MEMORY

HOST = HOSTS[0]
MESSAGES, REPETITIONS, CONNECTIONS = 2000, 3, 20
SOON = 60.0
# A name for the host that its own inventory does not know: mail by a relay that is a mail host would go in a circle.
NAME, ZONE = "sink.shop.test", "shop.test"
PROVEN, PLAIN = 2587, 2525
LOAD, SINK, CERTIFICATE, KEY = (f"/run/postseal-bench{end}" for end in (".py", "-sink.py", ".crt", ".key"))
_HOLD = """
cp -p /etc/postfix/main.cf /run/postseal-bench.main.cf
postconf -e defer_transports=via_proven,via_plain
postfix reload >/dev/null 2>&1
"""
# The clock runs from the command to send until nothing is queued.
_RELEASE = """
cp -p /run/postseal-bench.main.cf /etc/postfix/main.cf
postfix reload >/dev/null 2>&1
cd /var/spool/postfix
sleep 1
begun=$(date +%s.%N)
postqueue -f
for try in $(seq 3000); do
  [ -n "$(find incoming active deferred -type f -print -quit)" ] || break
  sleep 0.05
done
echo "$begun $(date +%s.%N) $(find incoming active deferred -type f | wc -l)"
"""
_RELAY = re.compile(rb"Received: by (relay-\w)\.")
# How relay A dies, how it comes back, and where both are done.
HARMS = {
    "stopped": ("receiver", "systemctl stop lab-relay-a", "systemctl start lab-relay-a"),
    "hangs": ("receiver", "systemctl kill -s STOP lab-relay-a", "systemctl kill -s CONT lab-relay-a"),
    "unreachable": (
        HOST.name,
        "nft add table inet bench; nft add chain inet bench in '{ type filter hook input priority -300; }'; "
        "nft add rule inet bench in ip saddr 10.97.0.11 drop; nft add rule inet bench in ip6 saddr fd97::11 drop",
        "nft delete table inet bench",
    ),
}


@dataclass(frozen=True)
class Sent:
    """What one case did: messages a second, and messages for each session where the smarthost counts them."""

    rate: float
    shared: float


def relays() -> dict[str, Any]:
    """Return what the inventory has to say: two smarthosts of the benchmark's, and the lab's two in a row."""

    def secret(name: str) -> str:
        return (LAB_STATE / "secrets" / name).read_text("ascii").strip()

    def lab_relay(name: str, server: str, login: str, port: int) -> dict[str, Any]:
        said = {"name": name, "host": f"{server}.receiver.test", "port": port, "spf": ["relays.receiver.test"]}
        return {**said, "login": login, "secret": secret(server), "ca": f"{LAB_STATE}/pki/{server}-ca.crt"}

    sink = {"host": NAME, "spf": ["relays.receiver.test"]}
    ca = f"{LAB_STATE}/pki/sink-ca.crt"
    return {
        "postseal_relays": [
            {**sink, "name": "proven", "port": PROVEN, "login": "bench", "secret": "bench", "ca": ca},
            {**sink, "name": "plain", "port": PLAIN, "tls": "none"},
            lab_relay("primary", "relay-a", "postseal", 587),
            lab_relay("backup", "relay-b", "backup", 465),
        ],
        "postseal_routes": [
            {"recipient_domain": "proven.bench.test", "via": ["proven"]},
            {"recipient_domain": "plain.bench.test", "via": ["plain"]},
            {"default": True, "via": ["primary", "backup"]},
        ],
    }


@contextmanager
def running(command: str) -> Iterator[tuple[IO[str], IO[str]]]:
    """Run a shell command on the host as root until the block ends; yield its standard input and output."""
    line = HOST.command("sh", "-c", "'" + command + "'")
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise BenchError("no pipes")
        yield process.stdin, process.stdout
        process.stdin.close()


class Bench:
    """The measurements, with the application that sends."""

    def __init__(self, by: Application) -> None:
        self.by = by

    def throughput(self) -> None:
        """Compare the ways to both smarthosts."""
        pki, own = LAB_STATE / "pki", ROOT / "bench"
        files = {LOAD: own / "submission_load.py", SINK: own / "delivery_sink.py"}
        for path, source in {**files, CERTIFICATE: pki / "sink.crt", KEY: pki / "sink.key"}.items():
            line = HOST.command("sh", "-c", f"'umask 077; cat > {path}'")
            subprocess.run(line, input=source.read_text("utf-8"), text=True, check=True)
        taken: dict[str, list[Sent]] = {"plain": [], "proven": []}
        proven = f"exec python3 {SINK} {HOST.address} {PROVEN} {CERTIFICATE} {KEY}"
        plain = f"smtp-sink -u nobody -h sink.bench.test {HOST.address}:{PLAIN} 1024 & read -r end; kill $!"
        try:
            with running(proven) as (ask, answers), running(plain):
                for number in range(REPETITIONS + 1):
                    for name, sent in taken.items():
                        ask.write("\n")
                        ask.flush()
                        answers.readline()
                        rate = self._send(name)
                        ask.write("\n")
                        ask.flush()
                        counted = json.loads(answers.readline())
                        one = Sent(rate, counted["messages"] / max(1, counted["sessions"]))
                        progress(f"{name}: {one.rate:.0f}/s, {counted}")
                        # The first round warms caches and starts processes.
                        if number:
                            sent.append(one)
                memory = json.loads(on(HOST.fqdn, f"python3 -c '{MEMORY}'"))
        finally:
            on(HOST.fqdn, f"rm -f {LOAD} {SINK} {CERTIFICATE} {KEY} /run/postseal-bench.main.cf")
        rates = {name: statistics.median(one.rate for one in sent) for name, sent in taken.items()}
        figure("delivery.plain-messages-per-second", rates["plain"])
        figure("delivery.messages-per-second", rates["proven"])
        figure("delivery.to-plain", rates["proven"] / rates["plain"])
        figure("delivery.messages-per-session", statistics.median(one.shared for one in taken["proven"]))
        for name, kilobytes in sorted(memory.items()):
            if name.startswith("postfix"):
                figure(f"delivery.memory-mb.{name}", kilobytes / 1024)
        figure("delivery.memory-mb", sum(kb for name, kb in memory.items() if name.startswith("postfix")) / 1024)

    def _send(self, case: str) -> float:
        """Fill the queue with mail for a case, send it, and return messages a second."""
        said = {
            "port": 587, "tls": True, "name": HOST.fqdn, "certificate": (LAB_STATE / "ca.pem").read_text("ascii"),
            "login": self.by.login, "password": self.by.password, "sender": self.by.login,
            "recipient": f"customer@{case}.bench.test", "connections": CONNECTIONS, "messages": MESSAGES, "logins": 0,
            "kept": True,
        }  # fmt: skip
        on(HOST.fqdn, _HOLD)
        done = subprocess.run(
            HOST.command("python3", LOAD), input=json.dumps(said) + "\n", text=True, capture_output=True, check=False
        )
        begun, ended, left = on(HOST.fqdn, _RELEASE).split()
        if done.returncode or int(left):
            raise BenchError(f"{case}: {left} messages are left in the queue; {done.stderr}")
        return MESSAGES / (float(ended) - float(begun))

    def takes_over(self) -> None:
        """Tell how long it takes from the death of relay A until a message has left by relay B."""
        for name, (where, harm, mend) in HARMS.items():
            self._begins_at("relay-a")
            lab("ssh", where, harm)
            try:
                relay, taken = self._leaves()
            finally:
                lab("ssh", where, mend)
            if relay != "relay-b":
                raise BenchError(f"{name}: a message left by {relay}")
            figure(f"delivery.takes-over-seconds.{name}", taken, f"<={SOON:.0f}")

    def _begins_at(self, relay: str) -> None:
        """Wait until mail leaves by ``relay``, which may just be starting."""
        for _ in range(30):
            if self._leaves()[0] == relay:
                return
            time.sleep(1)
        raise BenchError(f"mail does not leave by {relay}")

    def _leaves(self) -> tuple[str, float]:
        """Send a message and return by which relay it has left, and how many seconds later."""
        begun = time.monotonic()
        found = arrived(send(HOST.fqdn, self.by).token, 300.0)
        by = _RELAY.search(found[0]) if found else None
        if by is None:
            raise BenchError("a message did not leave")
        return by[1].decode(), time.monotonic() - begun


def main() -> None:
    """Bring the lab up, have its hosts send by relays, measure, and leave them as the lab's inventory says."""
    progress("script/lab up")
    seconds([ROOT / "script/lab", "up"])
    ensure_certificate("sink", [f"DNS:{NAME}"])
    by, zones = application("bench"), Zones()
    try:
        with tempfile.TemporaryDirectory(prefix="postseal-bench-") as folder:
            run = deploy(Path(folder), [by], publish=True, **relays())
        if run.returncode:
            raise BenchError("\n".join(run.output.splitlines()[-40:]))
        zones.replace(Record(ZONE, NAME, "A", (HOST.address,)))
        bench = Bench(by)
        bench.throughput()
        bench.takes_over()
    finally:
        zones.restore()
        play("site.yml", "--skip-tags", "verify")


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        raise SystemExit(f"not measured: {error}") from None
