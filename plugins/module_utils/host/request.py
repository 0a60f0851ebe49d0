# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a staged change is asked to bring about. Standard library, Python 3.9.

Tuples rather than dataclasses: a run that changes nothing should cost little more than starting Python, and importing
``dataclasses`` alone costs a tenth of that.
"""

from __future__ import annotations

import posixpath
from typing import Any, NamedTuple

from .errors import HostError

TLS = ("none", "starttls", "wrapped")
PROTOCOLS = ("smtp", "sasl", "milter", "redis", "firewall", "ready", "log", "dns", "socketmap", "https")
# Indexed databases a table can be compiled to; all other table types are read as they are (postmap(1)).
MAPS = ("", "lmdb", "hash", "btree")


class Paths(NamedTuple):
    """Where a transaction reads and writes; ``root`` stands before every path of the request."""

    root: str = ""
    state: str = "/var/lib/postseal"
    run: str = "/run/postseal"

    def live(self, path: str) -> str:
        """Return where ``path`` lives on this host."""
        return self.root + path


class FileSpec(NamedTuple):
    """One file as it should be; ``content`` is ``None`` for a file that should not be there."""

    dest: str
    content: bytes | None
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    secret: bool = False
    map: str = ""

    @property
    def built(self) -> str:
        """Path of the database compiled from this file, or the empty string."""
        suffix = "lmdb" if self.map == "lmdb" else "db"
        return f"{self.dest}.{suffix}" if self.map else ""


class DirectorySpec(NamedTuple):
    """A directory that must exist with this owner and mode."""

    path: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o755


class Probe(NamedTuple):
    """How to see that the service answers.

    A TCP ``port`` on ``address`` speaks SMTP with ``tls``; a Unix ``socket`` speaks Dovecot's authentication protocol
    (``sasl``) or the milter protocol, or is no socket but a file that is there while the service works (``ready``).
    ``certificate`` is the file whose first certificate must be the one served.
    A server of policies (``https``) must give the MTA-STS policy of ``name``, or without a name just be there.
    A resolver (``dns``) must give a signed answer about ``name``, a table (``socketmap``) any answer about it.
    ``login``, ``sender`` and ``recipient`` describe a message that must be accepted.
    """

    protocol: str = "smtp"
    port: int = 0
    address: str = "127.0.0.1"
    socket: str = ""
    tls: str = "none"
    name: str = ""
    certificate: str = ""
    login: str = ""
    sender: str = ""
    recipient: str = ""

    def __str__(self) -> str:
        return self.socket or f"{self.address} port {self.port}"


class Request(NamedTuple):
    """One transaction: a service's files, the directories they need, and how to see that the service works.

    ``settles`` names the request in the note that is left when the service is as wanted (:mod:`.settled`).
    """

    service: str
    files: tuple[FileSpec, ...]
    directories: tuple[DirectorySpec, ...] = ()
    watch: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    check_mode: bool = False
    diff: bool = False
    settles: str | None = None


def parse(arguments: dict[str, Any]) -> Request:
    """Return the request in ``arguments`` (the shape of the ``apply`` action's options, modes as text like ``0640``).

    Raises :class:`HostError` for a request that cannot be meant: a relative path, the same file twice, a mode that is
    no mode. Files must lie below ``/etc``: only that tree is laid over for the checks.
    """
    files = tuple(_file(entry) for entry in arguments["files"])
    seen: set[str] = set()
    for path in [path for spec in files for path in (spec.dest, spec.built) if path]:
        if path in seen:
            raise HostError(f"{path} is named twice in one transaction: name it once.")
        seen.add(path)
    return Request(
        service=arguments["service"],
        files=files,
        directories=tuple(_directory(entry) for entry in arguments.get("directories") or ()),
        watch=tuple(_path(path) for path in arguments.get("watch") or ()),
        probes=tuple(_probe(entry) for entry in arguments.get("smoke") or ()),
        check_mode=bool(arguments.get("check_mode")),
        diff=bool(arguments.get("diff")),
        settles=arguments.get("settles"),
    )


def _file(entry: dict[str, Any]) -> FileSpec:
    dest = _path(entry["dest"])
    if not dest.startswith("/etc/"):
        raise HostError(f"{dest} is outside /etc: a staged change can only check and restore files below /etc.")
    absent = entry.get("state") == "absent"
    secret = bool(entry.get("secret"))
    kind = entry.get("map") or ""
    if kind not in MAPS:
        raise HostError(f"{dest}: map {kind!r} is none of {', '.join(MAPS[1:])}.")
    return FileSpec(
        dest=dest,
        content=None if absent else str(entry["content"]).encode(),
        owner=entry.get("owner") or "root",
        group=entry.get("group") or "root",
        mode=_mode(dest, entry.get("mode") or ("0600" if secret else "0644")),
        secret=secret,
        map=kind,
    )


def _directory(entry: dict[str, Any]) -> DirectorySpec:
    path = _path(entry["path"])
    return DirectorySpec(
        path,
        entry.get("owner") or "root",
        entry.get("group") or "root",
        _mode(path, entry.get("mode") or "0755"),
    )


def _probe(entry: dict[str, Any]) -> Probe:
    probe = Probe(**{key: value for key, value in entry.items() if value is not None})
    if probe.tls not in TLS or probe.protocol not in PROTOCOLS or bool(probe.port) == bool(probe.socket):
        raise HostError(f"smoke test {probe}: needs a port or a socket, tls of {TLS}, protocol of {PROTOCOLS}.")
    return probe


def _path(path: str) -> str:
    if not posixpath.isabs(path) or posixpath.normpath(path) != path:
        raise HostError(f"{path} is not an absolute, normal path.")
    return path


def _mode(path: str, text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:  # noqa: PLR2004
        raise HostError(f"{path}: mode {text!r} is not octal text such as '0640'.")
    return mode
