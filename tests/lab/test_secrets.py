# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Marked secrets of every kind are used by real runs on both hosts, and then looked for everywhere."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex, token_urlsafe

import pytest

from . import leaks
from .applications import login
from .site import HOSTS, LAB_STATE, ROOT, Run, on, play

# They give both hosts another inventory.
pytestmark = pytest.mark.together

PLAIN, STORE = f"Plain-{token_urlsafe(24)}", f"Store-{token_hex(24)}"
CREDENTIALS = """  - {name: vaulted, domain: shop.test, secret: "{{ vault_plain }}", rate: {messages: 100000/d}}
postseal_limits: {store: {host: sender-a.sender.test, password: "{{ vault_store }}"}}
postseal_probe:"""
KEYS = "find /etc/postseal /etc/letsencrypt -type f \\( -name '*.key' -o -name '*.pem' \\) -exec cat {} +"


@dataclass(frozen=True)
class Done:
    """What ran, which secrets were used, and what the process lists showed."""

    folder: Path
    runs: tuple[Run, ...]
    needles: dict[str, tuple[str, ...]]
    processes: set[bytes]


def _secret(name: str) -> str:
    return (LAB_STATE / "secrets" / name).read_text("ascii").strip()


def _keys(host: str) -> tuple[str, ...]:
    """Return a line of each private key of a host that holds nothing of its public half."""
    found: list[str] = []
    lines: list[str] | None = None
    for line in on(host, KEYS).splitlines():
        if line.startswith("-----"):
            if lines:
                # RSA: the public modulus is in the first half. EC and Ed25519: the secret begins in the first line.
                found.append(lines[len(lines) // 2 if len(lines) > 4 else 0])
            lines = [] if line.startswith("-----BEGIN") and "PRIVATE KEY" in line else None
        elif lines is not None:
            lines.append(line)
        elif len(line) in (44, 88) and line.endswith("="):
            found.append(line)  # rspamd's own form of an Ed25519 key
    assert len(found) >= 3, f"keys of {host}: {len(found)}"
    return tuple(found)


@pytest.fixture(scope="module")
def done(standing_hosts: None, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """site.yml as loud as it can be, also as a check, then credential.yml, with every kind of secret in use."""
    folder = tmp_path_factory.mktemp("secrets")
    inventory = folder / "lab"
    shutil.copytree(ROOT / "inventories/lab", inventory)
    said = inventory / "group_vars/all"
    mail = said / "mail.yml"
    mail.write_text(mail.read_text("utf-8").replace("postseal_probe:", CREDENTIALS, 1), "utf-8")
    (folder / "vault-password").write_text(token_hex(16), "ascii")
    vault = f"vault_plain: {PLAIN}\nvault_store: {STORE}\n"
    command: list[str | Path] = [
        ROOT / ".venv/bin/ansible-vault",
        "encrypt",
        "--vault-password-file",
        folder / "vault-password",
    ]
    subprocess.run([*command, "--output", said / "vault.yml"], input=vault, text=True, check=True, capture_output=True)
    loud = ("-vvv", "--diff", "--vault-password-file", str(folder / "vault-password"))
    with leaks.processes() as seen:
        token = folder / "token"
        issue = ("playbooks/credential.yml", "-e", "name=issued", "-e", "domain=shop.test", "-e", f"token_file={token}")
        runs = []
        for words in (("site.yml", "--check"), ("site.yml",), issue):
            run = play(*words, *loud, inventory=inventory)
            assert run.returncode == 0, run.output
            runs.append(run)
    issued = token.read_text("ascii").strip()
    token.unlink()
    needles = {
        "vaulted password": leaks.forms(PLAIN, "vaulted@shop.test"),
        "password of the counters": leaks.forms(STORE),
        "issued password": leaks.forms(issued, "issued@shop.test"),
        "password of the probe": leaks.forms(_secret("shop"), "shop@shop.test"),
        "key for DNS updates": leaks.forms(_secret("tsig")),
        **{f"private keys of {host}": _keys(host) for host in HOSTS},
    }
    for host in HOSTS:
        assert login(host, "vaulted@shop.test", PLAIN)[0] == 235
        assert login(host, "issued@shop.test", issued)[0] == 235
    return Done(folder, tuple(runs), needles, seen)


def test_no_secret_is_printed(done: Done) -> None:
    for run in done.runs:
        assert leaks.in_text(done.needles, run.output, "output") == set()
        assert "PRIVATE KEY" not in run.output


def test_no_secret_is_in_a_process_list(done: Done) -> None:
    assert any(b"ansible-playbook" in one for one in done.processes)
    assert {found for one in done.processes for found in leaks.in_text(done.needles, one, repr(one[:80]))} == set()


def test_no_secret_is_in_a_journal_a_map_or_a_file_that_others_read(done: Done) -> None:
    assert leaks.everywhere(done.needles, done.folder) == set()


def test_the_search_finds_what_is_planted(done: Done) -> None:
    marker = f"planted-{token_hex(8)}"
    needles = {"planted": leaks.forms(marker)}
    here = (ROOT / "report/planted", Path.home() / ".ansible/planted", LAB_STATE / "planted")
    try:
        with leaks.processes() as seen:
            for host in HOSTS:
                on(host, f"""
                    echo {marker} > /etc/planted; chmod 644 /etc/planted
                    echo {marker} > /etc/postfix/planted.db; chmod 600 /etc/postfix/planted.db
                    printf %s {marker} | base64 > /var/tmp/planted; chmod 600 /var/tmp/planted
                    logger --socket /run/systemd/journal.postseal/dev-log {marker}
                    sh -c 'sleep 0.5; :' {marker}
                """)  # fmt: skip
            for path in here:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(marker)
                path.chmod(0o644)
            time.sleep(0.1)
        assert any(leaks.in_text(needles, one, "") for one in seen if b"sleep 0.5" in one)
        places = ("/etc/planted", "/etc/postfix/planted.db", "/var/tmp/planted", "journal", "journal of postseal")  # noqa: S108  # planted there, not used
        assert {place for _, place in leaks.everywhere(needles)} >= {
            *(f"{host}:{place}" for host in HOSTS for place in places),
            *map(str, here),
        }
    finally:
        for host in HOSTS:
            on(host, "rm -f /etc/planted /etc/postfix/planted.db /var/tmp/planted")
        for path in here:
            path.unlink(missing_ok=True)
