# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""playbooks/credential.yml on a worked example: the inventory changes, the password is shown once, else nowhere."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import Run, fill_vault

Credential = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(root: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "production"
    shutil.copytree(root / "inventories/production", folder)
    fill_vault(folder)
    return folder


@pytest.fixture
def credential(folder: Path, root: Path, tmp_path: Path, ansible: Run) -> Credential:
    """Run the playbook on the example, without mail hosts, and keep Ansible's log."""

    def run(*arguments: str, **said: str) -> subprocess.CompletedProcess[str]:
        words = [word for key, value in {**said, "apply": "false"}.items() for word in ("-e", f"{key}={value}")]
        command = ("ansible-playbook", "-i", folder, root / "playbooks/credential.yml", *words, *arguments)
        return ansible(*command, ANSIBLE_LOG_PATH=str(tmp_path / "ansible.log"))

    return run


def _mail(folder: Path) -> Path:
    return folder / "group_vars/all/mail.yml"


def _entries(folder: Path) -> dict[str, dict[str, Any]]:
    said = yaml.safe_load(_mail(folder).read_text())["postseal_credentials"]
    return {entry["name"]: entry for entry in said}


def _token(output: str) -> str:
    (found,) = re.findall(r"shown only now:\n\n    (\S+)\n", output)
    return str(found)


def _fits(token: str, hashed: str) -> bool:
    raw = base64.b64decode(hashed.removeprefix("{SSHA512}"))
    return hashlib.sha512(token.encode() + raw[64:]).digest() == raw[:64]


@pytest.fixture
def processes() -> Iterator[set[str]]:
    """Command lines and environments of every process that ran meanwhile."""
    seen: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            for name in ("cmdline", "environ"):
                for path in Path("/proc").glob(f"[0-9]*/{name}"):
                    try:
                        seen.add(path.read_bytes().decode(errors="replace"))
                    except OSError:
                        continue
            time.sleep(0.05)

    thread = threading.Thread(target=look)
    thread.start()
    yield seen
    stop.set()
    thread.join()


def test_a_new_password_is_shown_once_and_only_its_hash_is_kept(
    credential: Credential, folder: Path, tmp_path: Path, processes: set[str]
) -> None:
    before = _mail(folder).read_text()
    done = credential("-vvvv", "--diff", name="blog", domain="example.com")
    assert done.returncode == 0, done.stdout + done.stderr
    token = _token(done.stdout)
    assert (done.stdout + done.stderr).count(token) == 1
    assert _fits(token, _entries(folder)["blog"]["secret_hash"])
    assert _mail(folder).read_text().startswith(before)
    holders = [path for path in tmp_path.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]
    assert holders == []
    assert "Change the credential" in (tmp_path / "ansible.log").read_text()
    assert processes
    assert not [seen for seen in processes if token in seen]


def test_a_password_goes_into_a_file_of_its_own(credential: Credential, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "token"
    done = credential("-vvvv", "--diff", name="blog", domain="example.com", token_file=str(target))
    assert done.returncode == 0, done.stdout + done.stderr
    assert target.stat().st_mode & 0o7777 == 0o600
    token = target.read_text().strip()
    assert token not in done.stdout + done.stderr
    assert _fits(token, _entries(folder)["blog"]["secret_hash"])
    text = _mail(folder).read_text()
    again = credential(name="blog", rotate="true", token_file=str(target))
    assert again.returncode != 0
    assert "exists already" in again.stdout + again.stderr
    assert _mail(folder).read_text() == text
    assert target.read_text().strip() == token


def test_a_check_run_tells_what_would_change_and_changes_nothing(
    credential: Credential, folder: Path, tmp_path: Path
) -> None:
    before = _mail(folder).read_text()
    done = credential("--check", "--diff", name="shop", rotate="true", token_file=str(tmp_path / "token"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed=1" in done.stdout
    assert '+    secret_hash: "{SSHA512}made when it is issued"' in done.stdout
    assert "+    previous_hash:" in done.stdout
    assert "shown only now" not in done.stdout
    assert _mail(folder).read_text() == before
    assert not (tmp_path / "token").exists()


def test_a_rotation_keeps_the_old_password_and_a_revocation_needs_no_sound_inventory(
    credential: Credential, folder: Path
) -> None:
    first = _entries(folder)["shop"]["secret_hash"]
    done = credential(name="shop@example.com", rotate="true", overlap="3d")
    shop = _entries(folder)["shop"]
    assert shop["previous_hash"] == first
    assert _fits(_token(done.stdout), shop["secret_hash"])
    (folder / "group_vars/all/vault.yml").unlink()
    refused = credential(name="newsletter", rotate="true")
    assert refused.returncode != 0
    assert "'vault_tsig' is undefined" in refused.stdout + refused.stderr
    done = credential(name="shop", revoke="true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "shown only now" not in done.stdout
    assert _entries(folder)["shop"]["revoked"]


AFTERWARDS = """
- name: Change the file that Ansible has read, as playbooks/credential.yml does
  hosts: postseal_submission
  connection: local
  gather_facts: false
  tasks:
    - name: Read the inventory
      postseal.mail.preflight:
    - name: Change it
      ansible.builtin.replace: {path: "{{ changed }}", regexp: orders@example.com, replace: billing@example.com}
      run_once: true
    - name: Read the changed file
      ansible.builtin.include_vars: {file: "{{ changed }}", name: __postseal_changed}
    - name: Read the inventory again
      postseal.mail.preflight:
"""


def test_mail_hosts_get_what_was_changed_in_the_same_run(folder: Path, tmp_path: Path, ansible: Run) -> None:
    (tmp_path / "afterwards.yml").write_text(AFTERWARDS)
    done = ansible(
        "ansible-playbook", "-v", "-i", folder, tmp_path / "afterwards.yml", "-e", f"changed={_mail(folder)}"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    before, after = done.stdout.split("Read the changed file")
    assert "may send as shop@example.com, orders@example.com" in before
    assert "may send as shop@example.com, billing@example.com" in after
    assert "may send as shop@example.com, orders@example.com" not in after.split("Read the inventory again")[1]


def test_a_page_is_written_for_each_application(folder: Path, root: Path, tmp_path: Path, ansible: Run) -> None:
    target = tmp_path / "cards"
    command = ("ansible-playbook", "-i", folder, root / "playbooks/cards.yml", "-e", f"directory={target}")
    assert "changed=1" in ansible(*command, "--check").stdout
    assert not target.exists()
    assert "changed=1" in ansible(*command, "-e", "credential=shop").stdout
    assert sorted(path.name for path in target.iterdir()) == ["shop@example.com.html", "shop@example.com.md"]
    assert "smtp.example.com" in (target / "shop@example.com.md").read_text()
    assert "changed=0" in ansible(*command, "-e", "credential=shop").stdout
