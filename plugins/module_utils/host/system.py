# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Small files beside a service, programs, and who holds a port. Standard library, Python 3.9."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import HostError


@dataclass(frozen=True)
class SupportFile:
    """A file of root's beside a service. ``content`` ``None``: it must not be there."""

    path: Path
    content: str | None
    mode: int = 0o644

    def current(self) -> bool:
        """Say whether the host has it so already."""
        if self.content is None:
            return not self.path.exists()
        if not self.path.is_file() or self.path.stat().st_mode & 0o7777 != self.mode:
            return False
        return self.path.read_text("utf-8") == self.content

    def install(self) -> None:
        """Bring the host to that state, atomically."""
        if self.content is None:
            self.path.unlink(missing_ok=True)
            return
        self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        # certbot runs every executable of a hook directory whose name does not end in "~".
        partial = self.path.with_name(f".{self.path.name}~")
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, self.mode)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), self.mode)
            stream.write(self.content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, self.path)


def install(files: list[SupportFile]) -> None:
    """Install ``files``; systemd is told when one of them is a unit."""
    for file in files:
        file.install()
    if any(file.path.is_relative_to("/etc/systemd/system") for file in files):
        command("systemctl", "daemon-reload")


def unit_runs(unit: str) -> bool:
    """Say whether systemd runs ``unit`` now and at every boot."""
    state = command("systemctl", "show", "--property=ActiveState,UnitFileState", unit, check=False)
    return set(state.split()) == {"ActiveState=active", "UnitFileState=enabled"}


def run_unit(unit: str) -> None:
    """Have systemd run ``unit`` now and at every boot, and run it anew if it runs already."""
    # Units were read when their files came; what enabling adds matters at the next boot.
    if command("systemctl", "is-enabled", unit, check=False).strip() != "enabled":
        command("systemctl", "enable", "--no-reload", unit)
    command("systemctl", "restart", unit)


def port_user(port: int) -> str | None:
    """Return the program that holds TCP ``port`` on any address of this host, or ``None`` if it is free."""
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104
        try:
            with socket.socket(family, socket.SOCK_STREAM) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((address, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                continue  # a kernel without one of the families is no obstacle
            users = command("ss", "-Hltnp", f"sport = :{port}", check=False)
            program = re.search(r'users:\(\("([^"]+)"', users)
            return program.group(1) if program else "another program"
    return None


def command(*arguments: str, check: bool = True) -> str:
    """Run a program and return what it printed; raises :class:`HostError` if it fails and ``check`` is set."""
    try:
        answer = subprocess.run(arguments, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        if check:
            raise HostError(f"{arguments[0]} is not installed on this host") from None
        return ""
    if check and answer.returncode:
        complaint = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise HostError(f"{' '.join(arguments)} failed: {complaint}")
    return answer.stdout
