# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documents name only what exists, and show the inventory that the demo really runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
# Paths of the checkout, as documents write them.
NAMED = re.compile(r"(?<![\w/.-])((?:script|playbooks|requirements|inventories/lab|docs|roles|plugins)/[\w./-]*\w)")


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def document(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8"))
    assert not [target for target in targets if not (document.parent / target).exists()]


def test_named_paths_exist(document: Path) -> None:
    named = set(NAMED.findall(document.read_text("utf-8")))
    assert not [path for path in sorted(named) if not (ROOT / path).exists()]


def test_readme_shows_the_inventory_of_the_demo() -> None:
    mail = (ROOT / "inventories/lab/group_vars/all/mail.yml").read_text("utf-8").removeprefix("---\n")
    assert mail.strip() in (ROOT / "README.md").read_text("utf-8")
