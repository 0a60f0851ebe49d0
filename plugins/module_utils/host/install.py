# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Put staged files in place together. Standard library, Python 3.9."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterable

from .durable import sync_directory
from .live import Comparison, Standing, gid_of, uid_of
from .request import DirectorySpec, Paths
from .stage import BACKDATE_SECONDS, BACKDATED, Stage

DRAFT = ".postseal."  # hidden: neither systemd nor an include of *.conf reads it


def missing_folders(dests: Iterable[str], directories: Iterable[str], paths: Paths) -> tuple[str, ...]:
    """Return the directories that must be made for ``dests`` and ``directories``, outermost first."""
    wanted = [os.path.dirname(dest) for dest in dests] + list(directories)
    missing: set[str] = set()
    for folder in wanted:
        while folder not in ("", "/") and not os.path.isdir(paths.live(folder)):
            missing.add(folder)
            folder = os.path.dirname(folder)  # noqa: PLW2901  # upwards
    return tuple(sorted(missing, key=lambda folder: folder.count("/")))


def make_directories(created: tuple[str, ...], wanted: Iterable[DirectorySpec], paths: Paths) -> None:
    """Make the missing directories, then give those that were asked for their owner and mode."""
    for folder in created:
        os.mkdir(paths.live(folder), 0o755)
        os.chmod(paths.live(folder), 0o755)  # noqa: S103  # as /etc itself
    for spec in wanted:
        # Both accounts are known here: a request that names an unknown one is refused before.
        os.chown(paths.live(spec.path), uid_of(spec.owner) or 0, gid_of(spec.group) or 0)
        os.chmod(paths.live(spec.path), spec.mode)


def install(stage: Stage, comparison: Comparison, paths: Paths) -> None:
    """Put what differs in place: first every draft beside its file, then one rename after the other."""
    drafts: list[str] = []
    gone: list[str] = []
    for dest, before in comparison.files.items():
        if not os.path.isfile(stage.place(dest)):
            gone.append(dest)
            continue
        draft = draft_of(paths.live(dest))
        shutil.copyfile(stage.place(dest), draft)
        status = os.stat(stage.place(dest))
        os.chown(draft, status.st_uid, status.st_gid)
        os.chmod(draft, status.st_mode & 0o7777)
        sync_file(draft)
        date(draft, dest, before)
        drafts.append(dest)
    for dest in drafts:
        os.rename(draft_of(paths.live(dest)), paths.live(dest))
    for dest in gone:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(paths.live(dest))
    sync_folders(comparison.files, paths)


def draft_of(path: str) -> str:
    """Return where a new version of ``path`` lies until it is renamed."""
    folder, name = os.path.split(path)
    return os.path.join(folder, DRAFT + name)


def date(path: str, dest: str, before: Standing) -> None:
    """Date a file so that its readers notice it at once.

    Postfix waits for a file that is newer than two seconds. Readers that look for changes compare whole seconds, and
    Dovecot's password files besides only the size: two versions must never share a second.
    """
    now = time.time()
    wanted = now - BACKDATE_SECONDS if dest.startswith(BACKDATED) else now
    if before.kind == "file":
        wanted = max(wanted, before.mtime_ns // 10**9 + 1)
    os.utime(path, (wanted, wanted))


def sync_file(path: str) -> None:
    """Make the content of ``path`` durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folders(dests: Iterable[str], paths: Paths) -> None:
    """Make the renames among ``dests`` durable."""
    for folder in sorted({os.path.dirname(paths.live(dest)) for dest in dests}):
        if os.path.isdir(folder):
            sync_directory(folder)
