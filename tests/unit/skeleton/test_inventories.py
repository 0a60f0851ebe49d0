# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The worked examples are valid as written, and say what is missing until their vault exists."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .conftest import Run

EXAMPLES = ("staging", "production")


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> Path:
    folder = tmp_path / str(request.param)
    shutil.copytree(root / "inventories" / str(request.param), folder)
    (folder / "group_vars/all/vault.yml").unlink(missing_ok=True)
    return folder


def test_example_passes_preflight_once_its_vault_exists(example: Path, root: Path, ansible: Run) -> None:
    vault = example / "group_vars/all/vault.yml"
    shutil.copy(vault.with_name("vault.yml.example"), vault)
    done = ansible("ansible-playbook", "-v", "-i", example, root / "playbooks/preflight.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"environment: {example.name}" in done.stdout
    assert "[WARNING]" not in done.stderr


def test_example_without_vault_is_refused_and_names_the_missing_variables(
    example: Path, root: Path, ansible: Run
) -> None:
    done = ansible("ansible-playbook", "-i", example, root / "playbooks/preflight.yml")
    assert done.returncode != 0
    assert "'vault_tsig' is undefined" in done.stdout + done.stderr


def test_preflight_names_what_no_zone_can_hold(root: Path, tmp_path: Path, ansible: Run) -> None:
    folder = tmp_path / "staging"
    shutil.copytree(root / "inventories/staging", folder)
    vault = folder / "group_vars/all/vault.yml"
    shutil.copy(vault.with_name("vault.yml.example"), vault)
    domain = ".".join([*(letter * 25 for letter in "abcdefgh"), "example.com"])
    mail = folder / "group_vars/all/mail.yml"
    mail.write_text(mail.read_text("utf-8").replace("staging.example.com", domain), "utf-8")
    done = ansible("ansible-playbook", "-i", folder, root / "playbooks/preflight.yml")
    assert done.returncode != 0
    told = " ".join((done.stdout + done.stderr).split())
    assert f"the inventory has 2 problems: domain {domain} at provider internal: staging-" in told
    assert "Shorten the domain, the selector or postseal_environment" in told


def test_output_of_preflight_holds_no_secret(example: Path, root: Path, ansible: Run) -> None:
    vault = example / "group_vars/all/vault.yml"
    text = vault.with_name("vault.yml.example").read_text("utf-8")
    vault.write_text(text, "utf-8")
    done = ansible("ansible-playbook", "-vvvv", "--diff", "-i", example, root / "playbooks/preflight.yml")
    assert done.returncode == 0
    secrets = [line.split(": ", 1)[1].strip('"') for line in text.splitlines() if line.startswith("vault_")]
    assert secrets
    for secret in secrets:
        assert secret not in done.stdout + done.stderr
