# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The state of a mail host beyond its mail software: firewall, updates, clock, space, queue. Python 3.9.

Everything here looks and changes nothing.
"""

from __future__ import annotations

import glob
import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from .errors import HostError

SECONDS = 20
QUEUE = Path("/var/spool/postfix")
QUEUES = ("deferred", "active", "hold", "corrupt")
PROCESSES = ("master", "smtpd", "qmgr", "tlsmgr", "dovecot", "auth", "rspamd")
# Files that a process keeps mapped although an update has replaced them (proc(5), maps).
_REPLACED = re.compile(r"(/(?:usr/)?lib\S*\.so\S*) \(deleted\)")


def collect() -> dict[str, Any]:
    """Return ``{"firewall", "clock", "space", "queue", "outdated", "reboot", "updates"}``.

    ``firewall``: base chains that filter what comes in, each ``{"table", "policy", "last"}``, the verdict of its last
    rule; ``None`` without nft(8). ``clock``: seconds of the epoch. ``space``: by path the free share of bytes and of
    inodes. ``queue``: messages by queue. ``outdated``: program -> libraries it runs that were replaced. ``reboot``:
    whether one is asked for. ``updates``: whether security updates install themselves.
    """
    return {
        "firewall": _firewall(),
        "space": {str(path): _free(path) for path in (Path("/"), Path("/var/log"), QUEUE) if path.exists()},
        "queue": {name: _files(QUEUE / name) for name in QUEUES},
        "outdated": _outdated(),
        "reboot": any(os.path.exists(path) for path in ("/run/reboot-required", "/var/run/reboot-required")),
        "updates": _updates(),
        "clock": time.time(),
    }


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False, env=environment
    )


def _firewall() -> list[dict[str, str]] | None:
    if not os.path.exists("/usr/sbin/nft"):
        return None
    answer = _run("nft", "-j", "list", "ruleset")
    if answer.returncode != 0:
        raise HostError(f"nft failed: {answer.stderr.strip()[:200]}")
    chains: dict[tuple[str, str, str], dict[str, str]] = {}
    for entry in json.loads(answer.stdout).get("nftables", []):
        chain, rule = entry.get("chain"), entry.get("rule")
        if chain and chain.get("hook") == "input" and chain.get("type") == "filter":
            place = (chain["family"], chain["table"], chain["name"])
            chains[place] = {"table": " ".join(place), "policy": chain.get("policy", "accept"), "last": ""}
        elif rule and (place := (rule["family"], rule["table"], rule["chain"])) in chains:
            chains[place]["last"] = _verdict(rule.get("expr", []))
    return list(chains.values())


def _verdict(expressions: list[dict[str, Any]]) -> str:
    """Return what a rule does with every packet; nothing if it looks at something first."""
    names = [name for expression in expressions for name in expression]
    if any(name not in ("counter", "log", "drop", "reject", "accept") for name in names):
        return ""
    return next((name for name in names if name in ("drop", "reject", "accept")), "")


def _free(path: Path) -> dict[str, float]:
    status = os.statvfs(path)
    return {
        "bytes": status.f_bavail / status.f_blocks if status.f_blocks else 1.0,
        "inodes": status.f_favail / status.f_files if status.f_files else 1.0,
    }


def _files(top: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(top))


def _outdated() -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for maps in glob.glob("/proc/[0-9]*/maps"):
        try:
            name = (Path(maps).parent / "comm").read_text().strip()
            if name in PROCESSES and (gone := _REPLACED.findall(Path(maps).read_text(errors="replace"))):
                found.setdefault(name, set()).update(gone)
        except OSError:
            continue  # it has ended
    return {name: sorted(libraries) for name, libraries in sorted(found.items())}


def _updates() -> bool:
    if not os.path.exists("/usr/bin/unattended-upgrade"):
        return False
    answer = _run("apt-config", "shell", "DOES", "APT::Periodic::Unattended-Upgrade")
    timer = _run("systemctl", "is-enabled", "apt-daily-upgrade.timer")
    return bool(re.search(r"DOES='(?!0')[^']+'", answer.stdout)) and timer.stdout.strip() == "enabled"
