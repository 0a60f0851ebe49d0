# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Logs: whose they are, how long they last, and that no address is in them where the inventory says so."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .applications import ADDRESSES, arrived, deploy, send, shop
from .breakage import LAB, Proof
from .site import HOSTS, on, play
from .test_firewall import guess
from .transactions import Desk

# They give both hosts another inventory.
pytestmark = pytest.mark.together

POLICY = {"retention": "10d", "addresses": "hash", "readers": "maillog"}
RECIPIENT = "probe@receiver.test"
FILTER = "/etc/postseal/log.py"
RESTART = "systemctl restart postseal-log-filter"
DAY = 86400


@pytest.fixture(scope="module", autouse=True)
def service(standing_hosts: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Another policy, and then the default again, which leaves nothing of it."""
    for host in HOSTS:
        on(host, "groupadd -f maillog; useradd -MU -G maillog reader; useradd -MU -G adm,systemd-journal other")
    variables: dict[str, Any] = {
        "postseal_log": POLICY,
        "postseal_firewall": {"failures": 3, "within": "10m", "ban": "1m"},
    }
    for changed in (True, False):
        run = deploy(tmp_path_factory.mktemp("inventory"), [], **variables)
        assert run.returncode == 0, run.output
        assert all(bool(run.changed()[host]) is changed for host in HOSTS), run.output
    yield
    run = play("playbooks/services.yml")
    assert run.returncode == 0, run.output
    for host in HOSTS:
        since = now(host)
        assert arrived(send(host, shop()).token)
        assert f"to=<{RECIPIENT}>" in lines(host, since)
        on(host, "userdel reader; userdel other; groupdel maillog")


@pytest.fixture(params=HOSTS, ids=["bookworm", "trixie"])
def host(request: pytest.FixtureRequest) -> str:
    """One host of each release."""
    return str(request.param)


def now(host: str) -> float:
    """Return the host's time in seconds since 1970."""
    return float(on(host, "date +%s.%6N"))


def lines(host: str, since: float, options: str = "--namespace=postseal") -> str:
    """Return the lines of the mail service's journal since ``since``, or of another one."""
    found = on(host, f"journalctl -q --no-pager --since=@{since} {options}")
    # sudo writes down what the tests do.
    return "\n".join(line for line in found.splitlines() if " sudo[" not in line)


def logged_until(host: str, since: float, text: str) -> str:
    """Return the lines once they hold ``text``."""
    end = time.monotonic() + 20
    while text not in (found := lines(host, since)):
        assert time.monotonic() < end, found
        time.sleep(0.2)
    return found


def pseudonym(host: str, address: str) -> str:
    """Return what stands for an address, as those find out who may read the key."""
    return on(host, f"echo {address} | python3 -I {FILTER} -").strip()


def switch(host: str, addresses: str) -> None:
    """Have the filter of a host do something else, without its services knowing."""
    on(host, f"sed -i 's/^ADDRESSES = .*/ADDRESSES = \"{addresses}\"/' {FILTER}; {RESTART}")


def test_a_message_leaves_pseudonyms_in_the_log_and_addresses_nowhere(host: str) -> None:
    since = now(host)
    sent = send(host, shop(), recipients=(RECIPIENT, '"odd>one, x"@receiver.test'))
    assert sent.code == 250
    assert arrived(sent.token)
    masked = pseudonym(host, RECIPIENT)
    found = logged_until(host, since, f"to=<{masked}>, relay=")
    assert re.fullmatch(r"[0-9a-f]{16}@hashed\.invalid", masked)
    assert f"from=<{pseudonym(host, shop().login)}>, size=" in found
    assert "sasl_username=shop@shop.test" in found
    for text in (found, lines(host, since, ""), on(host, "cat /var/log/mail* /var/log/syslog 2>/dev/null || true")):
        assert "@receiver.test" not in text
        assert "odd" not in text
    assert "rspamd_task_write_log" in found or masked in lines(host, since, "--namespace=postseal -u rspamd")
    # As everybody looks for them.
    unit = "postfix@-" if host == HOSTS[0] else "postfix"
    assert masked in lines(host, since, f"--namespace=postseal -u {unit}")
    assert on(host, "stat -c '%a %U' /var/lib/postseal-log/key") == "600 root\n"


def test_who_guesses_is_banned_all_the_same() -> None:
    for host in HOSTS:
        since = now(host)
        assert guess(ADDRESSES[host], 3)[:3] == [535] * 3
        assert "banned 10.97.0.10 for 60 s" in logged_until(host, since, "banned 10.97.0.10")
        found = lines(host, since)
        assert "wrong password" in found
        on(host, "nft flush set inet postseal banned4")


def test_nothing_gets_round_a_filter_that_is_dead(host: str) -> None:
    since = now(host)
    on(
        host,
        f"cp -p {FILTER} /root/filter; echo 'raise SystemExit(1)' > {FILTER}; {RESTART}",
    )
    try:
        sent = send(host, shop())
        assert (sent.code, arrived(sent.token) is not None) == (250, True)
        both = lines(host, since) + lines(host, since, "")
        assert "status=sent" not in both
        assert RECIPIENT not in both
    finally:
        on(host, f"cp -p /root/filter {FILTER}; rm /root/filter")
    found = logged_until(host, since, "status=sent")
    assert RECIPIENT not in found + lines(host, since, "")


def test_addresses_are_dropped(host: str) -> None:
    switch(host, "drop")
    try:
        since = now(host)
        send(host, shop())
        found = logged_until(host, since, "status=sent")
        assert "to=<address@dropped.invalid>, relay=" in found
        assert RECIPIENT not in found
        assert "hashed.invalid" not in found
    finally:
        switch(host, "hash")


def test_one_group_reads(host: str) -> None:
    read = "runuser -u {} -- journalctl -q --namespace=postseal -n1 --no-pager -o cat 2>/dev/null || true"
    assert on(host, read.format("reader"))
    assert on(host, read.format("other")) == ""
    on(host, "journalctl -q --namespace=postseal --rotate")
    assert on(host, read.format("reader"))
    assert on(host, read.format("other")) == ""


def test_lines_expire(host: str) -> None:
    # The clock is this machine's, so files are made older instead: journalctl takes a file's age from its name.
    folder = "/var/log/journal/$(cat /etc/machine-id).postseal"
    # All but the one in use: journalctl goes by their order, and a younger one before these would keep them.
    on(host, "journalctl -q --namespace=postseal --rotate --vacuum-files=1")
    names = []
    for days in (9.7, 9.3):  # the tenth day has the last thirtieth of ten days in it
        since = now(host)
        assert send(host, shop()).code == 250
        logged_until(host, since, "disconnect from")
        before = set(on(host, f"ls {folder}").split())
        on(host, "journalctl -q --namespace=postseal --rotate")
        fresh = next(name for name in sorted(set(on(host, f"ls {folder}").split()) - before) if "@" in name)
        names.append(re.sub(r"[0-9a-f]{16}(?=\.journal$)", f"{int((now(host) - days * DAY) * 1e6):016x}", fresh))
        on(host, f"cd {folder}; mv {fresh} {names[-1]}")
    on(host, "systemctl start postseal-log-expire")
    left = on(host, f"ls {folder}").split()
    assert [name in left for name in names] == [False, True]
    on(host, f"rm {folder}/{names[1]}")


def test_a_group_that_is_not_there_is_refused(host: str) -> None:
    desk = Desk(host, "postseal-log")
    drop_in = "/etc/systemd/system/systemd-journald@postseal.service.d/postseal.conf"
    text = next(one["content"] for one in desk.live if one["dest"] == drop_in)
    answer = desk.apply({drop_in: "only:" + text.replace("maillog", "nobodys")})
    assert (answer.failed, answer["phase"]) == (True, "validate")
    assert "group nobodys does not exist" in answer["msg"]
    assert desk.same_as_live()


def test_the_proof_finds_addresses_in_the_log(tmp_path: Path) -> None:
    proof = Proof(tmp_path, LAB / "ca.pem", postseal_log=POLICY)
    report = proof.run()
    assert report.exit_code == 0, report.describe()
    switch(HOSTS[0], "keep")
    send(HOSTS[0], shop())
    try:
        assert proof.run().having("failed") == {("LOG-3", HOSTS[0])}
    finally:
        switch(HOSTS[0], "hash")
