# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""DKIM keys that come from another signer or from a backup, and keys that are lost or leaked."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import dns.query
import pytest

from .applications import application, arrived, deployed, send
from .site import HOSTS, Run, on, play
from .test_keys import DIGESTS
from .test_lab import NS1, NS2, RESOLVER, text_at, update, within

# They give both hosts another inventory.
pytestmark = pytest.mark.together

PLAYBOOK = "playbooks/import_dkim.yml"
TABLES, FILES = "shop5.test", "shop6.test"
SENDERS = application("old", senders=[f"a@{TABLES}", f"a@{FILES}"])
SIGNED = [("ed25519-sha256", "pass"), ("rsa-sha256", "pass")]
TSIG = {"name": "postseal", "algorithm": "hmac-sha256", "secret": "{{ lab_tsig }}"}
GRACE = 12


def _openssl(*arguments: str, data: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


def _public(pem: bytes) -> str:
    return base64.b64encode(_openssl("pkey", "-pubout", "-outform", "DER", data=pem)).decode()


def _publish(selector: str, domain: str, value: str) -> None:
    """Publish a record as whoever ran the domain before had it."""
    message = update(zone=domain)
    chunks = " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255))
    message.replace(f"{selector}._domainkey", 5, "TXT", chunks)
    dns.query.tcp(message, NS1, timeout=3)
    name = f"{selector}._domainkey.{domain}"
    assert within(8, lambda: all(_text(server, name) == [value] for server in (NS1, NS2, RESOLVER)))


def _text(server: str, name: str) -> list[str]:
    """Return the TXT data at a name, chunks joined."""
    return [value.replace('" "', "") for value in text_at(server, name)]


def _good(run: Run) -> Run:
    assert run.returncode == 0, run.output
    return run


def _flat(run: Run) -> str:
    return " ".join(run.output.split())


def _states(domain: str, host: str = HOSTS[0]) -> dict[str, str]:
    known = json.loads(on(host, "cat /var/lib/postseal/dkim/lab.json"))
    return {key["selector"]: key["state"] for key in known["keys"] if key["domain"] == domain}


@pytest.fixture(scope="module")
def inventory(standing_hosts: None, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two domains more, of which no host has seen anything yet."""
    policy = {"rotate_every": "never", "prepublish": "1s", "grace": f"{GRACE}s"}
    said = {
        "postseal_submission": {"hostname": "smtp.sender.test", "queue_lifetime": "2s"},
        "postseal_dns": {
            "providers": {"lab": {"type": "rfc2136", "server": "10.97.0.2", "tsig": TSIG}},
            "resolvers": ["10.97.0.4"],
            "ttl": 5,
        },
        "postseal_domains": [
            {"name": name, "dkim": policy, "dmarc": {"policy": "reject"}} for name in ("shop.test", TABLES, FILES)
        ],
        "postseal_credentials": [deployed(), SENDERS.entry()],
    }
    file = tmp_path_factory.mktemp("import") / "inventory.json"
    file.write_text(json.dumps(said), "utf-8")
    return ["-e", f"@{file}"]


@pytest.fixture(scope="module")
def tables(standing_hosts: None) -> bytes:
    """A mail host on which OpenDKIM signed for a domain; its key."""
    pem = _openssl("genrsa", "-traditional", "2048")
    written = base64.b64encode(pem).decode()
    on(
        HOSTS[1],
        f"mkdir -p /etc/opendkim/keys/{TABLES} && cd /etc/opendkim && umask 077"
        f" && echo {written} | base64 -d > keys/{TABLES}/mail.private"
        f" && echo 'k %:mail:/etc/opendkim/keys/%/mail.private' > KeyTable && echo '*@{TABLES} k' > SigningTable",
    )
    return pem


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as rspamd has it, copied to the controller, and its records in the DNS."""
    folder = tmp_path_factory.mktemp("rspamd")
    rsa, ed25519 = _openssl("genrsa", "-traditional", "2048"), _openssl("genpkey", "-algorithm", "ED25519")
    seed = _openssl("pkey", "-outform", "DER", data=ed25519)[-32:]
    public = _openssl("pkey", "-pubout", "-outform", "DER", data=ed25519)[-32:]
    (folder / f"{FILES}.dkim.key").write_bytes(rsa)
    (folder / f"{FILES}.2024.ed.key").write_bytes(base64.b64encode(seed + public))
    _publish("dkim", FILES, f"v=DKIM1; k=rsa; n=by hand; p={_public(rsa)}")
    _publish("2024.ed", FILES, f"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}")
    return folder


def test_a_key_that_is_not_the_published_one_is_refused_and_nothing_is_done(
    inventory: list[str], tables: bytes
) -> None:
    _publish("mail", TABLES, f"v=DKIM1; k=rsa; p={_public(_openssl('genrsa', '2048'))}")
    run = play(PLAYBOOK, "-e", "path=/etc/opendkim", "-e", f"host={HOSTS[1]}", *inventory)
    assert run.returncode != 0
    assert f"mail._domainkey.{TABLES}) does not belong to the key that is published there" in _flat(run)
    for host in HOSTS:
        assert "none" in on(host, f"ls /etc/postseal/dkim/{TABLES} 2>/dev/null || echo none")


def test_keys_of_others_sign_with_the_selectors_and_records_they_have(
    inventory: list[str], tables: bytes, files: Path
) -> None:
    record = f"v=DKIM1; k=rsa; p={_public(tables)}"
    _publish("mail", TABLES, record)
    on_host = ("-e", "path=/etc/opendkim", "-e", f"host={HOSTS[1]}", *inventory)
    before = [on(host, DIGESTS) for host in HOSTS]
    assert f"mail._domainkey.{TABLES}, rsa2048" in _flat(_good(play(PLAYBOOK, "--check", *on_host)))
    assert [on(host, DIGESTS) for host in HOSTS] == before
    runs = [
        _good(play(PLAYBOOK, "-vvv", "--diff", *on_host)),
        _good(play(PLAYBOOK, "-vvv", "--diff", "-e", f"path={files}", *inventory)),
    ]
    for secret in (tables, *(file.read_bytes() for file in files.iterdir())):
        line = secret.split(b"\n")[1 if b"\n" in secret else 0].decode()
        assert not any(line in run.output for run in runs)
    assert _states(TABLES)["mail"] == _states(FILES)["dkim"] == _states(FILES)["2024.ed"] == "signing"
    assert on(HOSTS[0], DIGESTS) == on(HOSTS[1], DIGESTS)
    modes = f"stat -c '%a %U %G' /etc/postseal/dkim/{TABLES}/mail.* /etc/postseal/dkim/{FILES}/dkim.*"
    for host in HOSTS:
        assert set(on(host, modes).splitlines()) == {"640 root _rspamd"}
    assert not any(_good(play(PLAYBOOK, "-e", f"path={files}", *inventory)).changed().values())
    _good(play("site.yml", "--skip-tags", "verify", *inventory))
    assert _text(NS1, f"mail._domainkey.{TABLES}") == [record]
    assert "n=by hand" in _text(NS1, f"dkim._domainkey.{FILES}")[0]
    time.sleep(6)
    _good(play("playbooks/rotate_dkim.yml", *inventory))
    for host in HOSTS:
        for domain, selectors in ((TABLES, {"mail"}), (FILES, {"dkim", "2024.ed"})):
            verdict = _mail(host, domain)
            assert selectors <= {entry["selector"] for entry in verdict["dkim"]}
    assert not any(_good(play("playbooks/rotate_dkim.yml", *inventory)).changed().values())


def _mail(host: str, domain: str) -> dict[str, Any]:
    """Send from a domain; return the receiver's verdict, which is good."""
    headers = f"From: a@{domain}\nTo: probe@receiver.test\nSubject: {{token}}"
    outcome = send(host, SENDERS, headers, envelope=f"a@{domain}")
    assert outcome.code == 250, outcome
    found = arrived(outcome.token)
    assert found
    assert sorted((entry["algorithm"], entry["result"]) for entry in found[1]["dkim"]) == SIGNED
    return found[1]


def test_keys_that_all_hosts_have_lost_come_back_from_a_backup(inventory: list[str], tmp_path: Path) -> None:
    before = on(HOSTS[0], DIGESTS)
    for name in on(HOSTS[0], f"ls /etc/postseal/dkim/{FILES}").split():
        backup = tmp_path / "dkim" / FILES / name
        backup.parent.mkdir(parents=True, exist_ok=True)
        backup.write_text(on(HOSTS[0], f"cat /etc/postseal/dkim/{FILES}/{name}"))
    for host in HOSTS:
        on(host, f"rm -r /etc/postseal/dkim/{FILES}")
    run = play("playbooks/keys.yml", *inventory)
    assert run.returncode != 0
    assert "no mail host holds it any more. Restore /etc/postseal/dkim from your backup" in _flat(run)
    _good(play(PLAYBOOK, "-e", f"path={tmp_path}/dkim", *inventory))
    assert on(HOSTS[0], DIGESTS) == on(HOSTS[1], DIGESTS) == before
    for host in HOSTS:
        _mail(host, FILES)


@pytest.mark.parametrize("wish", ["revoke", "lost"])
def test_a_leaked_or_lost_key_is_replaced_by_one_command(inventory: list[str], wish: str) -> None:
    old = {selector for selector, state in _states(FILES).items() if state == "signing"}
    if wish == "lost":
        for host in HOSTS:
            on(host, f"rm -r /etc/postseal/dkim/{FILES}")
    run = _good(play("playbooks/rotate_dkim.yml", "-e", f"{wish}=true", "-e", f"domain={FILES}", *inventory))
    # Signing ends before the world is told.
    stops, tells = (run.output.find(task) for task in ("sign no more with what is revoked", "Publish every record"))
    assert -1 < stops < tells
    for selector in old:
        assert _text(NS2, f"{selector}._domainkey.{FILES}") == ["v=DKIM1; p="]
    assert {_states(FILES, host)[selector] for selector in old for host in HOSTS} == {"revoked"}
    for host in HOSTS:
        used = {entry["selector"] for entry in _mail(host, FILES)["dkim"]}
        assert len(used) == 2
        assert not used & old
        assert not re.search(
            rf"^{re.escape(FILES)} .*({'|'.join(old)}):", on(host, "cat /etc/rspamd/maps/dkim.map"), re.M
        )
