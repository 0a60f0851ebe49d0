# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The recipes for continuous integration are valid for their servers, and call what is really there."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import ROOT

RECIPES = {"github-actions.yml": "vendor.github-workflows", "gitlab-ci.yml": "vendor.gitlab-ci"}
DOCUMENT = ROOT / "docs/verify.md"


def _recipe(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docs/ci" / name).read_text("utf-8"))
    return found


def _script(name: str) -> str:
    """Return what a recipe has the shell do."""
    recipe = _recipe(name)
    if name == "github-actions.yml":
        return "\n".join(step["run"] for step in recipe["jobs"]["proof"]["steps"] if "run" in step)
    job = recipe["proof"]
    return "\n".join([*job["before_script"], *job["script"], *job["after_script"]])


def _validated(path: Path, schema: str) -> subprocess.CompletedProcess[str]:
    command = ["check-jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("name", "schema"), RECIPES.items())
def test_recipe_is_valid(name: str, schema: str, tmp_path: Path) -> None:
    path = ROOT / "docs/ci" / name
    answer = _validated(path, schema)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    spoilt = tmp_path / name
    spoilt.write_text(re.sub(r"timeout(-minutes)?: .*", r"timeout\1: {never: true}", path.read_text("utf-8")))
    assert _validated(spoilt, schema).returncode == 1


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_runs_the_proof_as_the_document_does(name: str) -> None:
    script = re.sub(r"\\\n\s*", "", _script(name))
    (line,) = (line for line in script.splitlines() if "pytest" in line)
    words = shlex.split(line)
    assert words[1:4] == ["-m", "pytest", "tests/verify"]
    known = (ROOT / "tests/verify/conftest.py").read_text("utf-8")
    for option in words[4:]:
        flag = option.partition("=")[0]
        assert f'"{flag}"' in known or flag == "--ansible-inventory"
        assert f"`{flag}" in DOCUMENT.read_text("utf-8")
    for path in re.findall(r"\brequirements/\S+", script):
        assert (ROOT / path).is_file()
    # Nothing of the proof's end may be swallowed.
    assert not re.search(r"\|\| *true|continue-on-error|allow_failure|set \+e", (ROOT / "docs/ci" / name).read_text())


@pytest.mark.parametrize("name", RECIPES)
def test_script_of_recipe_is_sound(name: str, tmp_path: Path) -> None:
    path = tmp_path / "script.sh"
    path.write_text("#!/bin/bash\n" + _script(name) + "\n")
    answer = subprocess.run(["shellcheck", str(path)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_runs_by_itself_every_day_and_keeps_the_report(name: str) -> None:
    recipe, text = _recipe(name), (ROOT / "docs/ci" / name).read_text("utf-8")
    assert "30 6 * * *" in text
    assert f"ci/{name}" in DOCUMENT.read_text("utf-8")
    if name == "github-actions.yml":
        assert recipe["on"]["schedule"] == [{"cron": "30 6 * * *"}]
        assert recipe["permissions"] == {"contents": "read"}
    else:
        assert recipe["proof"]["rules"][0] == {"if": '$CI_PIPELINE_SOURCE == "schedule"'}
        assert recipe["proof"]["artifacts"]["reports"] == {"junit": "report/verify.xml"}
