# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the verification asks of the mail services' journal; changes nothing, and no address leaves the host.

Standard library, Python 3.9.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from typing import Any

from . import log
from .errors import HostError

EXPIRE = "postseal-log-expire"
# Files that an administrator may have set up (rsyslog's defaults), for the lines of all services.
FILES = (
    "/var/log/mail.log",
    "/var/log/mail.info",
    "/var/log/mail.warn",
    "/var/log/mail.err",
    "/var/log/maillog",
)
# What daemons write themselves, with the configuration that Debian gives them. Another instance's lines are its own.
OWN_FILES = {
    "dovecot.service": "/var/log/dovecot.log",
    "rspamd.service": "/var/log/rspamd/rspamd.log",
    "redis-server.service": "/var/log/redis/redis-server.log",
}
LINES = 3000
PROPERTIES = "Id,ActiveState,SubState,LogNamespace,ActiveEnterTimestamp"
ADDRESS = re.compile(r"<([^<>]*@[^<>]*)>")
MASKED = ("@hashed.invalid", "@dropped.invalid")


def observe(units: list[str]) -> dict[str, Any]:
    """Return how the journal is kept. Raises :class:`HostError` where systemd does not answer.

    ``vacuum``: the age in seconds at which files go; ``expires``: whether what removes them is due; ``oldest``: age of
    the first line in seconds (``None``: no line). ``group``, ``loose``: who may read, and which files others can.
    ``services``: of each of ``units`` that runs, whether it ``writes`` to this journal, how many of its last lines
    since it started hold an address in ``clear``, and where else lines of it are (``copies``).
    """
    shown = _run("systemctl", "show", "--timestamp=unix", "-p", PROPERTIES, *units)
    if not shown.strip():
        raise HostError("systemd does not say how the services log")
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.split("\n\n")]
    running = [block for block in blocks if (block.get("ActiveState"), block.get("SubState")) == ("active", "running")]
    timer = _run("systemctl", "show", "-p", "ActiveState", f"{EXPIRE}.timer")
    vacuum = re.search(r"--vacuum-time=(\d+)s", _run("systemctl", "cat", f"{EXPIRE}.service"))
    group, loose = _access()
    return {
        "vacuum": int(vacuum[1]) if vacuum else None,
        "expires": timer.strip() == "ActiveState=active",
        "oldest": _oldest(),
        "group": group,
        "loose": loose,
        "services": {block["Id"]: _service(block) for block in running},
    }


def _service(block: dict[str, str]) -> dict[str, Any]:
    unit, since = block["Id"], int(block["ActiveEnterTimestamp"].lstrip("@") or 0)
    lines = _run(
        "journalctl", "-q", f"--namespace={log.NAMESPACE}", "-o", "cat", f"-n{LINES}", f"--since=@{since}", "-u", unit
    )
    # systemd's own words about a unit are not that unit's.
    elsewhere = _run("journalctl", "-q", "-o", "cat", "-n1", f"--since=@{since + 1}", f"_SYSTEMD_UNIT={unit}")
    return {
        "writes": block.get("LogNamespace") == log.NAMESPACE,
        "clear": sum(map(clear, lines.splitlines())),
        "copies": [*(["the host's journal"] if elsewhere.strip() else []), *_newer(unit, since)],
    }


def clear(line: str) -> bool:
    """Say whether ``line`` holds an address, in angle brackets as all three services write them, in clear."""
    found = (part for inside in ADDRESS.findall(line) for part in inside.split(","))
    return any("@" in part and not part.endswith(MASKED) for part in found)


def _newer(unit: str, since: int) -> list[str]:
    found = []
    for path in (*FILES, *([OWN_FILES[unit]] if unit in OWN_FILES else [])):
        try:
            status = os.stat(path)
        except OSError:
            continue
        if status.st_size and status.st_mtime > since + 1:
            found.append(path)
    return found


def _access() -> tuple[str, list[str]]:
    try:
        with open(log.READERS, encoding="utf-8") as handle:
            group = log.readers(handle.read())
        return group, log.open_to_others(group)
    except (OSError, KeyError) as problem:
        return "", [f"there is no such journal: {problem}"]


def _oldest() -> float | None:
    """Return the age of the first line in seconds."""
    command = ["journalctl", "-q", f"--namespace={log.NAMESPACE}", "-o", "short-unix"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        first = run.stdout.readline() if run.stdout else b""
        run.terminate()
    moment = re.match(rb"\d+\.\d+", first)
    return time.time() - float(moment[0]) if moment else None


def _run(*command: str) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False, timeout=20
    )
    return done.stdout
