# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Empty a mail host before maintenance or removal: no new submissions, everything in the queue tried, and what is left.

Submissions are refused at the door by a table of the kernel's own (nft(8)): an application is told at once and asks the
next host. Postfix keeps its configuration, so a deployment meanwhile changes nothing about it, and loopback stays open
for the checks of one. A unit makes it last over restarts. Standard library, Python 3.9.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Any

from .durable import write_durably
from .errors import HostError
from .mailqueue import CLOSED, CLOSED_TABLE, closed_since, refuses, run, show

NAME = "postseal-drain"
UNIT = f"/etc/systemd/system/{NAME}.service"
_UNIT = f"""\
# Written by playbooks/drain.yml, which takes it away again with -e undo=true.
[Unit]
Description=This mail host takes no submissions
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
# nftables.service forgets all tables when it starts, ends or loads its file again.
After=nftables.service
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {CLOSED}
ExecReload=/usr/sbin/nft -f {CLOSED}

[Install]
WantedBy=sysinit.target
"""


def rules(ports: list[int], *, finish: bool) -> str:
    """Return the rules that refuse submissions; with ``finish`` sessions that are open may go on."""
    listed = ", ".join(str(port) for port in sorted(ports))
    going_on = f"    tcp dport {{ {listed} }} ct state established,related accept\n" if finish else ""
    table = f"table inet {CLOSED_TABLE}"
    return (
        "# Written by playbooks/drain.yml, which takes it away again with -e undo=true.\n"
        f"{table} {{\n  chain input {{ type filter hook input priority filter - 20; policy accept; }}\n}}\n"
        f"flush chain inet {CLOSED_TABLE} input\n"
        f'{table} {{\n  chain input {{\n    iifname "lo" accept\n{going_on}'
        f"    tcp dport {{ {listed} }} reject with tcp reset\n  }}\n}}\n"
    )


def close(arguments: dict[str, Any]) -> dict[str, Any]:
    """Take no new submissions on ``ports`` from now on, over restarts; with ``check`` only tell.

    Returns ``changed``, and the queue as :func:`mailqueue.show` does.
    """
    changed = closed_since() is None
    if not arguments.get("check"):
        if not os.path.exists("/usr/sbin/nft"):
            raise HostError("nft is not installed, and nothing else refuses submissions: apt-get install nftables")
        if changed:
            os.makedirs(os.path.dirname(CLOSED), mode=0o755, exist_ok=True)
            write_durably(UNIT, _UNIT.encode())
            os.chmod(UNIT, 0o644)
            write_durably(CLOSED, rules(arguments["ports"], finish=False).encode())
            run("systemctl", "daemon-reload")
            run("systemctl", "enable", "--quiet", f"{NAME}.service")
        run("nft", "-f", "-", text=rules(arguments["ports"], finish=True))
        run("postqueue", "-f")
    return {**_state(arguments), "changed": changed}


def step(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return how far it is; ``cut`` ends sessions that are still open, ``flush`` has everything tried again."""
    if arguments.get("cut"):
        run("systemctl", "restart", f"{NAME}.service")
    if arguments.get("flush"):
        run("postqueue", "-f")
    return _state(arguments)


def reopen(arguments: dict[str, Any]) -> dict[str, Any]:
    """Take submissions again; nothing of the above stays. Cut off anywhere it may be repeated."""
    changed = any(os.path.lexists(path) for path in (CLOSED, UNIT))
    if changed and not arguments.get("check"):
        run("systemctl", "disable", "--now", "--quiet", f"{NAME}.service", good=(0, 1, 5))
        if refuses():
            run("nft", "delete", "table", "inet", CLOSED_TABLE)
        for path in (UNIT, CLOSED):
            with suppress(FileNotFoundError):
                os.unlink(path)
        run("systemctl", "daemon-reload")
    return {"changed": changed}


def _state(arguments: dict[str, Any]) -> dict[str, Any]:
    return {**show({"limit": arguments.get("limit", 20)}), "sessions": _sessions(arguments["ports"])}


def _sessions(ports: list[int]) -> int:
    """Return how many clients are connected; whoever asks over loopback is this host itself."""
    lines = run("ss", "-Htn", "state", "established").stdout.splitlines()
    local = [line.split()[2:4] for line in lines if len(line.split()) >= 4]  # noqa: PLR2004
    return sum(
        1
        for here, there in local
        if int(here.rpartition(":")[2]) in ports and not re.match(r"127\.|\[::1\]|\[::ffff:127\.", there)
    )
