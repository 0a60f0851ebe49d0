# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Inventories through Ansible into the proof: templates, vault, ssh options; secrets only ever in a pipe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.providers import secrets
from ansible_collections.postseal.mail.tests.verify.proof.given import GivenError, Resolving
from ansible_collections.postseal.mail.tests.verify.proof.hosts import Connection

ROOT = Path(__file__).resolve().parents[3]

# Of the password "x"; nothing knows it.
HASH = (
    "{SHA512-CRYPT}$6$abcdefgh$D7W7qyozKBT.t6FD3DVYHvADbIO0eSyI4.p20LaEUjro8PqTGYYo/EQcuNjhFbzo9Yg5ir1KIEqFY/yJpgFph0"
)
HOSTS = """
postseal_submission:
  hosts:
    Mail-A.example.com: {ansible_host: 192.0.2.10, ansible_user: ops, ansible_port: 2222}
    mail-b.example.com: {ansible_host: 192.0.2.11}
  vars:
    ansible_ssh_common_args: "-o ProxyJump=jump.example.com"
"""
MAIL = """
postseal_dns:
  providers:
    main: {type: rfc2136, server: 192.0.2.53, tsig: {name: k, secret: "{{ vault_tsig }}"}}
postseal_domains: [{name: shop.example}]
postseal_credentials:
  - name: shop
    domain: shop.example
    secret_hash: "@HASH@"
"""


def _vault(text: str, password_file: Path) -> str:
    command = [
        str(Path(sys.executable).with_name("ansible-vault")),
        "encrypt",
        "--vault-password-file",
        str(password_file),
    ]
    answer = subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=password_file.parent)
    return answer.stdout


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    folder = tmp_path / "production"
    (folder / "group_vars" / "all").mkdir(parents=True)
    (folder / "hosts.yml").write_text(HOSTS)
    (folder / "group_vars" / "all" / "mail.yml").write_text(MAIL.replace("@HASH@", HASH))
    (tmp_path / "password").write_text("open sesame\n")
    vaulted = _vault("vault_tsig: c2VjcmV0c2VjcmV0c2VjcmV0\n", tmp_path / "password")
    (folder / "group_vars" / "all" / "vault.yml").write_text(vaulted)
    return folder


def test_a_vaulted_inventory_becomes_a_model_and_connections(inventory: Path) -> None:
    given = Resolving(str(inventory), str(inventory.parent / "password")).result()
    assert given.model.environment == "production"
    (secret,) = secrets(given.model.dns.providers)
    assert secret.reveal() == "c2VjcmV0c2VjcmV0c2VjcmV0"
    first = given.connections["mail-a.example.com"]
    assert (first.address, first.port, first.user) == ("192.0.2.10", 2222, "ops")
    assert "-o ProxyJump=jump.example.com" in first.options
    assert given.connections["mail-b.example.com"].port == 22
    assert set(given.connections) == {host.name for host in given.model.hosts}


def test_a_wrong_vault_password_is_said_without_a_traceback(inventory: Path) -> None:
    (inventory.parent / "password").write_text("wrong\n")
    with pytest.raises(GivenError, match=r"(?i)vault|decrypt") as caught:
        Resolving(str(inventory), str(inventory.parent / "password")).result()
    assert "Traceback" not in str(caught.value)


def test_ssh_asks_no_questions() -> None:
    config = Connection("ssh", "192.0.2.10", 2222, "ops", "/k", "", "/usr/bin/python3").ssh_config()
    for line in ("HostName 192.0.2.10", "Port 2222", "User ops", "IdentityFile /k", "BatchMode yes"):
        assert f"  {line}\n" in config
