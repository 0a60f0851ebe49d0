# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Listen on port 80 for the ACME authority's questions, and for nothing else. Standard library, Python 3.9."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import settled
from .errors import HostError
from .request import Paths
from .system import SupportFile, install, port_user, run_unit, unit_runs

# Apart from /var/lib/postseal, which holds backups and lets nobody but root in.
WEBROOT = Path("/var/lib/postseal-http01")
PROGRAM = Path("/usr/local/lib/postseal/http01.py")
UNITS = Path("/etc/systemd/system")
UNIT = "postseal-http01.socket"
PORT = 80


def ensure(arguments: dict[str, Any]) -> dict[str, Any]:
    """Make this host answer HTTP-01 on port 80, for itself and by redirection for the others that share its names.

    ``arguments``: ``program`` (text of the answering program), ``following`` (name of the next mail host, or null),
    ``hops`` (how many other mail hosts there are), ``check`` (look, do not touch), ``settles`` (name of this request
    in the note that nothing is left to do). Returns ``{"changed"}``. Raises :class:`HostError` when another program
    holds the port.
    """
    result = _ensure(arguments)
    if not arguments.get("check"):
        places = [str(file.path) for file in wanted(arguments)]
        settled.keep("http01", arguments.get("settles"), Paths(), places=places, active=[UNIT], enabled=[UNIT])
    return result


def _ensure(arguments: dict[str, Any]) -> dict[str, Any]:
    files = [file for file in wanted(arguments) if not file.current()]
    runs = unit_runs(UNIT)
    if arguments.get("check") or (not files and runs):
        return {"changed": bool(files or not runs)}
    if not runs and (program := port_user(PORT)):
        raise HostError(
            f"port {PORT} is in use by {program}; the ACME authority asks there (HTTP-01): stop that program or move "
            "it to another port"
        )
    WEBROOT.mkdir(mode=0o755, exist_ok=True)
    install(files)
    run_unit(UNIT)
    return {"changed": True}


def wanted(arguments: dict[str, Any]) -> list[SupportFile]:
    """Return the program and its two units."""
    following, hops = arguments.get("following"), int(arguments.get("hops") or 0)
    call = f"{PROGRAM} {WEBROOT}" + (f" {following} {hops}" if following else "")
    return [
        SupportFile(PROGRAM, arguments["program"], 0o755),
        SupportFile(UNITS / UNIT, SOCKET),
        SupportFile(UNITS / "postseal-http01@.service", SERVICE.format(call=call)),
    ]


SOCKET = f"""\
# Written by Postseal. Questions of the ACME authority (RFC 8555 8.3), over IPv6 and IPv4: an authority that finds an
# AAAA record does not fall back.
[Unit]
Description=Port {PORT} for HTTP-01 challenges

[Socket]
ListenStream={PORT}
BindIPv6Only=both
# One short process per connection, few at a time: this port faces the internet. An authority asks several times for
# each name, and for the shared name on behalf of every mail host at once: 8 from one address were too few.
Accept=yes
MaxConnections=32
MaxConnectionsPerSource=24

[Install]
WantedBy=sockets.target
"""

SERVICE = """\
# Written by Postseal. It can read the tokens and nothing else, and reach nobody (systemd.exec(5)).
[Unit]
Description=Answer to an HTTP-01 challenge
CollectMode=inactive-or-failed

[Service]
ExecStart=/usr/bin/python3 -I {call}
StandardInput=socket
StandardOutput=socket
StandardError=journal
RuntimeMaxSec=10
MemoryMax=64M
DynamicUser=yes
PrivateNetwork=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=none
RestrictNamespaces=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallFilter=@system-service
CapabilityBoundingSet=
InaccessiblePaths=-/etc/postseal -/etc/letsencrypt -/var/spool/postfix -/var/lib/postseal
"""
