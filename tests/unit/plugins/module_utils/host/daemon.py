# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A host in a directory, with a real daemon.

The files are real, and so is the daemon: a thread that reads two files, which must agree, and answers on a Unix socket
in Dovecot's authentication protocol. Only systemd and the service's own checker are stood in for.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import findings, stage
from ansible_collections.postseal.mail.plugins.module_utils.host.journal import journal_path
from ansible_collections.postseal.mail.plugins.module_utils.host.request import Paths, parse
from ansible_collections.postseal.mail.plugins.module_utils.host.services import KINDS, Service, Status
from ansible_collections.postseal.mail.plugins.module_utils.host.transaction import Transaction

USER = pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name

UNLINK = os.unlink  # the daemon's own: the reaper kills the transaction, not the daemon


class KilledError(BaseException):
    """Stands for SIGKILL: no handler of the code under test may catch it."""


class Daemon(Service):
    """A daemon with a configuration in two files, started and stopped the way systemd does it."""

    def __init__(self, root: Path) -> None:
        kind = KINDS["dovecot"]._replace(patience=0.1, reload_patience=0.05)
        super().__init__(kind)
        self.root = root
        self.running: str | None = None  # the configuration in use
        self.enabled = False
        self.loads = 0
        self.deeds: list[str] = []
        self.server: socket.socket | None = None

    # What systemd would do

    def installed(self) -> bool:
        return True

    def ask(self) -> Any:
        return None

    def status(self, asked: Any = None) -> Status:
        return Status(True, self.running is not None, self.enabled, False, 0, 1)

    def reload(self) -> None:
        self.deeds.append("reload")
        with contextlib.suppress(ValueError):
            self._load()

    def restart(self) -> None:
        self.deeds.append("restart")
        self.end()
        with contextlib.suppress(ValueError):
            self._load()

    def start(self) -> None:
        self.deeds.append("start")
        self.enabled = True
        if self.running is None:
            with contextlib.suppress(ValueError):
                self._load()

    def stop(self, *, disable: bool) -> None:
        self.deeds.append("stop")
        self.end()
        if disable:
            self.enabled = False

    def read_units(self) -> None:
        self.deeds.append("daemon-reload")

    def log(self, since: float) -> list[str]:
        return ["fatal: something"]

    # What the daemon does

    def _load(self) -> None:
        try:
            first, second = ((self.root / "etc/daemon" / name).read_text() for name in ("first", "second"))
        except FileNotFoundError:
            raise ValueError from None
        if first != second or "unreadable" in first:
            raise ValueError
        self.end()
        self.running = first
        self.loads += 1
        if "deaf" not in first:
            threading.Thread(target=self._serve, args=(self._listen(), self.loads), daemon=True).start()

    def _listen(self) -> socket.socket:
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(self.root / "socket"))
        self.server.listen()
        return self.server

    @staticmethod
    def _serve(server: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = server.accept()
                with link:
                    link.recv(4096)
                    link.sendall(f"VERSION\t1\t2\nMECH\tPLAIN\nSPID\t{number}\nDONE\n".encode())

    def end(self) -> None:
        if self.server is not None:
            self.server.shutdown(socket.SHUT_RDWR)
            self.server.close()
            self.server = None
            UNLINK(self.root / "socket")
        self.running = None


class Host:
    """A directory that plays the host."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = Paths(str(root), str(root / "state"), str(root / "run"))
        self.daemon = Daemon(root)
        (root / "etc").mkdir()

    def apply(self, content: str, **more: Any) -> dict[str, Any]:
        common = {"owner": USER, "group": GROUP, "mode": "0640"}
        arguments = {
            "service": "dovecot",
            "files": [{"dest": f"/etc/daemon/{name}", "content": content, **common} for name in ("first", "second")],
            "smoke": [{"protocol": "sasl", "socket": "/socket"}],
            **more,
        }
        return Transaction(parse(arguments), self.daemon, self.paths).run()

    def content(self) -> list[str]:
        folder = self.root / "etc/daemon"
        return [path.read_text() for path in sorted(folder.iterdir())] if folder.is_dir() else []

    def settled(self) -> bool:
        """Say whether nothing of a change is left: no journal, no draft, no stage."""
        drafts = list((self.root / "etc").rglob(".postseal.*"))
        stages = [path for path in (self.root / "run").iterdir() if "stage" in path.name]
        return not drafts and not stages and not Path(journal_path("dovecot", self.paths)).exists()


def check(service: Service, staged: stage.Stage, changed: Any) -> list[findings.Finding]:
    """The daemon's own checker: it knows one bad word."""
    text = staged.read("/etc/daemon/first")
    return [findings.Finding("checker", "no such setting", "/etc/daemon/first", 1)] if "refused" in text else []


class Reaper:
    """Kills the caller at its n-th step; the steps are the calls that change files or the service."""

    CALLS = ("rename", "unlink", "mkdir", "rmdir", "fsync", "chown", "chmod", "utime")
    DEEDS = ("reload", "restart", "start", "stop")

    def __init__(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        self.after = False
        monkeypatch.setattr(os, "fsync", lambda _: None)  # a disk is not what is tested, and it is slow
        for name in self.CALLS:
            monkeypatch.setattr(os, name, self.wrapped(getattr(os, name)))
        for name in self.DEEDS:
            monkeypatch.setattr(host.daemon, name, self.wrapped(getattr(host.daemon, name)))

    def wrapped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def killing(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self.after:
                raise KilledError
            try:
                result = call(*args, **kwargs)
            except OSError:
                self.left += self.left >= 0  # nothing was done: the next one counts
                raise
            if self.left == 0:
                raise KilledError
            return result

        return killing

    def kill_at(self, step: int, *, after: bool) -> None:
        self.left, self.after = step, after

    def spare(self) -> None:
        self.left = -1
