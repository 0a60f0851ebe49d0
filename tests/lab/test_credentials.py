# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A login is taken while its credential holds, and refused in one and the same way when it does not."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.passwords import new_token, ssha512

from .applications import (
    Application,
    application,
    authenticate,
    deploy,
    logged,
    login,
    send,
    session,
    shop,
    submit,
)
from .site import HOSTS, ROOT, on, play

# They give both hosts another inventory.
pytestmark = pytest.mark.together

USERS = "/etc/dovecot/submission-users"
SENDERS = "/etc/rspamd/maps/senders.map"
DAY = datetime.now(UTC).date()
OLD = new_token()
APPLICATIONS = {
    one.name: one
    for one in (
        application("revoked", revoked=True),
        application("suspended", suspended=True),
        application("expiring", expires=f"{DAY + timedelta(days=30)}"),
        application("elsewhere", networks=["192.0.2.0/24", "2001:db8::/32"]),
        application("here", networks=["10.97.0.0/24"]),
        application("rotated", previous_hash=ssha512(OLD).reveal(), previous_until=f"{DAY + timedelta(days=7)}"),
        application("plain"),
    )
}
REFUSED = (535, "5.7.8 Error: authentication failed: (reason unavailable)")
# Time stands at a later day for the host's copy of these.
PAST = f"sed -i -E '/^(expiring|rotated)@/s/(expires|ends)=[0-9]+/\\1={int(time.time()) - 1}/' {USERS}"


@pytest.fixture(scope="module", autouse=True)
def service(standing_hosts: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Both hosts know the applications above."""
    run = deploy(tmp_path_factory.mktemp("inventory"), list(APPLICATIONS.values()))
    assert run.returncode == 0, run.output


@pytest.mark.parametrize("name", ["expiring", "here", "rotated", "plain"])
def test_a_credential_that_holds_is_accepted(host: str, name: str) -> None:
    one = APPLICATIONS[name]
    assert login(host, one.login, one.password)[0] == 235
    assert login(host, one.login.upper(), one.password, port=587)[0] == 235


def test_both_passwords_hold_during_a_rotation(host: str) -> None:
    one = APPLICATIONS["rotated"]
    assert login(host, one.login, OLD.reveal())[0] == 235
    assert login(host, one.login, one.password)[0] == 235


REASONS = {
    "revoked": "credential revoked",
    "suspended": "credential suspended",
    "elsewhere": "not in allowed networks",
    "plain": "wrong password",
    "nobody": "unknown login",
    "expiring": "credential expired",
    "rotated": "wrong password",
}


def test_every_refusal_is_the_same_to_the_client_and_says_why_in_the_log(host: str) -> None:
    on(host, f"cp -p {USERS} /root/users && {PAST}")
    answers, times, begun = {}, {}, time.time()
    try:
        for name in REASONS:
            one = APPLICATIONS.get(name, Application(name, "x" * 32, {}))
            password = {"plain": f"{one.password}x", "rotated": OLD.reveal()}.get(name, one.password)
            code, text, times[name] = login(host, one.login, password)
            answers[name] = (code, text)
    finally:
        on(host, f"cp -p /root/users {USERS}")
    assert answers == dict.fromkeys(REASONS, REFUSED)
    assert min(times.values()) > 1
    assert max(times.values()) - min(times.values()) < 1.5, times
    log = logged(host, "dovecot", begun)
    for name, reason in REASONS.items():
        assert [line for line in log.splitlines() if f"({name}@shop.test,10.97.0.1" in line and reason in line], (
            name,
            log,
        )


def test_revoking_and_restoring_are_effective_at_the_next_login(host: str) -> None:
    one = APPLICATIONS["plain"]
    started = on(host, "systemctl show -p MainPID dovecot")
    on(host, f"cp -p {USERS} /root/users")
    revoked = f"sed '/^{one.login} /s/ .*/ revoked=yes/' /root/users"
    # Three changes within one second, of the same size in bytes or not: none may be missed.
    for _ in range(2):
        on(
            host,
            f"{revoked} > {USERS}.new; chown root:dovecot {USERS}.new; chmod 640 {USERS}.new; mv {USERS}.new {USERS}",
        )
        assert login(host, one.login, one.password)[0] == 535
        on(host, f"cp -p /root/users {USERS}")
        assert login(host, one.login, one.password)[0] == 235
    assert on(host, "systemctl show -p MainPID dovecot") == started


def test_who_is_shut_out_sends_nothing_more_in_an_open_session(host: str) -> None:
    one = APPLICATIONS["plain"]
    on(host, f"cp -p {SENDERS} /root/senders")
    with session(host) as client:
        assert authenticate(client, one.login, one.password)[0] == 235
        try:
            for _ in range(3):
                assert submit(client, one).code == 250
                on(host, f"sed -i '/^{one.login} /d' {SENDERS}")
                refused = submit(client, one)
                assert (refused.code, "may not send any more" in refused.text) == (554, True)
                on(host, f"cp -p /root/senders {SENDERS}")
        finally:
            on(host, f"cp -p /root/senders {SENDERS}")


def test_a_run_that_revokes_and_rotates_takes_effect_without_a_restart(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    one, other = APPLICATIONS["plain"], APPLICATIONS["here"]
    started = {host: on(host, "systemctl show -p MainPID dovecot postfix postfix@- rspamd") for host in HOSTS}
    rotated = Application(other.name, new_token().reveal(), other.more)
    rest = [a for a in APPLICATIONS.values() if a not in (one, other)]
    ended = Application(one.name, one.password, {"revoked": True})
    run = deploy(tmp_path_factory.mktemp("inventory"), [*rest, ended, rotated])
    assert run.returncode == 0, run.output
    try:
        for host in HOSTS:
            assert login(host, one.login, one.password)[0] == 535
            assert login(host, other.login, other.password)[0] == 535
            assert login(host, other.login, rotated.password)[0] == 235
            assert on(host, "systemctl show -p MainPID dovecot postfix postfix@- rspamd") == started[host]
    finally:
        assert deploy(tmp_path_factory.mktemp("inventory"), list(APPLICATIONS.values())).returncode == 0


@pytest.mark.parametrize(
    "harm",
    [f"sed -i '/^complete/d' {USERS}", f": > {USERS}", f"rm {USERS}", f"chmod 600 {USERS}"],
    ids=["cut off", "empty", "gone", "unreadable"],
)
def test_a_login_that_cannot_be_judged_is_deferred_not_refused(host: str, harm: str) -> None:
    on(host, f"cp -p {USERS} /root/users && {harm}")
    try:
        code, _, _ = login(host, shop().login, shop().password)
    finally:
        on(host, f"cp -p /root/users {USERS}")
    assert code == 454
    assert login(host, shop().login, shop().password)[0] == 235


def test_a_dead_penalty_socket_holds_nobody_up(host: str) -> None:
    dead = "import socket; socket.socket(socket.AF_UNIX).bind('/run/dovecot/anvil-auth-penalty')"
    on(host, f'systemctl stop dovecot; python3 -c "{dead}"; systemctl start dovecot')
    code, _, seconds = login(host, shop().login, shop().password)
    assert code == 235
    assert seconds < 3


def test_one_command_suspends_at_once_and_lets_in_again(host: str, tmp_path: Path) -> None:
    listed = tmp_path / "mail.yml"
    listed.write_text((ROOT / "inventories/lab/group_vars/all/mail.yml").read_text("utf-8"), "utf-8")
    order = ("playbooks/credential.yml", "--limit", f"localhost,{host}", "-e", "name=shop", "-e", f"file={listed}")
    one = shop()
    with session(host) as client:
        assert authenticate(client, one.login, one.password)[0] == 235
        assert submit(client, one).code == 250
        run = play(*order, "-e", "suspend=true")
        assert run.returncode == 0, run.output
        # The signer may have ended the session's connection meanwhile: then nothing passes either.
        refused = submit(client, one)
        assert refused.code in (451, 454, 554), refused
    try:
        assert login(host, one.login, one.password)[0] == 535
    finally:
        run = play(*order, "-e", "suspend=false")
    assert run.returncode == 0, run.output
    assert send(host, one).code == 250
