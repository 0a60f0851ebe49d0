# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The tree is a collection: it builds, installs where nothing else is, and runs from there."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from .conftest import ROOT, Run, fill_vault

MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("[a-z]*.py"))
ACTIONS = sorted(path.stem for path in (ROOT / "plugins/action").glob("[a-z]*.py"))
PLAYBOOKS = sorted(path.name for path in (ROOT / "playbooks").glob("*.yml"))


@pytest.fixture
def built(tracked: tuple[Path, ...], root: Path, tmp_path: Path, ansible: Run) -> Path:
    """The artefact of what Git has; building in place would sweep up whatever lies about."""
    source, output = tmp_path / "source", tmp_path / "built"
    for path in tracked:
        target = source / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    done = ansible("ansible-galaxy", "collection", "build", source, "--output-path", output)
    assert done.returncode == 0, done.stderr
    (archive,) = output.glob("postseal-mail-*.tar.gz")
    return archive


def test_artefact_carries_code_and_nothing_of_the_workshop(built: Path) -> None:
    with tarfile.open(built) as archive:
        names = archive.getnames()
    tops = {name.split("/")[0] for name in names}
    assert {"plugins", "roles", "playbooks", "meta", "site.yml", "README.md", "LICENSE"} <= tops
    assert not tops & {"tests", "lab", "bench", "inventories", "collections", "script", "ansible.cfg", ".github"}
    assert "plugins/module_utils/model/load.py" in names


def test_installed_collection_runs_from_an_empty_directory(
    built: Path, root: Path, tmp_path: Path, ansible: Run
) -> None:
    empty = tmp_path / "elsewhere"
    empty.mkdir()
    collections = empty / "collections"

    def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return ansible(program, *arguments, cwd=empty, ANSIBLE_COLLECTIONS_PATH=str(collections))

    done = run("ansible-galaxy", "collection", "install", "--offline", built, "-p", collections)
    assert done.returncode == 0, done.stderr
    inventory = empty / "example"
    shutil.copytree(root / "inventories/staging", inventory)
    fill_vault(inventory)

    module = run("ansible", "localhost", "-i", inventory, "-m", "postseal.mail.preflight")
    assert module.returncode == 0, module.stdout + module.stderr
    assert "mail host mail-a.staging.example.com sends from 198.51.100.10" in module.stdout

    playbook = run("ansible-playbook", "-i", inventory, "postseal.mail.preflight")
    assert playbook.returncode == 0, playbook.stdout + playbook.stderr

    mail = inventory / "group_vars/all/mail.yml"
    mail.write_text(mail.read_text("utf-8").replace("postseal_domains", "postseal_domain"), "utf-8")
    wrong = run("ansible", "localhost", "-i", inventory, "-m", "postseal.mail.preflight")
    assert wrong.returncode != 0
    assert "did you mean postseal_domains?" in wrong.stdout + wrong.stderr


def test_every_action_has_the_module_that_documents_it() -> None:
    assert ACTIONS
    assert set(ACTIONS) <= set(MODULES)


def test_every_module_is_documented(ansible: Run) -> None:
    done = ansible("ansible-doc", "--type", "module", "--json", *(f"postseal.mail.{name}" for name in MODULES))
    assert done.returncode == 0, done.stderr
    assert "[WARNING]" not in done.stderr
    for name in MODULES:
        assert f'"postseal.mail.{name}"' in done.stdout


def test_every_playbook_can_be_read(root: Path, ansible: Run) -> None:
    paths = [root / "site.yml", *(root / "playbooks" / name for name in PLAYBOOKS)]
    done = ansible("ansible-playbook", "--syntax-check", "-i", root / "inventories/lab", *paths)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("playbook: ") == len(paths)


def test_site_has_the_five_steps_in_order(root: Path) -> None:
    lines = (root / "site.yml").read_text("utf-8").splitlines()
    imported = [line.split()[-1] for line in lines if "import_playbook:" in line]
    steps = ["preflight", "keys", "dns", "services", "verify"]
    assert imported == [f"playbooks/{step}.yml" for step in steps]
