# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which file defines a variable, and that it is replaced whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.plugins.plugin_utils.variables_file import (
    FileError,
    candidates,
    defining,
    rewrite,
    write_new,
)

NAME = "postseal_credentials"


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    for name, text in {
        "group_vars/all/mail.yml": "postseal_domains: []\n",
        "group_vars/all/more/apps.yml": f"# apps\n{NAME}: []\n",
        "group_vars/all/vault.yml": "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
        "group_vars/all/vault.yml.example": f"{NAME}: []\n",
        "group_vars/all/old.yml~": f"{NAME}: []\n",
        "group_vars/other.yml": f"{NAME}: []\n",
        "group_vars/postseal_submission.yml": f"x:\n  {NAME}: []\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def _files(inventory: Path) -> list[Path]:
    return candidates(inventory, ["all", "postseal_submission"], ["mail-a.example.com"])


def test_the_file_of_a_group_that_counts_is_found(inventory: Path) -> None:
    assert defining(NAME, _files(inventory)) == inventory / "group_vars/all/more/apps.yml"


def test_two_files_are_named_and_none_is_chosen(inventory: Path) -> None:
    (inventory / "group_vars/all.yml").write_text(f'"{NAME}" : []\n')
    with pytest.raises(FileError, match=r"several files: .*all\.yml.*apps\.yml|several files: .*apps\.yml.*all\.yml"):
        defining(NAME, _files(inventory))


def test_a_file_that_nobody_can_look_into_is_named(inventory: Path) -> None:
    (inventory / "group_vars/all/more/apps.yml").unlink()
    with pytest.raises(FileError, match=r"encrypted, so not looked into: .*vault\.yml"):
        defining(NAME, _files(inventory))


def test_mode_link_and_line_ends_stay(tmp_path: Path) -> None:
    target, link = tmp_path / "mail.yml", tmp_path / "link.yml"
    target.write_bytes(b"a: 1\r\nb: 2\r\n")
    target.chmod(0o640)
    link.symlink_to(target)
    assert rewrite(link, lambda text: text + "c: 3\r\n") == ("a: 1\r\nb: 2\r\n", "a: 1\r\nb: 2\r\nc: 3\r\n")
    assert link.is_symlink()
    assert target.read_bytes() == b"a: 1\r\nb: 2\r\nc: 3\r\n"
    assert target.stat().st_mode & 0o7777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["link.yml", "mail.yml"]


def test_a_dry_run_and_a_failing_edit_change_nothing(tmp_path: Path) -> None:
    target = tmp_path / "mail.yml"
    target.write_text("a: 1\n")
    before = target.stat()
    rewrite(target, lambda text: text + "b: 2\n", dry=True)
    with pytest.raises(ZeroDivisionError):
        rewrite(target, lambda text: str(1 // 0))
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_old_text_stays_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "mail.yml"
    target.write_text("a: 1\n")

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(FileError, match="No space left"):
        rewrite(target, lambda text: "new")
    assert target.read_text() == "a: 1\n"
    assert os.listdir(tmp_path) == ["mail.yml"]


def test_two_at_once_lose_no_change(tmp_path: Path) -> None:
    target = tmp_path / "mail.yml"
    target.write_text("")
    start = threading.Barrier(8)

    def add(name: int) -> None:
        start.wait()
        for _ in range(10):
            rewrite(target, lambda text: f"{text}{name}.{text.count(f'{name}.')}\n")

    threads = [threading.Thread(target=add, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(target.read_text().split())) == 80


def test_an_encrypted_file_and_one_that_is_no_text_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "mail.yml"
    target.write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    with pytest.raises(FileError, match="encrypted as a whole"):
        rewrite(target, str)
    target.write_bytes(b"\xff\xfe")
    with pytest.raises(FileError, match="not text"):
        rewrite(target, str)
    with pytest.raises(FileError, match="No such file"):
        rewrite(tmp_path / "absent.yml", str)


def test_a_new_file_is_its_owners_alone_and_never_replaces_another(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        write_new(tmp_path / "token", "secret\n")
    finally:
        os.umask(old)
    assert (tmp_path / "token").stat().st_mode & 0o7777 == 0o600
    with pytest.raises(FileError, match="exists already"):
        write_new(tmp_path / "token", "other\n")
    (tmp_path / "dangling").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileError):
        write_new(tmp_path / "dangling", "other\n")
    assert (tmp_path / "token").read_text() == "secret\n"
    assert not (tmp_path / "elsewhere").exists()
