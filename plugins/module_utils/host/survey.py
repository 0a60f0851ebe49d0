# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Collect every fact the verification asks of a mail host, in one call that changes nothing. Python 3.9.

Only metadata and public halves leave the host: modes and owners of files, never their content.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import condition, keys, logwatch, mailboxes, surroundings
from .errors import HostError
from .queue_files import in_motion

SECONDS = 20
KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFSOCK: "socket", stat.S_IFLNK: "link"}
UNIT_PROPERTIES = ("Id", "LoadState", "ActiveState", "SubState", "UnitFileState", "Result")
# What keeps a service that was taken over from going further (systemd.exec(5)).
CONFINEMENT = (
    "NoNewPrivileges",
    "ProtectSystem",
    "ProtectHome",
    "PrivateDevices",
    "PrivateTmp",
)
LISTENER = re.compile(
    r"LISTEN\s+\d+\s+\d+\s+(?P<address>\S+):(?P<port>\d+)\s+\S+(?:\s+users:\(\(\"(?P<process>[^\"]+))?"
)


def collect(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return ``{"files", "listeners", "units", "postfix", "keys", "containment", "condition", "log", "mailboxes",
    "problems"}``, and ``ssh``, ``resolver`` and ``made_of`` as :mod:`.surroundings` has them.

    Arguments: ``trees`` (paths whose whole content is listed), ``units`` (unit names), ``parameters`` (postconf names),
    ``names`` (of zones that may be signed), ``mailboxes`` and ``hello`` (see :func:`mailboxes.ask`).
    ``postfix`` is ``None`` where Postfix is not installed.
    ``containment`` is ``None`` where nothing watches over logins, else what :func:`_containment` says.
    ``problems`` says per part what could not be collected. Raises :class:`HostError` without root.
    """
    if os.geteuid() != 0:
        raise HostError("the facts of a host need root; connect as root or let the account use sudo without a password")
    parts = {
        "files": lambda: [fact for tree in arguments["trees"] for fact in _tree(Path(tree))],
        "listeners": _listeners,
        "units": lambda: _units(arguments["units"]),
        "postfix": lambda: _postfix(arguments["parameters"]),
        "keys": lambda: keys.read({}),
        "containment": _containment,
        "log": lambda: logwatch.observe(arguments["units"]),
        "condition": condition.collect,
        "mailboxes": lambda: mailboxes.ask(arguments["mailboxes"], arguments["hello"]),
        "ssh": surroundings.ssh,
        "resolver": lambda: surroundings.resolver(arguments["names"]),
        "made_of": surroundings.made_of,
    }
    found: dict[str, Any] = {}
    problems: dict[str, str] = {}
    with ThreadPoolExecutor(len(parts)) as pool:
        running = {name: pool.submit(part) for name, part in parts.items()}
        for name, part in running.items():
            try:
                found[name] = part.result()
            except (HostError, OSError, ValueError, subprocess.SubprocessError) as error:
                found[name], problems[name] = None, str(error)
    return {**found, "problems": problems}


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False, env=environment
    )


def _tree(top: Path) -> list[dict[str, Any]]:
    if not os.path.lexists(top):
        return []
    facts = [_file(top)]
    for directory, directories, files in os.walk(top):
        facts += [_file(Path(directory) / name) for name in (*directories, *files)]
    return facts


def _file(path: Path) -> dict[str, Any]:
    status = path.lstat()
    return {
        "path": str(path),
        "kind": KINDS.get(stat.S_IFMT(status.st_mode), "other"),
        "mode": f"{status.st_mode & 0o7777:04o}",
        "owner": _name(pwd.getpwuid, status.st_uid),
        "group": _name(grp.getgrgid, status.st_gid),
    }


def _name(look_up: Any, number: int) -> str:
    try:
        return str(look_up(number)[0])
    except KeyError:
        return str(number)


def _listeners() -> list[dict[str, Any]]:
    """TCP sockets that accept connections: ``{"address", "port", "process"}`` (ss(8))."""
    answer = _run("ss", "-H", "-l", "-t", "-n", "-p")
    if answer.returncode != 0:
        raise HostError(f"ss failed: {answer.stderr.strip()[:200]}")
    matches = [match for match in map(LISTENER.match, answer.stdout.splitlines()) if match]
    return [
        {"address": match["address"], "port": int(match["port"]), "process": match["process"] or ""}
        for match in matches
    ]


def _units(names: list[str]) -> dict[str, dict[str, str]]:
    """State of each unit as systemctl(1) shows it: unit name -> property -> value."""
    answer = _run("systemctl", "show", "--property", ",".join((*UNIT_PROPERTIES, *CONFINEMENT)), "--", *names)
    if answer.returncode != 0:
        raise HostError(f"systemctl failed: {answer.stderr.strip()[:200]}")
    blocks = [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in answer.stdout.split("\n\n")
    ]
    return dict(zip(names, blocks))


def _postfix(parameters: list[str]) -> dict[str, Any] | None:
    """What Postfix makes of its configuration: complaints, ``parameters`` of main.cf, services and their overrides."""
    if not Path("/usr/sbin/postconf").exists():
        return None
    with ThreadPoolExecutor(4) as pool:
        check = pool.submit(_run, "postfix", "check")
        main = pool.submit(_run, "postconf", *parameters)
        services = pool.submit(_run, "postconf", "-M")
        overrides = pool.submit(_run, "postconf", "-P")
    answers = (check.result(), main.result(), services.result(), overrides.result())
    said = [line for answer in answers for line in answer.stderr.splitlines() if line.strip()]
    complaints = [line for line in said if not in_motion(line)]
    return {
        "complaints": list(dict.fromkeys(complaints)),
        "check": 0 if said and not complaints else answers[0].returncode,
        "main": _pairs(answers[1].stdout),
        "services": [line.split() for line in answers[2].stdout.splitlines()],
        "overrides": _pairs(answers[3].stdout),
    }


def _containment() -> dict[str, Any] | None:
    """Return what the watch over logins says (``answer``, one line a login, or ``complaint``), and whether the signer's
    script asks for suspensions at all.
    """
    program, signer = Path("/etc/postseal/containment.py"), Path("/etc/rspamd/limits.lua")
    if not program.exists():
        return None
    said = _run("/usr/bin/python3", "-I", str(program))
    return {
        "answer": said.stdout.splitlines(),
        "complaint": said.stderr.strip()[:200] if said.returncode else "",
        "signer_asks": signer.exists() and "postseal:suspended" in signer.read_text("utf-8"),
    }


def _pairs(text: str) -> dict[str, str]:
    split = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in split}
