# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the verification asks of a host besides its mail services: SSH, the resolver, and what services were made of.

Changes nothing. Standard library, Python 3.9.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Optional

from .errors import HostError

SECONDS = 5
SSHD = "/usr/sbin/sshd"
NOTES = Path("/var/lib/postseal/settled")
RESOLVERS = Path("/etc/resolv.conf")
DNS_PORT = 53
# RD and AD (RFC 6840 5.7), one question and one additional record; then the type SOA, and that record: EDNS with room
# for 1232 octets, and DO (RFC 6891 6.1.2).
HEADER = b"\1\x20\0\1\0\0\0\0\0\1"
REST = b"\0\0\6\0\1" + b"\0\0\x29\4\xd0\0\0\x80\0\0\0"
AD = 0x0020


def ssh() -> Optional[dict[str, str]]:  # noqa: UP045  # Python 3.9
    """Return how sshd_config(5) lets people log in, option by option in lower case; ``None`` without a server.

    What ``Match`` changes for some of them is not in it. Raises :class:`HostError` if sshd does not say.
    """
    if not os.path.exists(SSHD):
        return None
    said = subprocess.run(
        [SSHD, "-T"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    if said.returncode != 0:
        raise HostError(f"sshd -T failed: {said.stderr.strip()[-200:]}")
    options = dict(line.partition(" ")[::2] for line in said.stdout.splitlines())
    wanted = ("passwordauthentication", "kbdinteractiveauthentication", "authenticationmethods")
    return {name: options.get(name, "") for name in wanted}


def resolver(names: list[str]) -> dict[str, Any]:
    """Return ``{"server", "validates"}``: the first one in resolv.conf(5), and whether it vouches by DNSSEC for the SOA
    of the root or of one of ``names`` (RFC 4035 3.2.3).

    Raises :class:`OSError` if it answers nothing.
    """
    found = re.search(r"^nameserver\s+(\S+)", RESOLVERS.read_text("utf-8"), re.M)
    server = found[1] if found else "127.0.0.1"
    questions = {number.to_bytes(2, "big"): name for number, name in enumerate(["", *names])}
    answers: dict[bytes, bool] = {}
    deadline = time.monotonic() + SECONDS
    with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.connect((server, DNS_PORT))
        for number, name in questions.items():
            labels = [label.encode() for label in name.split(".") if label]
            link.send(number + HEADER + b"".join(bytes([len(label)]) + label for label in labels) + REST)
        while len(answers) < len(questions) and not any(answers.values()):
            link.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                answer = link.recv(4096)
            except socket.timeout:  # Python 3.9
                break
            if answer[:2] in questions and len(answer) > len(HEADER):
                answers[answer[:2]] = bool(int.from_bytes(answer[2:4], "big") & AD)
    if not answers:
        raise OSError(f"the resolver {server} does not answer")
    return {"server": server, "validates": any(answers.values())}


def made_of() -> Optional[dict[str, str]]:  # noqa: UP045  # Python 3.9
    """Return service -> the inventory that its last change was made of, as the notes have it (:mod:`.settled`).

    ``None`` where there are no notes: somebody else installed this host.
    """
    if not NOTES.is_dir():
        return None
    found = {}
    for path in NOTES.glob("*.json"):
        try:
            note = json.loads(path.read_bytes())
            found[path.stem] = str(note["request"]).partition("-")[2]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it counts as missing
    return found
