# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Put the old files back and make the old service answer. Standard library, Python 3.9.

Going back can be cut off anywhere, like going forward: the journal stays until it is done, and the next run repeats it.
"""

from __future__ import annotations

import contextlib
import os
import time

from .install import date, draft_of, sync_file, sync_folders
from .journal import Journal, clear_journal
from .request import Paths, Probe
from .services import Service, unit_files
from .smoke import ProbeError, glance

GLANCE = 1.0  # seconds a restored service may take after a reload, before it is restarted
POLL = 0.02


def go_back(service: Service, journal: Journal, paths: Paths) -> str:
    """Restore files and service; return why the old service does not work again, or nothing.

    The journal is kept only if files could not be restored: a service that does not come back is then a matter of its
    files no more.
    """
    try:
        restore(journal, paths)
    except OSError as problem:
        return f"{problem}; the next run tries again"
    if unit_files(journal.files):
        service.read_units()
    trouble = _revive(service, journal, paths)
    clear_journal(service.name, paths)
    return trouble


def restore(journal: Journal, paths: Paths) -> None:
    """Put back every file, owner, mode and directory that ``journal`` remembers; may be repeated."""
    for dest, before in journal.files.items():
        live = paths.live(dest)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(draft_of(live))
        if before.kind == "absent":
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(live)
            continue
        draft = draft_of(live)
        if before.kind == "link":
            os.symlink(before.content, os.fsencode(draft))
            os.chown(draft, before.uid, before.gid, follow_symlinks=False)
        else:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(before.content)
            os.chown(draft, before.uid, before.gid)
            os.chmod(draft, before.mode)
            sync_file(draft)
            date(draft, dest, before)
        os.rename(draft, live)
    for path, standing in journal.directories.items():
        if standing.kind == "directory":
            os.chown(paths.live(path), standing.uid, standing.gid)
            os.chmod(paths.live(path), standing.mode)
    sync_folders(journal.files, paths)
    for folder in reversed(journal.created):
        # Not empty: somebody else uses it by now, and an empty directory less is not worth their files.
        with contextlib.suppress(OSError):
            os.rmdir(paths.live(folder))


def _revive(service: Service, journal: Journal, paths: Paths) -> str:
    if not journal.active:
        service.stop(disable=not journal.enabled)
        return ""
    probes = tuple(Probe(**journal.probes[position]) for position in journal.answered)
    trouble = "it is down"
    if service.status().active and not unit_files(journal.files):
        service.reload()
        trouble = _silence(probes, paths, GLANCE)
    if trouble:
        # Postfix holds back a daemon that died at once, and a reload does not change its mind.
        service.restart()
        trouble = _silence(probes, paths, service.kind.patience)
    return trouble or ("" if service.status().active else "it does not start")


def _silence(probes: tuple[Probe, ...], paths: Paths, patience: float) -> str:
    """Wait until all ``probes`` are answered; return the complaint that is left after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            for probe in probes:
                glance(probe, paths, thorough=True)
        except ProbeError as problem:
            if time.monotonic() > deadline:
                return str(problem)
            time.sleep(POLL)
        else:
            return ""
