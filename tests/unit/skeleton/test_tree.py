# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Rules that every file of the checkout keeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# Packages come through the machine's own clients; naming a registry's host would bypass how they are configured.
# In pieces, so that this file keeps the rule too.
REGISTRIES = [
    "debian" + ".org/debian",
    "deb" + ".debian.org",
    "security" + ".debian.org",
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "npmjs" + ".org",
    "galaxy.ansible" + ".com",
    "docker" + ".io",
    "ghcr" + ".io",
    "quay" + ".io",
]
MAX_LINES = 300
MAX_BYTES = 64 * 1024
# Written by tools, or by the Free Software Foundation.
GENERATED = {"LICENSE", "requirements/run.txt", "requirements/dev.txt", "requirements/bench.txt"}
HEADER = """# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""


@pytest.fixture(scope="session")
def texts(tracked: tuple[Path, ...], root: Path) -> dict[str, str]:
    """Every tracked file's text by its path in the checkout."""
    return {str(path.relative_to(root)): path.read_text("utf-8") for path in tracked}


def test_no_registry_is_named(texts: dict[str, str]) -> None:
    named = [(path, host) for path, text in texts.items() for host in REGISTRIES if host in text]
    assert not named


def test_nothing_outside_the_checkout_is_named(texts: dict[str, str]) -> None:
    outside = re.compile(r"(\.\./)+shared\b|/work/")
    named = [
        path for path, text in texts.items() if outside.search(text) and path != "tests/unit/skeleton/test_tree.py"
    ]
    assert not named


def test_files_stay_readable(texts: dict[str, str]) -> None:
    written = {path: text for path, text in texts.items() if path not in GENERATED}
    assert not {path: len(text) for path, text in written.items() if len(text) > MAX_BYTES}
    lines = {path: text.count("\n") for path, text in written.items() if path.endswith(".py")}
    assert not {path: count for path, count in lines.items() if count > MAX_LINES}


def test_python_files_carry_the_licence(texts: dict[str, str]) -> None:
    python = {path: text for path, text in texts.items() if path.endswith(".py") and text}
    without = [path for path, text in python.items() if HEADER not in text[:200]]
    assert not without


def test_no_private_key_or_certificate_is_kept(texts: dict[str, str]) -> None:
    block = re.compile(r"^-----BEGIN [A-Z ]*(PRIVATE KEY|CERTIFICATE)-----\n[A-Za-z0-9+/]{40}", re.MULTILINE)
    assert not [path for path, text in texts.items() if block.search(text)]


def pins(text: str) -> dict[str, str]:
    """Return version by package of a lock file."""
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["run", "dev", "bench"])
def test_lock_file_pins_every_package_by_hash(root: Path, name: str) -> None:
    text = (root / f"requirements/{name}.txt").read_text("utf-8")
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    found = [entry for entry in entries if "==" in entry.split("\n")[0]]
    assert len(found) == len(pins(text)) > 0
    assert all("--hash=sha256:" in entry for entry in found)
    direct = re.findall(r"^([a-z0-9][a-z0-9-]*)", (root / f"requirements/{name}.in").read_text("utf-8"), re.M | re.I)
    assert {package.lower() for package in direct} <= set(pins(text))


def test_environment_of_developers_contains_that_of_users(root: Path) -> None:
    run, dev = (pins((root / f"requirements/{name}.txt").read_text("utf-8")) for name in ("run", "dev"))
    assert run.items() <= dev.items()
