# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Who may read the journal of the mail services, and which of its files others can."""

from __future__ import annotations

import grp
import os
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import log

ROOT = grp.getgrgid(0).gr_name


@pytest.mark.parametrize(
    ("text", "group", "unknown"),
    [
        (f"[Service]\nGroup={ROOT}\n", ROOT, ""),
        ("[Service]\nGroup=nobodys-group\n", "nobodys-group", "nobodys-group"),
        ("[Service]\n#Group=x\n", "", "none"),
    ],
)
def test_the_readers_are_those_of_the_unit(text: str, group: str, unknown: str) -> None:
    assert (log.readers(text), log.unknown_readers(text)) == (group, unknown)


@pytest.mark.parametrize(("mode", "others", "loose"), [(0o640, 0, 0), (0o644, 0, 1), (0o660, 0, 1), (0o640, 1, 2)])
def test_a_file_that_is_otherwise_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, others: int, loose: int
) -> None:
    top = tmp_path / "journal"
    top.mkdir()
    top.chmod(0o2750)
    file = top / "system.journal"
    file.touch()
    file.chmod(mode)
    monkeypatch.setattr(log, "directory", lambda: str(top))
    monkeypatch.setattr(log, "OWNER", os.getuid())
    mine = grp.getgrgid(tmp_path.stat().st_gid).gr_name
    other = next(entry.gr_name for entry in grp.getgrall() if entry.gr_name != mine)
    found = log.open_to_others(other if others else mine)
    assert len(found) == loose
    assert all(str(top) in line for line in found)
    top.chmod(0o755)
    assert any(str(top) + " " in line for line in log.open_to_others(mine))
