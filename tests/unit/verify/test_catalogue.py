# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The catalogue and the checks belong together, one to one."""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
import yaml
from ansible_collections.postseal.mail.tests.verify.proof import catalogue as module
from ansible_collections.postseal.mail.tests.verify.proof.catalogue import (
    FILE,
    CatalogueError,
    catalogue,
    check,
    remedy,
)

# What conftest.py and the checks can fill in.
FIELDS = {"host", "name", "address", "port", "domain", "record", "size", "unit", "path", "fix"}


def _checks() -> Counter[str]:
    found: Counter[str] = Counter()
    for path in sorted(Path(FILE).parent.glob("test_*.py")):
        module = importlib.import_module(f"ansible_collections.postseal.mail.tests.verify.{path.stem}")
        functions = [value for name, value in vars(module).items() if name.startswith("test_")]
        assert all(hasattr(function, "check_id") for function in functions), path.name
        found.update(function.check_id for function in functions)
    return found


def test_every_entry_has_one_check_and_every_check_an_entry() -> None:
    checks = _checks()
    assert set(checks) == set(catalogue())
    assert {name: times for name, times in checks.items() if times != 1} == {}


def test_an_id_without_an_entry_is_refused() -> None:
    with pytest.raises(CatalogueError, match="NO-SUCH-1"):
        check("NO-SUCH-1")


@pytest.mark.parametrize("identifier", list(catalogue()))
def test_remedies_use_fields_that_somebody_fills_in(identifier: str) -> None:
    used = {name for _, name, _, _ in Formatter().parse(catalogue()[identifier].remedy) if name}
    assert used <= FIELDS


@pytest.mark.parametrize("identifier", list(catalogue()))
def test_entries_are_whole_sentences(identifier: str) -> None:
    entry = catalogue()[identifier]
    assert entry.why.endswith(".")
    assert not entry.title.endswith(".")


@pytest.mark.parametrize(
    "change",
    [
        {"sources": []},
        {"sources": "RFC 5321"},
        {"level": "fatal"},
        {"vantage": "dns"},
        {"category": "other"},
        {"why": ""},
        {"extra": "x"},
    ],
    ids=",".join,
)
def test_an_entry_that_is_not_whole_is_refused(
    change: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {**asdict(catalogue()["PTR-1"]), "sources": ["RFC 1912 2.1"], **change}
    (tmp_path / "catalogue.yml").write_text(yaml.safe_dump([entry]))
    monkeypatch.setattr(module, "FILE", tmp_path / "catalogue.yml")
    with pytest.raises(CatalogueError, match="PTR-1"):
        catalogue.__wrapped__()


def test_a_remedy_is_filled_in_and_keeps_what_nobody_knows() -> None:
    assert remedy("PTR-1", {"address": "192.0.2.1"}).startswith("Ask the provider of 192.0.2.1 to set")
    assert "<host>" in remedy("PTR-1", {"address": "192.0.2.1"})


def test_every_check_has_a_fault_that_it_was_seen_to_find() -> None:
    table = (Path(FILE).parents[2] / "docs/verify-faults.md").read_text("utf-8").partition("## By check")[2]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    assert [row[0] for row in rows] == list(catalogue())
    assert [row[0] for row in rows if len(row) < 3 or not row[2].strip(" |")] == []
