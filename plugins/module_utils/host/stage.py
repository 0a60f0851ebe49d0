# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The stage: changed files as they will be, laid over ``/etc`` for the eyes of a checker alone.

In a private mount namespace every absolute path in every configuration file resolves to the staged file while the live
tree stays as it is; handing a checker another directory instead would silently check the live tables.
Standard library, Python 3.9.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterable
from typing import NamedTuple

from .errors import HostError
from .live import gid_of, uid_of
from .request import FileSpec, Paths

# Postfix waits until a file is two seconds old before it reads it (it might otherwise see half a write); with files
# dated back a check takes 0.3 s instead of 2.
BACKDATED = "/etc/postfix/"
BACKDATE_SECONDS = 3
OVERLAY = 'mount -t overlay -o "ro,lowerdir=$0:/etc" overlay /etc && exec "$@"'
# Where an overlay cannot be mounted (the file system refuses to be one of its layers): a whole copy in its place.
BOUND = 'mount --bind "$0" /etc && exec "$@"'


class Output(NamedTuple):
    """What a program left: exit code, standard output and error."""

    returncode: int
    stdout: str
    stderr: str


class Stage:
    """A directory of staged files; a context manager that removes it."""

    def __init__(self, service: str, paths: Paths) -> None:
        os.makedirs(paths.run, mode=0o755, exist_ok=True)
        # Closed at the top, since secrets lie in it; the directories below are as open as the live ones they cover.
        self.root = tempfile.mkdtemp(prefix=f"{service}.stage.", dir=paths.run)
        self.paths = paths
        self.script = OVERLAY
        self.layer = os.path.join(self.root, "etc")
        _make_like(self.layer, paths.live("/etc"))

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *problem: object) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def place(self, path: str) -> str:
        """Return where ``path`` is on the stage, whether or not anything is there."""
        return self.root + path

    def view(self, path: str) -> str:
        """Return the file that a checker sees as ``path``: the staged one, else the live one."""
        staged = self.place(path)
        return staged if os.path.lexists(staged) else self.paths.live(path)

    def read(self, path: str) -> str:
        """Return the text a checker sees at ``path``; empty where it sees no file."""
        try:
            with open(self.view(path), encoding="utf-8", errors="replace") as handle:
                return handle.read()
        except (FileNotFoundError, OSError):
            return ""

    def add(self, files: Iterable[FileSpec], changed: Iterable[str]) -> None:
        """Put those of ``files`` on the stage that are in ``changed``, with their owners and modes."""
        wanted = set(changed)
        for spec in files:
            if spec.dest in wanted:
                self._add(spec)
            elif spec.built in wanted:
                shutil.copy2(self.paths.live(spec.dest), self._parented(spec.dest))
        if self.paths.root == "" and not self._overlay_works():
            self._copy_everything()

    def build(self, files: Iterable[FileSpec]) -> None:
        """Compile the tables among ``files``; raises :class:`HostError` where postmap says anything.

        postmap(1) ends with 0 for a line without a value and for a key given twice: standard error must be empty.
        """
        for spec in files:
            if not spec.map or not os.path.isfile(self.place(spec.dest)):
                continue
            done = self.run(["postmap", f"{spec.map}:{self.place(spec.dest)}"])
            if done.returncode or done.stderr:
                text = done.stderr.replace(self.root, "").strip() or f"exit code {done.returncode}"
                raise HostError(f"{spec.dest} cannot be compiled: {text}", phase="stage")
            _dress(self.place(spec.built), spec)

    def run(self, command: list[str], *, terminal: bool = False, timeout: float = 60) -> Output:
        """Run ``command`` with the stage laid over ``/etc``; ``terminal`` gives it one as standard error."""
        return execute(
            ["unshare", "-m", "sh", "-c", self.script, self.layer, *command], terminal=terminal, timeout=timeout
        )

    def _add(self, spec: FileSpec) -> None:
        target = self._parented(spec.dest)
        if spec.content is None:
            for path in (target, self.place(spec.built)) if spec.built else (target,):
                os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))  # overlayfs: a whiteout, the file is not there
            return
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
            handle.write(spec.content)
        _dress(target, spec)
        if spec.dest.startswith(BACKDATED):
            past = time.time() - BACKDATE_SECONDS
            os.utime(target, (past, past))

    def _parented(self, path: str) -> str:
        parts = os.path.dirname(path).strip("/").split("/")
        for depth in range(1, len(parts) + 1):
            folder = "/" + "/".join(parts[:depth])
            if not os.path.isdir(self.place(folder)):
                _make_like(self.place(folder), self.paths.live(folder))
        return self.place(path)

    def _overlay_works(self) -> bool:
        return self.run(["true"]).returncode == 0

    def _copy_everything(self) -> None:
        whole = os.path.join(self.root, "whole")
        shutil.copytree(self.paths.live("/etc"), whole, symlinks=True, copy_function=_copy_owned)
        for folder, _, _ in os.walk(whole):
            _own_like(folder, self.paths.live("/etc") + folder[len(whole) :])
        for folder, _, names in os.walk(self.layer):
            below = whole + folder[len(self.layer) :]
            if not os.path.isdir(below):
                _make_like(below, folder)
            for name in names:
                target = os.path.join(below, name)
                if os.path.lexists(target):
                    os.unlink(target)
                if os.path.isfile(os.path.join(folder, name)):
                    _copy_owned(os.path.join(folder, name), target)
        self.layer, self.script = whole, BOUND


def execute(command: list[str], *, terminal: bool = False, timeout: float = 60) -> Output:
    """Run ``command`` and return what it left; with ``terminal`` its standard error is a terminal.

    Postfix 3.7's ``postfix check`` writes to the system log instead unless standard error is a terminal.
    A program that cannot be started, or outlives ``timeout`` seconds, counts as one that failed.
    """
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "LANG": "C"}
    leader, follower = os.openpty() if terminal else (-1, subprocess.PIPE)
    process: subprocess.Popen[bytes] | None = None
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=follower, env=environment
        )
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        if process is not None:
            process.kill()
            process.communicate()
        return Output(-1, "", f"{command[0]} did not end within {timeout:.0f} s")
    except OSError as problem:
        return Output(-1, "", f"{command[0]} could not be started: {problem.strerror}")
    finally:
        if terminal:
            os.close(follower)
            written = _drain(leader)
    text = written if terminal else stderr
    return Output(
        process.returncode, stdout.decode(errors="replace"), text.decode(errors="replace").replace("\r\n", "\n")
    )


def _drain(leader: int) -> bytes:
    """Read what is left in a terminal whose other side is closed."""
    written = b""
    with os.fdopen(leader, "rb", buffering=0) as handle:
        while True:
            try:
                more = handle.read(65536)
            except OSError:  # EIO: the end, on Linux
                return written
            if not more:
                return written
            written += more


def _dress(path: str, spec: FileSpec) -> None:
    uid, gid = uid_of(spec.owner), gid_of(spec.group)
    if uid is None or gid is None:
        raise HostError(f"{spec.dest}: this host has no account {spec.owner}:{spec.group}.", phase="stage")
    os.chown(path, uid, gid)
    os.chmod(path, spec.mode)


def _make_like(path: str, model: str) -> None:
    os.mkdir(path, 0o755)
    os.chmod(path, 0o755)  # noqa: S103  # as /etc itself
    _own_like(path, model)


def _own_like(path: str, model: str) -> None:
    try:
        status = os.stat(model)
    except FileNotFoundError:
        return
    os.chown(path, status.st_uid, status.st_gid)
    os.chmod(path, stat.S_IMODE(status.st_mode))


def _copy_owned(source: str, target: str, *, follow_symlinks: bool = False) -> str:
    shutil.copy2(source, target, follow_symlinks=follow_symlinks)
    status = os.lstat(source)
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    return target
