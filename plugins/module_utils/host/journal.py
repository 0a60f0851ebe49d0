# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The lock of a service, the journal of a change under way, and what the last good change left behind.

The journal is on disk before the first live file is touched and holds all that is needed to go back, so a host that
loses power, or a process that is killed, between two renames is repaired by the next run. Standard library, Python 3.9.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from .durable import sync_directory, write_durably
from .errors import HostError
from .live import Standing
from .request import Paths

LOCK_WAIT = 60.0


class Journal(NamedTuple):
    """How it was before: what stood at each path, and the state of the service.

    ``created`` are directories that were not there; ``answered`` are the positions of the request's probes that the old
    service answered.
    """

    files: dict[str, Standing]
    directories: dict[str, Standing]
    created: tuple[str, ...]
    active: bool
    enabled: bool
    answered: tuple[int, ...]
    probes: tuple[dict[str, Any], ...]


@contextlib.contextmanager
def locked(service: str, paths: Paths, wait: float = LOCK_WAIT) -> Iterator[None]:
    """Hold the lock of ``service``; raises :class:`HostError` if another run holds it for ``wait`` seconds.

    The kernel drops the lock when the holder dies, so there is no stale lock to clean up.
    """
    os.makedirs(paths.run, mode=0o755, exist_ok=True)
    handle = os.open(os.path.join(paths.run, f"{service}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + wait
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise HostError(
                        f"another run has been changing {service} on this host for {wait:.0f} s: wait for its end."
                    ) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def sweep(service: str, paths: Paths) -> None:
    """Remove stages of a run that was killed; the caller holds the lock, so they are nobody's."""
    leftovers = [name for name in os.listdir(paths.run) if name.startswith(f"{service}.stage.")]
    if leftovers:
        import shutil  # noqa: PLC0415  # hardly ever needed

        for name in leftovers:
            shutil.rmtree(os.path.join(paths.run, name), ignore_errors=True)


def journal_path(service: str, paths: Paths) -> str:
    """Return where the journal of ``service`` is while a change is under way."""
    return os.path.join(paths.state, f"{service}.journal")


def open_journal(service: str, journal: Journal, paths: Paths) -> None:
    """Put ``journal`` on disk. It holds old file contents, secrets among them, and so is for root only."""
    os.makedirs(paths.state, mode=0o700, exist_ok=True)
    record = journal._asdict()
    for group in ("files", "directories"):
        record[group] = {path: _packed(standing) for path, standing in record[group].items()}
    write_durably(journal_path(service, paths), json.dumps(record).encode())


def read_journal(service: str, paths: Paths) -> Journal | None:
    """Return the journal of a change that did not end, or ``None``.

    Raises :class:`HostError` for one that cannot be read: guessing could overwrite good files.
    """
    path = journal_path(service, paths)
    try:
        with open(path, "rb") as handle:
            record = json.load(handle)
    except FileNotFoundError:
        return None
    except ValueError:
        raise HostError(
            f"{path} is damaged, so the unfinished change cannot be undone: compare the service's files with a backup, "
            "then remove this file and run again."
        ) from None
    return Journal(
        files={path: _unpacked(standing) for path, standing in record["files"].items()},
        directories={path: _unpacked(standing) for path, standing in record["directories"].items()},
        created=tuple(record["created"]),
        active=record["active"],
        enabled=record["enabled"],
        answered=tuple(record["answered"]),
        probes=tuple(record["probes"]),
    )


def clear_journal(service: str, paths: Paths) -> None:
    """End the change: from here on there is no way back."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(journal_path(service, paths))
        sync_directory(paths.state)


def read_digests(service: str, paths: Paths) -> dict[str, str | None]:
    """Return the digests of watched files as the running service knows them; empty if nothing is known."""
    try:
        with open(os.path.join(paths.state, f"{service}.json"), "rb") as handle:
            found: dict[str, str | None] = json.load(handle)["watch"]
            return found
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def keep_digests(service: str, watch: dict[str, str | None], paths: Paths) -> None:
    """Remember which watched contents the service has taken over."""
    os.makedirs(paths.state, mode=0o700, exist_ok=True)
    write_durably(os.path.join(paths.state, f"{service}.json"), json.dumps({"watch": watch}).encode())


def _packed(standing: Standing) -> list[Any]:
    return [standing.kind, base64.b64encode(standing.content).decode(), *standing[2:]]


def _unpacked(record: list[Any]) -> Standing:
    return Standing(record[0], base64.b64decode(record[1]), *record[2:])
