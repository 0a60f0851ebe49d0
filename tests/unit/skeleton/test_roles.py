# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Every role's interface is written once in defaults, once in its argument specification, and they agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import ROOT

ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
MAX_VARIABLES = 19
MAX_TASKS = 15


def read(path: Path) -> Any:
    """Return what the YAML file holds, nothing for one that does not exist."""
    return yaml.safe_load(path.read_text("utf-8")) if path.exists() else None


def tasks(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the tasks of a tasks file, those inside blocks too, the blocks themselves not."""
    found: list[dict[str, Any]] = []
    for task in listed:
        inner = [part for key in ("block", "rescue", "always") for part in task.get(key, ())]
        found += tasks(inner) if inner else [task]
    return found


@pytest.fixture(params=ROLES)
def role(request: pytest.FixtureRequest) -> Path:
    return ROOT / "roles" / str(request.param)


def test_argument_specification_says_what_the_defaults_say(role: Path) -> None:
    defaults = read(role / "defaults/main.yml") or {}
    specified = read(role / "meta/argument_specs.yml")["argument_specs"]["main"].get("options", {})
    optional = {name: spec for name, spec in specified.items() if not spec.get("required")}
    assert set(optional) == set(defaults)
    assert {name: spec.get("default") for name, spec in optional.items()} == defaults


def test_every_variable_says_what_it_does(role: Path) -> None:
    specified = read(role / "meta/argument_specs.yml")["argument_specs"]["main"]
    assert specified["short_description"]
    for name, spec in specified.get("options", {}).items():
        assert spec.get("description"), name
        assert spec.get("type"), name


def test_variables_are_few_and_carry_the_name_of_the_role(role: Path) -> None:
    defaults = read(role / "defaults/main.yml") or {}
    assert len(defaults) <= MAX_VARIABLES
    assert all(name.startswith(f"{role.name}_") for name in defaults)
    internal = read(role / "vars/main.yml") or {}
    assert all(name.startswith(f"__{role.name}_") for name in internal)


def test_role_is_short(role: Path) -> None:
    files = sorted((role / "tasks").glob("*.yml"))
    assert sum(len(tasks(read(path) or [])) for path in files) <= MAX_TASKS
    assert all(len(path.read_text("utf-8").splitlines()) <= 100 for path in files)


def test_templates_lie_where_they_are_installed(role: Path) -> None:
    templates = role / "templates"
    tops = {path.relative_to(templates).parts[0] for path in templates.rglob("*") if path.is_file()}
    assert tops <= {"etc", "usr", "var"}
