# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Find the file of an inventory that defines a variable, and replace its text whole or not at all."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

ENCRYPTED = "$ANSIBLE_VAULT;"
_SUFFIXES = ("", ".yml", ".yaml", ".json")


class FileError(Exception):
    """There is no file to change, or it cannot be changed; the text says why and what to do."""


def candidates(directory: Path, groups: Iterable[str], hosts: Iterable[str]) -> list[Path]:
    """Return the variables files of an inventory for these groups and hosts, as Ansible looks for them."""
    found: list[Path] = []
    for folder, names in (("group_vars", groups), ("host_vars", hosts)):
        for name in names:
            for suffix in _SUFFIXES:
                path = directory / folder / f"{name}{suffix}"
                if path.is_file():
                    found.append(path)
                elif path.is_dir():
                    found.extend(sorted(file for file in path.rglob("*") if _is_variables(file)))
    return list(dict.fromkeys(found))


def _is_variables(file: Path) -> bool:
    return file.is_file() and file.suffix in _SUFFIXES and not file.name.startswith(".") and file.name[-1] != "~"


def defining(variable: str, files: Iterable[Path]) -> Path:
    """Return the one of ``files`` with ``variable`` at its top level; raises :class:`FileError`."""
    pattern = re.compile(rf"""^(?:{re.escape(variable)}|["']{re.escape(variable)}["'])\s*:""", re.MULTILINE)
    listed = list(files)
    encrypted = [file for file in listed if read(file).startswith(ENCRYPTED)]
    found = [file for file in listed if file not in encrypted and pattern.search(read(file))]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(map(str, found))
        raise FileError(f"{variable} is defined in several files: {names}; keep one, or name one with -e file=PATH")
    hint = f" (encrypted, so not looked into: {', '.join(map(str, encrypted))})" if encrypted else ""
    raise FileError(
        f"no variables file of the inventory defines {variable}{hint}; write {variable}: [] into a file of its "
        "group_vars that is not encrypted: hashes of random passwords may be read by everyone"
    )


def read(path: Path) -> str:
    """Return the text of ``path`` with its line ends as they are; raises :class:`FileError`."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise FileError(f"{path} is not text in UTF-8; give the file with -e file=PATH") from None
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from None


def rewrite(path: Path, edit: Callable[[str], str], *, dry: bool = False) -> tuple[str, str]:
    """Replace the text of ``path`` by what ``edit`` makes of it, and return both texts.

    Whoever else changes it this way waits; a reader sees the old or the new text. Mode and owner stay, and a link
    stays a link. With ``dry`` nothing is written. Raises :class:`FileError`, and whatever ``edit`` raises.
    """
    target = path.resolve()
    with _locked(target):
        before = read(target)
        if before.startswith(ENCRYPTED):
            raise FileError(
                f"{path} is encrypted as a whole; move the credentials into a plain file (hashes of random passwords "
                "may be read by everyone), or change it with ansible-vault edit"
            )
        after = edit(before)
        if not dry and after != before:
            _replace(target, after)
    return before, after


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock on the file that is at ``path`` when the lock is got."""
    while True:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise FileError(f"{path} cannot be read: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.exists(path) and os.path.samestat(os.fstat(handle), os.stat(path)):
                yield
                return
        finally:
            os.close(handle)


def _replace(path: Path, text: str) -> None:
    old = path.stat()
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise FileError(f"{path.parent} cannot be written to: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            if os.geteuid() == 0:
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fchmod(file.fileno(), old.st_mode & 0o7777)
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise FileError(f"{path} cannot be replaced: {error.strerror}") from None
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def write_new(path: Path, text: str) -> None:
    """Write a file that only its owner can read, and that was not there before; raises :class:`FileError`."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise FileError(f"{path} exists already; nothing is written over it") from None
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
