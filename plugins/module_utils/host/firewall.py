# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The firewall must not lock its operator out: it is taken down by the host itself unless somebody comes in to keep it.

Standard library, Python 3.9.
"""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import suppress
from typing import Any

UNIT = "postseal-firewall"
GUARD = "postseal-guard"
RULES = "/etc/postseal/firewall.nft"
# All that the firewall consists of, the rules last: they tell that there is something to take away.
FILES = (
    f"/var/lib/postseal/settled/{UNIT}.json",
    "/etc/postseal/guard.py",
    f"/etc/systemd/system/{GUARD}.service",
    f"/etc/systemd/system/{UNIT}.service",
    RULES,
)
UNDO = f"{UNIT}-undo"
# Seconds in which a new connection must come through. Connecting again takes one, a busy controller some.
UNDO_AFTER = 60
_TAKEN_DOWN = (
    f"systemctl disable --now {UNIT}.service {GUARD}.service; nft delete table inet postseal;"
    f" logger -t {UNIT} -p daemon.err 'no new connection came through after the change: the firewall is down'"
)


def arm() -> None:
    """Have systemd take the firewall down in a minute; a moment that was set before counts no more."""
    _run("systemctl", "stop", f"{UNDO}.timer")
    _run(
        "systemd-run",
        "--quiet",
        "--collect",
        f"--unit={UNDO}",
        f"--on-active={UNDO_AFTER}",
        "--timer-property=AccuracySec=1s",
        "sh",
        "-c",
        _TAKEN_DOWN,
    )


def keep(arguments: dict[str, Any]) -> dict[str, Any]:
    """Call the undoing off. That this runs shows that a new connection comes through. Returns ``{}``."""
    _run("systemctl", "stop", f"{UNDO}.timer")
    return {}


def there() -> bool:
    """Say whether this host has the firewall, or what is left of one."""
    return os.path.lexists(RULES)


def remove(arguments: dict[str, Any]) -> dict[str, Any]:
    """Take the firewall off this host: table, bans, units and files. With ``check`` nothing is touched.

    Returns ``{"changed", "diff"}``; cut off anywhere it may be repeated.
    """
    if not there():
        return {"changed": False}
    if not arguments.get("check"):
        _run("systemctl", "disable", "--now", f"{UNIT}.service", f"{GUARD}.service")
        _run("nft", "delete", "table", "inet", "postseal")
        for path in FILES:
            with suppress(FileNotFoundError):
                os.unlink(path)
        _run("systemctl", "daemon-reload")
    return {"changed": True, "diff": {"prepared": f"- {UNIT}: table inet postseal, its units and files\n"}}


def stands() -> str:
    """Return what is missing of the firewall in the kernel, or nothing."""
    shown = _run("nft", "list", "chain", "inet", "postseal", "input")
    if shown.returncode:
        return "the table inet postseal is not loaded"
    if "tcp dport" not in shown.stdout or "counter" not in shown.stdout:
        return "the table inet postseal has lost its rules"
    guard = _run("systemctl", "is-active", f"{GUARD}.service")
    return "" if guard.stdout.strip() == "active" else "nobody counts failed logins: postseal-guard is not running"


def lets_in(rules: str, port: int) -> bool:
    """Say whether the first rule about TCP ports in ``rules`` takes connections to ``port`` from everywhere."""
    first = re.search(r"^\s*tcp dport \{([0-9, ]+)\} accept$", rules, re.M)
    return bool(first) and str(port) in re.findall(r"\d+", first[1] if first else "")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
