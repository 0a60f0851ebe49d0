# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What stands on the host now, and where it differs from what is wanted. Standard library, Python 3.9."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from typing import Any, NamedTuple

from .errors import HostError
from .request import DirectorySpec, FileSpec, Paths


class Standing(NamedTuple):
    """What is at a path: ``kind`` is ``absent``, ``file``, ``link`` (``content`` is its target) or ``directory``."""

    kind: str
    content: bytes = b""
    uid: int = 0
    gid: int = 0
    mode: int = 0
    mtime_ns: int = 0


def look(path: str) -> Standing:
    """Return what stands at ``path``; raises :class:`HostError` for a device, socket or pipe."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Standing("absent")
    common = (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), status.st_mtime_ns)
    if stat.S_ISLNK(status.st_mode):
        return Standing("link", os.fsencode(os.readlink(path)), *common)
    if stat.S_ISDIR(status.st_mode):
        return Standing("directory", b"", *common)
    if not stat.S_ISREG(status.st_mode):
        raise HostError(f"{path} is neither a file nor a directory: move it away.")
    with open(path, "rb") as handle:
        return Standing("file", handle.read(), *common)


def uid_of(name: str) -> int | None:
    """Return the number of the user ``name``, or ``None`` where the host does not know it (yet)."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def gid_of(name: str) -> int | None:
    """Return the number of the group ``name``, or ``None`` where the host does not know it (yet)."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def unknown_accounts(files: tuple[FileSpec, ...], directories: tuple[DirectorySpec, ...]) -> list[str]:
    """Return the names of owners and groups that the host does not have."""
    owners = [(spec.owner, spec.group) for spec in files] + [(spec.owner, spec.group) for spec in directories]
    users = {user for user, _ in owners if uid_of(user) is None}
    groups = {group for _, group in owners if gid_of(group) is None}
    return sorted(users | groups)


def file_differs(spec: FileSpec, standing: Standing) -> bool:
    """Say whether ``standing`` is anything but the wanted file; raises :class:`HostError` for a directory."""
    if standing.kind == "directory":
        raise HostError(f"{spec.dest} is a directory, a file is wanted there: move it away.")
    if spec.content is None:
        return standing.kind != "absent"
    wanted = ("file", spec.content, uid_of(spec.owner), gid_of(spec.group), spec.mode)
    return standing[:5] != wanted


def directory_differs(spec: DirectorySpec, standing: Standing) -> bool:
    """Say whether the directory is missing or has another owner or mode; raises :class:`HostError` for a file."""
    if standing.kind not in ("absent", "directory"):
        raise HostError(f"{spec.path} is a {standing.kind}, a directory is wanted there: move it away.")
    wanted = ("directory", b"", uid_of(spec.owner), gid_of(spec.group), spec.mode)
    return standing[:5] != wanted


class Comparison(NamedTuple):
    """Which files and directories differ, and what stands in their place."""

    files: dict[str, Standing]
    directories: dict[str, Standing]

    def __bool__(self) -> bool:
        return bool(self.files or self.directories)


def compare(files: tuple[FileSpec, ...], directories: tuple[DirectorySpec, ...], paths: Paths) -> Comparison:
    """Compare all that is wanted with all that stands. A compiled table differs where its source does or it is missing:
    its bytes are no evidence, two builds of the same source differ.
    """
    changed: dict[str, Standing] = {}
    for spec in files:
        standing = look(paths.live(spec.dest))
        if file_differs(spec, standing):
            changed[spec.dest] = standing
        if spec.built:
            built = look(paths.live(spec.built))
            if spec.dest in changed or (built.kind == "absent") == (spec.content is not None):
                changed[spec.built] = built
    places = {spec.path: look(paths.live(spec.path)) for spec in directories}
    return Comparison(
        changed, {spec.path: places[spec.path] for spec in directories if directory_differs(spec, places[spec.path])}
    )


def digests(watched: tuple[str, ...], paths: Paths) -> dict[str, str | None]:
    """Return the SHA-256 of each watched file, links followed; ``None`` for a file that is not there."""
    found: dict[str, str | None] = {}
    if watched:
        import hashlib  # noqa: PLC0415  # OpenSSL comes with it, and most calls watch nothing
    for path in watched:
        try:
            with open(paths.live(path), "rb") as handle:
                found[path] = hashlib.sha256(handle.read()).hexdigest()
        except FileNotFoundError:
            found[path] = None
    return found


def differences(files: tuple[FileSpec, ...], comparison: Comparison) -> list[dict[str, Any]]:
    """Return Ansible's diff entries of the files that differ; of a secret file nothing but the fact."""
    entries: list[dict[str, Any]] = []
    for spec in files:
        if spec.dest not in comparison.files:
            continue
        standing = comparison.files[spec.dest]
        if spec.secret:
            entries.append({"prepared": f"{spec.dest}: secret file differs\n"})
            continue
        entries.append(
            {
                "before_header": spec.dest,
                "after_header": spec.dest,
                "before": _described(standing),
                "after": "" if spec.content is None else _text(spec.content, spec.owner, spec.group, spec.mode),
            }
        )
    return entries


def _described(standing: Standing) -> str:
    if standing.kind == "absent":
        return ""
    if standing.kind == "link":
        return f"link to {standing.content.decode(errors='replace')}\n"
    return _text(standing.content, _name_of_user(standing.uid), _name_of_group(standing.gid), standing.mode)


def _text(content: bytes, owner: str, group: str, mode: int) -> str:
    """Put owner and mode above the content, so that a change of nothing else is visible too."""
    return f"[{owner}:{group} {mode:04o}]\n{content.decode(errors='replace')}"


def _name_of_user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _name_of_group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
