# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is known to be as it should: a note beside each thing brought to its wanted state, and all notes read at once.

A note says for which request it was written (a digest the controller gave) and what the host looked like then. While
that still holds, the same request has nothing to do, so one look at all notes saves a call for each thing. A note that
is missing, unreadable or no longer true only means that the thing itself is asked. Standard library, Python 3.9.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterable
from typing import Any

from .durable import write_durably
from .errors import HostError
from .journal import journal_path
from .live import digests, look
from .request import Paths, Probe, Request
from .services import ENABLED, Service
from .smoke import ProbeError, glance

FOLDER = "settled"


def keep(
    thing: str,
    request: str | None,
    paths: Paths,
    *,
    places: Iterable[str] = (),
    contents: Iterable[str] = (),
    active: Iterable[str] = (),
    enabled: Iterable[str] = (),
    probes: Iterable[Probe] = (),
    until: float | None = None,
) -> None:
    """Write down that ``thing`` is as ``request`` wants it; without ``request`` nothing is written.

    It stays so while content, owner and mode of ``places`` and what ``contents`` hold (links followed) remain, the
    units ``active`` run and those ``enabled`` start at boot, the ``probes`` are answered, and until ``until`` (seconds
    since 1970). A place may be absent, and must then stay so.
    """
    if not request:
        return
    note = {
        "request": request,
        "places": {path: _fingerprint(path, paths) for path in places},
        "contents": digests(tuple(contents), paths),
        "active": list(active),
        "enabled": list(enabled),
        "probes": [probe._asdict() for probe in probes],
        "until": until,
    }
    if _read(thing, paths) != note:
        os.makedirs(os.path.join(paths.state, FOLDER), mode=0o700, exist_ok=True)
        write_durably(_path(thing, paths), json.dumps(note).encode())


def keep_service(service: Service, request: Request, probes: Iterable[Probe], paths: Paths) -> None:
    """Write down that ``service`` is as ``request`` wants it."""
    files = [path for spec in request.files for path in (spec.dest, spec.built) if path]
    keep(
        service.name,
        request.settles,
        paths,
        places=[*files, *(spec.path for spec in request.directories)],
        contents=request.watch,
        active=[service.daemon],
        enabled=[service.unit],
        probes=probes,
    )


def settled(paths: Paths) -> dict[str, str]:
    """Return thing -> request of every note that still holds."""
    try:
        names = sorted(os.listdir(os.path.join(paths.state, FOLDER)))
    except FileNotFoundError:
        return {}
    notes = {name[:-5]: _read(name[:-5], paths) for name in names if name.endswith(".json")}
    units = sorted({unit for note in notes.values() if note for unit in (*note["active"], *note["enabled"])})
    asked = _ask(units)
    quiet = {thing: note for thing, note in notes.items() if note and _stands(thing, note, paths)}
    states = _states(units, asked)
    return {thing: str(note["request"]) for thing, note in quiet.items() if _runs(note, states)}


def _stands(thing: str, note: dict[str, Any], paths: Paths) -> bool:
    try:
        if note["until"] is not None and time.time() >= note["until"]:
            return False
        if os.path.exists(journal_path(thing, paths)):
            return False
        if any(_fingerprint(path, paths) != kept for path, kept in note["places"].items()):
            return False
        if digests(tuple(note["contents"]), paths) != note["contents"]:
            return False
        for probe in note["probes"]:
            glance(Probe(**probe), paths)
    except (HostError, OSError, ProbeError):
        return False
    return True


def _runs(note: dict[str, Any], states: dict[str, dict[str, str]]) -> bool:
    running = all(states.get(unit, {}).get("ActiveState") in ("active", "reloading") for unit in note["active"])
    return running and all(states.get(unit, {}).get("UnitFileState") in ENABLED for unit in note["enabled"])


def _ask(units: list[str]) -> subprocess.Popen[str] | None:
    """Start asking systemd: the answer is ready by the time the files have been read."""
    if not units:
        return None
    command = ["systemctl", "show", "--property=ActiveState,UnitFileState", *units]
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    except FileNotFoundError:
        return None


def _states(units: list[str], asked: subprocess.Popen[str] | None) -> dict[str, dict[str, str]]:
    """Return unit -> property -> value; systemctl(1) prints one block a unit, in the order asked."""
    blocks = asked.communicate()[0].split("\n\n") if asked else []
    if len(blocks) != len(units):
        return {}
    return {
        unit: dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for unit, block in zip(units, blocks)
    }


def _fingerprint(path: str, paths: Paths) -> str:
    """Return a digest of what stands at ``path``: kind, content, owner, group, mode."""
    return hashlib.sha256(repr(tuple(look(paths.live(path))[:5])).encode()).hexdigest()


def _path(thing: str, paths: Paths) -> str:
    return os.path.join(paths.state, FOLDER, f"{thing}.json")


def _read(thing: str, paths: Paths) -> dict[str, Any] | None:
    try:
        with open(_path(thing, paths), "rb") as handle:
            note: dict[str, Any] = json.load(handle)
    except (FileNotFoundError, ValueError):
        return None
    parts = ("request", "places", "contents", "active", "enabled", "probes", "until")
    return note if isinstance(note, dict) and set(note) == set(parts) else None
