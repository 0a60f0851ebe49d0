# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The journal of the mail services: whether it stands as its configuration says. Standard library, Python 3.9."""

from __future__ import annotations

import grp
import os
import re
import subprocess

UNIT = "postseal-log"
NAMESPACE = "postseal"
FILTER = "/etc/postseal/log.py"
JOURNALD = f"/etc/systemd/journald@{NAMESPACE}.conf"
READERS = f"/etc/systemd/system/systemd-journald@{NAMESPACE}.service.d/postseal.conf"
# As postseal-log-filter.socket names them.
SOCKET = "/run/postseal-log/postfix"
UNITS = (f"systemd-journald@{NAMESPACE}.socket", "postseal-log-filter.socket", "postseal-log-expire.timer")
OWNER = 0
DIRECTORY_MODE = 0o2750
FILE_MODE = 0o640


def directory() -> str:
    """Return where the journal lies (systemd-journald.service(8), journal namespaces)."""
    with open("/etc/machine-id", encoding="ascii") as handle:
        return f"/var/log/journal/{handle.read().strip()}.{NAMESPACE}"


def readers(text: str) -> str:
    """Return the group that ``text``, the drop-in of the journal's unit, lets read."""
    found = re.search(r"^Group=(\S+)$", text, re.M)
    return found[1] if found else ""


def unknown_readers(text: str) -> str:
    """Return the group that ``text`` names and this host does not have, or nothing."""
    group = readers(text)
    try:
        grp.getgrnam(group)
    except KeyError:
        return group or "none"
    return ""


def open_to_others(group: str) -> list[str]:
    """Return one line for each file of the journal, and its directory, that others than root and ``group`` can read.

    Raises :class:`OSError` where there is no journal.
    """
    top = directory()
    wanted = grp.getgrnam(group).gr_gid
    found = []
    for path in (top, *(os.path.join(top, name) for name in sorted(os.listdir(top)))):
        try:
            status = os.stat(path)
            lists = [name for name in os.listxattr(path) if name == "system.posix_acl_access"]
        except FileNotFoundError:
            continue  # it is gone by now: files come and go
        mode = DIRECTORY_MODE if path == top else FILE_MODE
        if (status.st_uid, status.st_gid, status.st_mode & 0o7777) != (OWNER, wanted, mode) or lists:
            also = " and an access list" if lists else ""
            found.append(f"{path} belongs to {status.st_uid}:{status.st_gid} {status.st_mode & 0o7777:04o}{also}")
    return found


def stands() -> str:
    """Return what is missing of the journal, or nothing."""
    asked = subprocess.run(
        ["systemctl", "is-active", *UNITS], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    for unit, state in zip(UNITS, asked.stdout.split()):
        if state != "active":
            return f"{unit} is {state}"
    try:
        with open(READERS, encoding="utf-8") as handle:
            loose = open_to_others(readers(handle.read()))
    except (OSError, KeyError) as problem:
        return f"the journal is not as it should be: {problem}"
    return loose[0] if loose else ""


def takes_lines() -> str:
    """Write a line with an address into the filter's socket and look for it in the journal; return what is wrong."""
    import socket  # noqa: PLC0415  # a run that changes nothing needs neither
    import time  # noqa: PLC0415

    token = os.urandom(8).hex()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.settimeout(5)
        link.sendto(f"<22>postseal-log: {token} to=<{token}@postseal-probe.invalid>".encode(), SOCKET)
    deadline = time.monotonic() + 5
    while True:
        command = ["journalctl", "--quiet", f"--namespace={NAMESPACE}", "--output=cat", "--lines=50"]
        done = subprocess.run(
            [*command, "--identifier=postseal-log"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if token in done.stdout:
            return ""
        if time.monotonic() > deadline:
            return "a line for the filter does not get into the journal"
        time.sleep(0.1)
