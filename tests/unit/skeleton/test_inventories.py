# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The worked examples are valid as written, and say what is missing until their vault exists."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .conftest import Run, fill_vault

EXAMPLES = ("staging", "production")


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> Path:
    folder = tmp_path / str(request.param)
    shutil.copytree(root / "inventories" / str(request.param), folder)
    (folder / "group_vars/all/vault.yml").unlink(missing_ok=True)
    return folder


def test_example_passes_preflight_once_its_vault_exists(example: Path, root: Path, ansible: Run) -> None:
    fill_vault(example)
    done = ansible("ansible-playbook", "-v", "-i", example, root / "playbooks/preflight.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"environment: {example.name}" in done.stdout
    assert "[WARNING]" not in done.stderr


def test_example_without_vault_is_refused_and_names_the_missing_variables(
    example: Path, root: Path, ansible: Run
) -> None:
    done = ansible("ansible-playbook", "-i", example, root / "playbooks/preflight.yml")
    assert done.returncode != 0
    assert "'vault_tsig' is undefined; vault_tsig belongs into group_vars/all/vault.yml" in done.stdout + done.stderr


def test_example_with_an_unedited_vault_is_refused(example: Path, root: Path, ansible: Run) -> None:
    vault = example / "group_vars/all/vault.yml"
    shutil.copy(vault.with_name("vault.yml.example"), vault)
    done = ansible("ansible-playbook", "-i", example, root / "playbooks/preflight.yml")
    assert done.returncode != 0
    refused = "postseal_dns.providers.internal.tsig.secret: is still the value of vault.yml.example"
    assert refused in done.stdout + done.stderr


def test_secrets_of_a_lab_that_is_down_lead_to_script_lab_up(root: Path, tmp_path: Path, ansible: Run) -> None:
    nowhere = f"lab_directory={tmp_path}/postseal-lab"
    done = ansible("ansible-playbook", "-i", root / "inventories/lab", root / "playbooks/preflight.yml", "-e", nowhere)
    assert done.returncode != 0
    assert "postseal_dns: cannot be evaluated" in done.stdout + done.stderr
    assert "script/lab up" in done.stdout + done.stderr


def test_remedies_name_the_inventory_in_use(root: Path, tmp_path: Path, ansible: Run) -> None:
    folder = tmp_path / "staging"
    shutil.copytree(root / "inventories/staging", folder)
    fill_vault(folder)
    broken = '{"postseal_credentials": [{"name": "blog", "domain": "staging.example.com"}]}'
    done = ansible("ansible-playbook", "-i", folder, root / "playbooks/preflight.yml", "-e", broken)
    assert done.returncode != 0
    assert f"ansible-playbook -i {folder} playbooks/credential.yml -e name=blog" in done.stdout + done.stderr


def test_preflight_names_what_no_zone_can_hold(root: Path, tmp_path: Path, ansible: Run) -> None:
    folder = tmp_path / "staging"
    shutil.copytree(root / "inventories/staging", folder)
    fill_vault(folder)
    domain = ".".join([*(letter * 25 for letter in "abcdefgh"), "example.com"])
    mail = folder / "group_vars/all/mail.yml"
    mail.write_text(mail.read_text("utf-8").replace("staging.example.com", domain), "utf-8")
    done = ansible("ansible-playbook", "-i", folder, root / "playbooks/preflight.yml")
    assert done.returncode != 0
    told = " ".join((done.stdout + done.stderr).split())
    assert f"the inventory has 2 problems: domain {domain} at provider internal: staging-" in told
    assert "Shorten the domain, the selector or postseal_environment" in told


def test_output_of_preflight_holds_no_secret(example: Path, root: Path, ansible: Run) -> None:
    text = fill_vault(example)
    done = ansible("ansible-playbook", "-vvvv", "--diff", "-i", example, root / "playbooks/preflight.yml")
    assert done.returncode == 0
    secrets = [line.split(": ", 1)[1].strip('"') for line in text.splitlines() if line.startswith("vault_")]
    assert secrets
    for secret in secrets:
        assert secret not in done.stdout + done.stderr
