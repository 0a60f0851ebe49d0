# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""DKIM rotation in the lab: ten thousand messages while all keys rotate twice, and a hundred domains in one run.

Mail goes through both hosts without a pause and is judged by the foreign receiver with the DNS of that moment. The
hundred domains lie in nine zones; DNS calls are what the controller sends to port 53 there, counted by its kernel.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.applications import Application, application, deployed
from tests.lab.load import Load
from tests.lab.site import ROOT, play

from .measure import BenchError, figure, progress

MESSAGES = 10_000
DOMAINS = ("shop1.test", "shop2.test", "shop3.test", "shop4.test")
MANY = 100
ZONES = 9
PLAYBOOK = "playbooks/rotate_dkim.yml"
# How long resolvers may remember, mail may wait, and a key outlives its last signature, in seconds.
TTL, QUEUE, GRACE = 5, 30, 40
TABLE = "inet postseal_bench"
_TASK = re.compile(r"^TASK \[(?:postseal\.mail\.\w+ : )?(.*?)\] \**$")


def main() -> None:
    """Take all figures, and leave the lab as its inventory has it."""
    try:
        with tempfile.TemporaryDirectory(prefix="postseal-bench-") as folder:
            _mail(Path(folder))
            _many(Path(folder))
    finally:
        _play("site.yml", "--skip-tags", "verify")


def _mail(folder: Path) -> None:
    by = application("load", senders=["load@shop.test", *(f"@{name}" for name in DOMAINS)])
    inventory = _inventory(folder, DOMAINS, by)
    _play("site.yml", "--skip-tags", "verify", *inventory)
    progress("sending")
    began = time.monotonic()
    with Load(by, ("shop.test", *DOMAINS)) as load:
        for _ in range(2):
            _play(PLAYBOOK, "-e", "rotate=true", *inventory)
            time.sleep(TTL + 1)
            _play(PLAYBOOK, *inventory)
            progress(f"{len(load.outcome.accepted)} messages")
        time.sleep(GRACE)
        _play(PLAYBOOK, *inventory)
        load.reach(MESSAGES)
        outcome = load.stop()
    unsigned = sum(1 for verdict in outcome.wrong if not verdict["dkim"])
    for verdict in outcome.wrong[:3]:
        progress(json.dumps(verdict))
    for name, value, goal in (
        ("messages", len(outcome.accepted), f">={MESSAGES}"),
        ("verified", len(outcome.verified), f"={len(outcome.accepted)}"),
        ("failed", len(outcome.wrong) - unsigned, "=0"),
        ("unsigned", unsigned, "=0"),
        ("lost", len(outcome.lost), "=0"),
        ("refused", len(outcome.refused), "=0"),
        ("deferred", len(outcome.deferred), "-"),
        ("keys-of-each-domain", min(len(used) for used in outcome.selectors.values()), ">=3"),
        ("messages-per-second", len(outcome.accepted) / (time.monotonic() - began), "-"),
    ):
        figure(f"dkim-mail-{name}", value, goal)


def _many(folder: Path) -> None:
    names = [f"d{number:03}.shop{1 + number % ZONES}.test" for number in range(MANY)]
    inventory = _inventory(folder, names, None)
    _timed("first", "site.yml", "--skip-tags", "verify", *inventory)
    one = _timed("1-of-100", PLAYBOOK, "-e", "rotate=true", "-e", f"domain={names[0]}", *inventory)
    time.sleep(TTL + 1)
    _timed("switch-1", PLAYBOOK, *inventory)
    everything = _timed("100-of-100", PLAYBOOK, "-e", "rotate=true", *inventory)
    time.sleep(TTL + 1)
    _timed("switch-100", PLAYBOOK, *inventory)
    time.sleep(GRACE)
    _timed("revoke-100", PLAYBOOK, *inventory)
    _timed("unchanged", PLAYBOOK, *inventory)
    figure("dkim-100-of-100-to-1", everything / one)


def _inventory(folder: Path, names: Sequence[str], by: Application | None) -> list[str]:
    """Write an inventory in which those domains send besides the shop's; return the arguments that name it."""
    policy = {"rotate_every": "never", "prepublish": "1s", "grace": f"{GRACE}s"}
    domains = [{"name": name, "dkim": policy, "dmarc": {"policy": "reject"}} for name in ("shop.test", *names)]
    tsig = {"name": "postseal", "algorithm": "hmac-sha256", "secret": "{{ lab_tsig }}"}
    said: dict[str, Any] = {
        "postseal_submission": {"hostname": "smtp.sender.test", "queue_lifetime": f"{QUEUE}s"},
        "postseal_dns": {
            "providers": {"lab": {"type": "rfc2136", "server": "10.97.0.2", "tsig": tsig}},
            "resolvers": ["10.97.0.4"],
            "ttl": TTL,
            "limits": {"max_deletes": 1000},
        },
        "postseal_domains": domains,
        "postseal_credentials": [deployed(), *([by.entry()] if by else [])],
    }
    file = folder / f"{len(names)}.json"
    file.write_text(json.dumps(said), "utf-8")
    return ["-e", f"@{file}"]


def _play(*arguments: str) -> None:
    began = time.monotonic()
    run = play(*arguments)
    if run.returncode:
        raise BenchError(f"{arguments} exited with {run.returncode}:\n" + "\n".join(run.output.splitlines()[-40:]))
    progress(f"{arguments[0]}: {time.monotonic() - began:.1f} s")


def _timed(name: str, *arguments: str) -> float:
    """Run a playbook; tell its seconds, those that making keys took, and its DNS calls; return the first."""
    with Counted() as counted:
        tasks = _tasks(arguments)
    total = sum(tasks.values())
    figure(f"dkim-{name}-seconds", total)
    figure(f"dkim-{name}-keys-seconds", sum(took for task, took in tasks.items() if task.startswith("Make keys")))
    figure(f"dkim-{name}-dns-seconds", sum(took for task, took in tasks.items() if task.startswith("Publish")))
    figure(f"dkim-{name}-dns-calls", counted.calls)
    return total


def _tasks(arguments: Sequence[str]) -> dict[str, float]:
    """Run a playbook and return how many seconds each of its tasks took, from its line in the output to the next."""
    command = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", "inventories/lab", *arguments]
    # Else a task is named with its first host's result, and its time is taken for that of the one before.
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "true"}
    spent: dict[str, float] = {}
    task, since, lines = "start", time.monotonic(), []
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            if found := _TASK.match(line):
                now = time.monotonic()
                spent[task] = spent.get(task, 0.0) + now - since
                task, since = found[1], now
    spent[task] = spent.get(task, 0.0) + time.monotonic() - since
    if process.returncode:
        raise BenchError(f"{arguments} exited with {process.returncode}:\n" + "".join(lines[-40:]))
    progress(f"{arguments[0]}: {sum(spent.values()):.1f} s")
    return spent


class Counted:
    """Counts what this machine sends to the lab's name servers while it is entered: queries, and TCP connections."""

    calls = 0

    def __enter__(self) -> Counted:
        """Begin to count."""
        matches = ("udp dport 53", "tcp dport 53 tcp flags syn")
        rules = [f"ip daddr 10.97.0.0/24 {match} counter" for match in matches]
        chain = ["chain out {", "type filter hook output priority 0", *rules, "}"]
        _nft("\n".join((f"table {TABLE} {{", *chain, "}", "")))
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; ``calls`` is the sum."""
        told = subprocess.run(["nft", "list", "table", *TABLE.split()], check=True, capture_output=True, text=True)
        self.calls = sum(int(packets) for packets in re.findall(r"packets (\d+)", told.stdout))
        _nft(f"delete table {TABLE}")


def _nft(rules: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=rules, check=True, text=True)


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench.dkim: {error}")
