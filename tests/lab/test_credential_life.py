# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""playbooks/credential.yml on both hosts: what it says of a password holds there as soon as it has ended."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .applications import Application, arrived, authenticate, login, send, session, submit
from .site import HOSTS, ROOT, on, play

# They give both hosts another inventory, and each test takes up what the one before it left.
pytestmark = pytest.mark.together

COMMENT = "# The till. Ask Ruth before you touch it."
UNITS = ("dovecot", "postfix", "postfix@-", "rspamd")  # one of Postfix's has the process, by release


class Till:
    """An application that a copy of the lab's inventory learns of by the playbook alone."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.inventory = directory / "lab"
        shutil.copytree(ROOT / "inventories/lab", self.inventory)
        self.mail = self.inventory / "group_vars/all/mail.yml"
        self.mail.write_text(
            self.mail.read_text("utf-8").replace(
                "postseal_probe:",
                f"  {COMMENT}\n  - name: till    # in the shop\n    domain: shop.test\npostseal_probe:",
            ),
            "utf-8",
        )
        self.before = self.mail.read_text("utf-8")
        self.passwords: list[str] = []

    def order(self, *said: str, password: bool = False) -> None:
        """Run the playbook; ``password`` says that a new one comes of it."""
        extra = [word for one in ("name=till", *said) for word in ("-e", one)]
        token = self.directory / f"token-{len(self.passwords)}"
        if password:
            extra += ["-e", f"token_file={token}"]
        run = play("playbooks/credential.yml", *extra, "-vvv", "--diff", inventory=self.inventory)
        assert run.returncode == 0, run.output
        if password:
            assert token.stat().st_mode & 0o777 == 0o600
            self.passwords.append(token.read_text("ascii").strip())
        for one in self.passwords:
            assert one not in run.output

    def with_password(self, index: int) -> Application:
        """Return the application with one of the passwords it has been given."""
        return Application("till", self.passwords[index], {})

    def codes(self, index: int) -> set[int]:
        """Return what a login with that password is answered on both hosts and both ports."""
        one = self.with_password(index)
        return {login(host, one.login, one.password, port)[0] for host in HOSTS for port in (465, 587)}

    def lines_kept(self) -> None:
        """Demand that every line which was there is there still, in its order."""
        now = iter(self.mail.read_text("utf-8").splitlines())
        assert all(line in now for line in self.before.splitlines())


@pytest.fixture(scope="module")
def till(standing_site: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Till]:
    yield Till(tmp_path_factory.mktemp("till"))
    run = play("playbooks/services.yml")
    assert run.returncode == 0, run.output


@pytest.fixture(scope="module")
def started(till: Till) -> dict[str, str]:
    """When the services began; nothing below may restart one."""
    return {host: on(host, f"systemctl show -p MainPID {' '.join(UNITS)}") for host in HOSTS}


def test_an_issued_password_logs_in_and_sends_from_both_hosts(till: Till, started: dict[str, str]) -> None:
    till.order(password=True)
    assert till.codes(0) == {235}
    for host in HOSTS:
        outcome = send(host, till.with_password(0))
        assert outcome.code == 250, outcome
        found = arrived(outcome.token)
        assert found
        assert found[1]["dmarc"] == "pass"
    till.lines_kept()


def test_during_a_rotation_both_passwords_hold(till: Till) -> None:
    till.order("rotate=true", password=True)
    assert till.passwords[0] != till.passwords[1]
    assert (till.codes(0), till.codes(1)) == ({235}, {235})
    till.lines_kept()


def test_the_old_one_is_ended_early(till: Till) -> None:
    till.order("revoke=previous")
    assert (till.codes(0), till.codes(1)) == ({535}, {235})


def test_who_is_revoked_is_out_at_once_also_from_an_open_session(till: Till, started: dict[str, str]) -> None:
    one = till.with_password(1)
    with session(HOSTS[1]) as client:
        assert authenticate(client, one.login, one.password)[0] == 235
        till.order("revoke=true")
        assert till.codes(1) == {535}
        # The signer may have ended the session's connection meanwhile: then nothing passes either.
        assert submit(client, one).code in (451, 454, 554)
    till.lines_kept()
    (entry,) = (one for one in yaml.safe_load(till.mail.read_text())["postseal_credentials"] if one["name"] == "till")
    assert entry.keys() == {"name", "domain", "secret_hash", "revoked"}, entry
    assert {host: on(host, f"systemctl show -p MainPID {' '.join(UNITS)}") for host in HOSTS} == started
