# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""How much a login may send, counted for both hosts in one place; mail waits when nothing can be counted."""

from __future__ import annotations

import time
from pathlib import Path
from secrets import token_hex

import pytest

from .applications import application, arrived, deploy, deployed, send
from .breakage import LAB, Proof
from .site import HOSTS, on

# They give both hosts another inventory.
pytestmark = pytest.mark.together

A, B = HOSTS
# Counters outlive the tests, so each run has logins of its own, and periods that hardly end while it runs.
NAMES = ("shared", "restarted", "crowd", "minute", "frozen", "stopped")
RUN = token_hex(4)
LIMITED = {
    **{name: application(f"{name}-{RUN}", rate={"messages": "3/d"}) for name in NAMES},
    "crowd": application(f"crowd-{RUN}", rate={"recipients": "5/d"}),
    "minute": application(f"minute-{RUN}", rate={"messages": ["2/m", "100/d"]}),
    # What a frozen server was asked it still counts when it wakes up, though the mail was deferred.
    "frozen": application(f"frozen-{RUN}", rate={"messages": "10/d"}),
    "proved": application(f"proved-{RUN}", rate={"recipients": "5/d"}),
    "free": application(f"free-{RUN}"),
}
STORE = token_hex(24)
LIMITS = {"store": {"host": A, "password": STORE}}


@pytest.fixture(scope="module", autouse=True)
def service(standing_hosts: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The first host counts for both."""
    run = deploy(tmp_path_factory.mktemp("inventory"), list(LIMITED.values()), "-vvv", "--diff", postseal_limits=LIMITS)
    assert run.returncode == 0, run.output
    assert STORE not in run.output
    again = deploy(tmp_path_factory.mktemp("inventory"), list(LIMITED.values()), postseal_limits=LIMITS)
    assert again.changed() == {"localhost": 0, **dict.fromkeys(HOSTS, 0)}


def test_the_limit_is_one_for_both_hosts_and_others_are_unaffected() -> None:
    one = LIMITED["shared"]
    assert [send(host, one).code for host in (A, B, A)] == [250, 250, 250]
    for host in HOSTS:
        refused = send(host, one)
        assert (refused.code, refused.text) == (451, f"4.7.1 Message limit of {one.login} reached: 3 a day")
        assert send(host, LIMITED["free"]).code == 250


def test_one_message_with_many_recipients_does_not_pass() -> None:
    one = LIMITED["crowd"]
    many = tuple(f"probe{number}@receiver.test" for number in range(6))
    refused = send(A, one, recipients=many)
    assert (refused.code, refused.text) == (451, f"4.7.1 Recipient limit of {one.login} reached: 5 a day")
    assert send(B, one, recipients=many[:5]).code == 250
    assert send(A, one, recipients=many[:1]).code == 451


def test_what_is_refused_is_not_counted() -> None:
    one = LIMITED["minute"]
    for _ in range(3):
        assert send(A, one, "From: ceo@bank.test").code == 554
    while time.time() % 60 > 45:
        time.sleep(1)
    assert [send(host, one).code for host in (A, B, A)] == [250, 250, 451]
    time.sleep(61 - time.time() % 60)
    assert send(A, one).code == 250


def test_counters_survive_a_restart_and_a_crash() -> None:
    one = LIMITED["restarted"]
    assert [send(A, one).code for _ in range(3)] == [250, 250, 250]
    time.sleep(1.5)  # appendfsync everysec
    on(A, "systemctl kill -s KILL redis-server; sleep 2; systemctl is-active redis-server")
    assert send(B, one).code == 451
    on(A, "systemctl restart redis-server rspamd")
    deadline = time.monotonic() + 20
    while send(A, one).code == 454 and time.monotonic() < deadline:
        time.sleep(0.5)  # the signer is not there yet
    assert "limit of" in send(A, one).text


@pytest.mark.parametrize(
    ("name", "harm", "mend"),
    [
        ("stopped", "systemctl stop redis-server", "systemctl start redis-server"),
        ("frozen", "systemctl kill -s STOP redis-server", "systemctl kill -s CONT redis-server"),
    ],
)
def test_mail_waits_while_nothing_can_be_counted(name: str, harm: str, mend: str) -> None:
    one = LIMITED[name]
    assert send(B, one).code == 250
    on(A, harm)
    try:
        for host in HOSTS:
            refused = send(host, one)
            assert (refused.code, refused.text.split(",")[0]) == (451, "4.7.1 Sending limits cannot be checked now")
            assert send(host, LIMITED["free"]).code == 250
    finally:
        on(A, mend)
    deadline = time.monotonic() + 15
    while (outcome := send(A, one)).code != 250 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert outcome.code == 250
    assert arrived(outcome.token)


@pytest.mark.parametrize("harm", ["sed -i '/^complete/d'", "sed -i 's#m:10/86400#m:ten#'", "sed -i '/^frozen-/d'"])
def test_limits_that_cannot_be_read_stop_the_mail(harm: str) -> None:
    path = "/etc/rspamd/maps/limits.map"
    on(B, f"cp -p {path} /root/map; {harm} {path}; sleep 3")
    try:
        assert send(B, LIMITED["frozen"]).code == 451
    finally:
        on(B, f"cp /root/map {path}; sleep 3")


def test_the_proof_sees_whether_a_limit_holds(tmp_path: Path) -> None:
    one = LIMITED["proved"]
    proof = Proof(
        tmp_path,
        LAB / "ca.pem",
        postseal_limits=LIMITS,
        postseal_credentials=[deployed(), *(other.entry() for other in LIMITED.values())],
        postseal_probe={
            "credential": one.login,
            "secret": one.password,
            "recipient": "probe@receiver.test",
            "mailbox": str(LAB / "mail"),
        },
    )
    only = ("-k", "test_recipients_of_a_period")
    assert {check for check, _ in proof.run(None, *only).having("passed")} == {"LIM-5"}
    path = "/etc/rspamd/maps/limits.map"
    on(B, f"cp -p {path} /root/map; sed -i -E 's#^({one.login}) .*#\\1 unlimited#' {path}; sleep 3")
    try:
        found = proof.run(None, *only)
    finally:
        on(B, f"cp /root/map {path}; sleep 3")
    assert {(check, target.split()[0]) for check, target in found.having("failed")} == {("LIM-5", B)}, found.describe()


def test_the_store_knows_its_password_and_does_little_else() -> None:
    def bash(words: str) -> str:
        return on(B, f'bash -c "exec 3<>/dev/tcp/10.97.0.21/6379; printf \\"{words}\\" >&3; timeout 1 cat <&3 || true"')

    assert "NOAUTH" in bash(r"PING\r\n")
    known = rf"AUTH default {STORE}\r\n"
    assert "+PONG" in bash(rf"{known}PING\r\n")
    for command in ("CONFIG GET dir", "FLUSHALL", "GET other", "SET postseal:x 1", "KEYS *"):
        assert "NOPERM" in bash(rf"{known}{command}\r\n"), command


def test_the_password_is_in_two_files_that_are_not_for_everybody() -> None:
    for host in HOSTS:
        wanted = ["640 root _rspamd /etc/rspamd/postseal_limits.conf"]
        if host == A:
            wanted.insert(0, "640 root redis /etc/redis/postseal.conf")
        found = on(
            host, f"grep -rlF {STORE} /etc /var/lib/postseal /run/postseal | xargs stat -c '%a %U %G %n' | sort -k4"
        )
        assert found.splitlines() == wanted
        # The search itself is in the journal where sudo writes its commands down.
        assert not [
            line
            for line in on(host, "journalctl -q --namespace=+postseal --no-pager -o cat").splitlines()
            if STORE in line and "COMMAND" not in line and "grep" not in line and "AUTH" not in line
        ]
