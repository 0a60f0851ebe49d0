# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What publishing costs at Cloudflare: calls, seconds and memory, against octoDNS with its Cloudflare provider.

Both talk to the fake of the contract tests on loopback, which answers as if it were 20 ms away. Its quota is off and
nobody waits for name servers, so that programs are measured and not pauses. octoDNS gets the same records as its YAML
provider reads them, eight workers like ours, and no page rules, which spares it a call a zone.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.contract.cloudflare.server import FakeCloudflare, Token
from tests.contract.cloudflare.store import Store, Zone

from .dns_domains import for_octodns, zone
from .measure import BenchError, figure, progress

ROOT = Path(__file__).resolve().parent.parent
OCTODNS = ROOT / ".venv-bench/bin/octodns-sync"
SIZES = (1, 10, 100, 1000)
DISTANCE = 0.02
WORKERS = 8
# Calls a zone, and listings of zones for a hundred of them.
FIRST_CALLS, UNCHANGED_CALLS, LISTINGS = 2, 1, 2
PLANNING_GOAL, MEMORY_GOAL = 2.0, 200.0


@dataclass(frozen=True)
class Taken:
    """One run: how many calls, how many seconds, and what the program said of itself."""

    calls: int
    seconds: float
    told: dict[str, float | str]


def main() -> None:
    """Take all figures."""
    if not OCTODNS.exists():
        raise BenchError(f"{OCTODNS} is missing; script/bench makes it")
    for count in SIZES:
        _measure(count)


def _measure(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="postseal-bench-") as folder:
        for name, prepare in {"postseal": _postseal, "octodns": _octodns}.items():
            # The quota is a matter of the account; neither shall meet it here.
            with FakeCloudflare(Store(), quota=10**9) as fake:
                fake.delay, token = DISTANCE, secrets.token_urlsafe(30)
                fake.tokens[token] = Token()
                for number in range(count):
                    fake.store.add(Zone(zone(number), plan="pro"))
                run = prepare(fake, token, count, Path(folder))
                first, unchanged = run(), run()
                if name == "postseal" and unchanged.told["states"] != "unchanged":
                    raise BenchError(f"a second run is not a run that changes nothing: {unchanged.told}")
            _report(name, count, first, unchanged)


def _report(name: str, count: int, first: Taken, unchanged: Taken) -> None:
    listings = max(1, LISTINGS * count // 100)
    ours = name == "postseal"
    domains = f"{count}-domain{'s' * (count > 1)}"
    goals = (FIRST_CALLS * count + listings, UNCHANGED_CALLS * count + listings)
    for kind, taken, goal in (("first", first, goals[0]), ("unchanged", unchanged, goals[1])):
        figure(f"dns-{kind}-{domains}-{name}-calls", taken.calls, f"<={goal}" if ours else "-")
        figure(f"dns-{kind}-{domains}-{name}-seconds", taken.seconds)
    if ours:
        limited = count == SIZES[-1]
        figure(
            f"dns-planning-{domains}-seconds", float(first.told["planning"]), f"<{PLANNING_GOAL}" if limited else "-"
        )
        memory = max(float(first.told["memory"]), float(unchanged.told["memory"]))
        figure(f"dns-memory-{domains}-MiB", memory, f"<{MEMORY_GOAL:.0f}" if limited else "-")


def _postseal(fake: FakeCloudflare, token: str, count: int, _: Path) -> Callable[[], Taken]:
    command = [sys.executable, "-m", "bench.dns_run", fake.url, str(count)]
    return lambda: _timed(fake, command, {**os.environ, "BENCH_TOKEN": token})


def _octodns(fake: FakeCloudflare, token: str, count: int, folder: Path) -> Callable[[], Taken]:
    records = for_octodns(count)
    for name, content in records.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    configuration = {
        "manager": {"max_workers": WORKERS},
        "providers": {
            "config": {"class": "octodns.provider.yaml.YamlProvider", "directory": str(folder), "enforce_order": False},
            "cloudflare": {
                "class": "octodns_cloudflare.CloudflareProvider",
                "token": "env/BENCH_TOKEN",
                "api_url": fake.url,
                "pagerules": False,
            },
        },
        "zones": {f"{name}.": {"sources": ["config"], "targets": ["cloudflare"]} for name in records},
    }
    path = folder / "configuration.yaml"
    path.write_text(yaml.safe_dump(configuration))
    command = [str(OCTODNS), "--config-file", str(path), "--doit", "--force", "--quiet"]
    return lambda: _timed(fake, command, {**os.environ, "BENCH_TOKEN": token})


def _timed(fake: FakeCloudflare, command: list[str], environment: dict[str, str]) -> Taken:
    fake.requests.clear()
    began = time.monotonic()
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    progress(f"{command[0].rpartition('/')[2]}: {len(fake.requests)} calls, {took:.2f} s")
    end = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
    if done.returncode:
        raise BenchError(f"{command} exited with {done.returncode}:\n{end}")
    ours = command[0] == sys.executable
    told = json.loads(done.stdout.splitlines()[-1]) if ours else {}
    if told.get("error"):
        raise BenchError(f"a zone failed: {told['error']}")
    return Taken(len(fake.requests), took - float(told.get("planning", 0)), told)


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench.dns: {error}")
