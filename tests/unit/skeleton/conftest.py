# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the tests of the tree itself share."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from secrets import token_bytes

import pytest

ROOT = Path(__file__).resolve().parents[3]
Run = Callable[..., subprocess.CompletedProcess[str]]


def fill_vault(inventory: Path) -> str:
    """Make the vault of the example as a person would, with secrets of their own; return its text."""
    vault = inventory / "group_vars/all/vault.yml"
    text = vault.with_name("vault.yml.example").read_text("utf-8")
    filled = re.sub(r"^(vault_tsig: ).*", rf"\g<1>{b64encode(token_bytes(32)).decode()}", text, flags=re.MULTILINE)
    vault.write_text(filled, "utf-8")
    return filled


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def tracked() -> tuple[Path, ...]:
    """Every file of the checkout that is, or is about to be, in Git; links are not followed."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = (ROOT / name for name in sorted(filter(None, listed.split("\0"))))
    return tuple(path for path in paths if path.is_file() and not path.is_symlink())


@pytest.fixture
def ansible(tmp_path: Path) -> Run:
    """Run one of Ansible's programs as a user would; its own files go to the test's directory."""

    def run(
        program: str, *arguments: str | Path, cwd: Path = ROOT, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        return subprocess.run(
            [str(Path(sys.executable).with_name(program)), *map(str, arguments)],
            cwd=cwd,
            env={**clean, "ANSIBLE_HOME": str(tmp_path / "ansible"), "ANSIBLE_NOCOLOR": "1", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run
