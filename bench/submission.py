# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the closed door costs: submission with TLS, login, sender check, limits and both signatures, against a plain
Postfix on port 25 that asks nobody for anything.

Both run on one lab host with one queue file system, hand what they take to discard(8), and are used by the same client
over loopback, in turn. The plain one is an instance of its own and is removed afterwards.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.postseal.mail.plugins.module_utils.model.passwords import new_token, ssha512
from ansible_collections.postseal.mail.plugins.module_utils.model.secret import Secret

from .hosts import HOSTS, LAB, ROOT, Host
from .measure import BenchError, figure, progress, seconds
from .submission_credentials import inventory, measure

GOAL = 0.6
REPETITIONS = 5
CONNECTIONS = 20
PLAIN_PORT = 25
LOGIN, RECIPIENT = "bench@shop.test", "customer@bench.test"
LOAD = "/run/postseal-bench.py"
PLAIN = "/etc/postfix-bench"

# The queue settings of both are the defaults; only what hands mail on is said, and the same.
_PLAIN_MAIN = """
compatibility_level = 3.6
queue_directory = /var/spool/postfix-bench
data_directory = /var/lib/postfix-bench
myhostname = plain.sender.test
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
mynetworks =
inet_interfaces = 127.0.0.1
smtpd_peername_lookup = no
relay_domains = bench.test
relay_recipient_maps =
transport_maps = inline:{bench.test=discard:}
"""
_BEGIN = f"""
set -eu
mkdir -p {PLAIN} /var/lib/postfix-bench /var/spool/postfix-bench
chown postfix /var/lib/postfix-bench
# The packaged services, without a chroot, which the package fills for the main instance alone.
sed -E '/^[a-z0-9]+ +(inet|unix)/s/^(([^ ]+ +){{4}})y/\\1n/' /usr/share/postfix/master.cf.dist > {PLAIN}/master.cf
cat > {PLAIN}/main.cf
cp -p /etc/postfix/main.cf /run/postseal-bench.main.cf
postfix -c {PLAIN} start >/dev/null 2>&1
postconf -e 'transport_maps = inline:{{bench.test=discard:}}'
postfix reload >/dev/null 2>&1
"""
_END = f"""
postfix -c {PLAIN} stop >/dev/null 2>&1
cp -p /run/postseal-bench.main.cf /etc/postfix/main.cf
postfix reload >/dev/null 2>&1
rm -rf {PLAIN} /var/lib/postfix-bench /var/spool/postfix-bench {LOAD} /run/postseal-bench.main.cf
"""
# Until nothing is queued in either: what one case left behind must not be delivered during the next.
_DRAIN = f"""
for try in $(seq 300); do
  [ -n "$(find /var/spool/postfix/incoming /var/spool/postfix/active /var/spool/postfix/deferred \
/var/spool/postfix-bench/incoming /var/spool/postfix-bench/active -type f -print -quit)" ] || exit 0
  sleep 0.1
done
postqueue -p; postqueue -c {PLAIN} -p; exit 1
"""
# Processor time of the whole host, and the proportional share of memory of each program (proc(5), smaps_rollup).
_CPU = "awk '$1 == \"usage_usec\" {print $2}' /sys/fs/cgroup/cpu.stat"
_PSS = """
import collections, glob, json, pathlib
found = collections.Counter()
for path in glob.glob("/proc/[0-9]*/smaps_rollup"):
    process = pathlib.Path(path).parent
    try:
        kilobytes = [line.split()[1] for line in open(path) if line.startswith("Pss:")]
        unit = (process / "cgroup").read_text().strip().rpartition("/")[2].partition("@")[0]
        found[unit.partition(".service")[0] + "." + (process / "comm").read_text().strip()] += int(kilobytes[0])
    except (OSError, IndexError):
        pass
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Taken:
    """What one case did: units (messages or logins), seconds, and processor seconds of the host without the client."""

    count: float
    seconds: float
    cpu: float


class Bench:
    """The measurements on ``host``."""

    def __init__(self, host: Host, password: str) -> None:
        self.host = host
        self.password = password
        self.certificate = (LAB / "ca.pem").read_text("ascii")

    def run(self) -> None:
        """Take all figures."""
        cases: dict[str, Callable[[], Taken]] = {
            "kept.plain": lambda: self.load(PLAIN_PORT, messages=2000, kept=True),
            "kept.submission": lambda: self.load(587, messages=2000, kept=True),
            "single.plain": lambda: self.load(PLAIN_PORT, messages=600, kept=False),
            "single.submission": lambda: self.load(587, messages=600, kept=False),
            "logins": lambda: self.load(587, messages=0, kept=False),
        }
        taken: dict[str, list[Taken]] = {name: [] for name in cases}
        for number in range(REPETITIONS + 1):
            for name, case in cases.items():
                one = case()
                progress(
                    f"{name}: {one.count / one.seconds:.0f}/s, {one.cpu / one.count * 1000:.2f} ms of processor each"
                )
                # The first round warms caches and starts processes.
                if number:
                    taken[name].append(one)
        for shape in ("kept", "single"):
            plain, ours = taken[f"{shape}.plain"], taken[f"{shape}.submission"]
            figure(f"submission.{shape}.plain-messages-per-second", rate(plain))
            figure(f"submission.{shape}.messages-per-second", rate(ours))
            figure(f"submission.{shape}.to-plain", rate(ours) / rate(plain), f">={GOAL}" if shape == "kept" else "-")
            figure(f"submission.{shape}.plain-processor-ms-per-message", cost(plain))
            figure(f"submission.{shape}.processor-ms-per-message", cost(ours))
        figure("submission.logins-per-second", rate(taken["logins"]))
        figure("submission.processor-ms-per-login", cost(taken["logins"]))
        for name, kilobytes in sorted(json.loads(self.on("python3 -", _PSS)).items()):
            if name.startswith(("postfix", "dovecot", "rspamd", "redis", "postseal")):
                figure(f"submission.memory-mb.{name}", kilobytes / 1024)

    def load(self, port: int, *, messages: int, kept: bool) -> Taken:
        """Run the client against ``port`` and wait until everything is delivered."""
        said: dict[str, Any] = {
            "port": port,
            "tls": port != PLAIN_PORT,
            "name": self.host.fqdn,
            "certificate": self.certificate,
            "login": LOGIN,
            "password": self.password,
            "sender": LOGIN,
            "recipient": RECIPIENT,
            "connections": CONNECTIONS,
            "messages": messages,
            "logins": 1000,
            "kept": kept,
        }
        before = int(self.on(_CPU))
        answer = json.loads(self.on(f"python3 {LOAD}", json.dumps(said) + "\n"))
        self.on(_DRAIN)
        cpu = (int(self.on(_CPU)) - before) / 1e6 - answer["client_cpu"]
        return Taken(answer["count"], answer["seconds"], cpu)

    @contextmanager
    def plain(self) -> Iterator[None]:
        """Have a plain Postfix on port 25 of loopback, and both deliver to nowhere."""
        self.on(f"cat > {LOAD}", (ROOT / "bench/submission_load.py").read_text("utf-8"))
        try:
            self.on(_BEGIN, _PLAIN_MAIN)
            yield
        finally:
            self.on(_END)

    def on(self, script: str, text: str = "") -> str:
        """Run a shell ``script`` on the host as root with ``text`` as input; raises :class:`BenchError`."""
        command = self.host.command("sh", "-c", "'" + script.replace("'", "'\\''") + "'")
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"{self.host.name}: {done.stdout}{done.stderr}".strip())
        return done.stdout


def rate(taken: list[Taken]) -> float:
    """Return the median of units per second."""
    return statistics.median(one.count / one.seconds for one in taken)


def cost(taken: list[Taken]) -> float:
    """Return the median of processor milliseconds per unit, those of delivery to nowhere included."""
    return statistics.median(one.cpu / one.count * 1000 for one in taken)


def credential(password: Secret) -> dict[str, dict[str, object]]:
    """Return what an inventory says of the benchmark's credential, by its name; its limits are never met."""
    limits = {"messages": "10000000/h", "recipients": "10000000/d"}
    return {LOGIN.partition("@")[0]: {"secret_hash": ssha512(password).reveal(), "rate": limits}}


def main() -> None:
    """Bring the lab up, have one host serve the benchmark's credential, measure, and leave the lab as it was."""
    progress("script/lab up")
    seconds([ROOT / "script/lab", "up"])
    host, password = HOSTS[0], new_token()
    site = ["ansible-playbook", *(str(ROOT / f"playbooks/{step}.yml") for step in ("keys", "dns", "services"))]
    try:
        with tempfile.TemporaryDirectory(prefix="postseal-bench.") as directory:
            progress(f"provisioning {host.name}")
            seconds([*site, "-i", inventory(Path(directory), host, credential(password))])
            bench = Bench(host, password.reveal())
            with bench.plain():
                bench.run()
            measure(Path(directory), host)
    finally:
        seconds([*site, "-i", ROOT / "inventories/lab", "--limit", f"localhost,{host.fqdn}"])


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        raise SystemExit(f"not measured: {error}") from None
