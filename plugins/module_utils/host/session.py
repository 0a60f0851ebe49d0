# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""How the controller reaches this host: the SSH session that this program runs in. Standard library, Python 3.9."""

from __future__ import annotations

import os
from typing import NamedTuple


class Session(NamedTuple):
    """The controller's address as this host sees it, and the port it came in by; empty and 0 if unknown."""

    client: str = ""
    port: int = 0


def ssh_session() -> Session:
    """Return the SSH session above this process.

    sshd(8) sets SSH_CONNECTION (client, its port, server, its port); sudo(8) takes it out of the environment, so that
    the processes above are looked at as well.
    """
    pid = os.getpid()
    while pid > 1:
        try:
            with open(f"/proc/{pid}/environ", "rb") as handle:
                words = [word for word in handle.read().split(b"\0") if word.startswith(b"SSH_CONNECTION=")]
            with open(f"/proc/{pid}/stat", "rb") as handle:
                pid = int(handle.read().rpartition(b")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            break
        fields = words[0].decode(errors="replace").partition("=")[2].split() if words else []
        if len(fields) == 4 and fields[3].isdigit():  # noqa: PLR2004
            return Session(fields[0].partition("%")[0], int(fields[3]))
    return Session()
