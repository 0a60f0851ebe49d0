# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Who guesses is kept out for a while, who proves or deploys is not, and nobody can lock the operator out."""

from __future__ import annotations

import json
import time

import pytest

from .applications import ADDRESSES, deploy, login, shop
from .site import HOSTS, lab_with_input, nftables_forgets, on, play
from .transactions import FILES, Desk

# They give both hosts another inventory.
pytestmark = pytest.mark.together

# A host that is none of ours guesses; this machine deploys, and is never banned.
GUESSER = "receiver.receiver.test"
BAN = 60
BANNED: list[float] = []  # when the guesser was banned
GUESS = """
import base64, json, smtplib, socket, ssl, sys
address, port, count, password, source = json.loads(sys.stdin.read())
def session():
    context = ssl._create_unverified_context()
    link = smtplib.SMTP_SSL(address, port, "x.test", timeout=6, context=context, source_address=(source, 0))
    link.ehlo()
    return link
codes = []
try:
    for number in range(count):
        token = base64.b64encode(b"\\0shop@shop.test\\0" + password.encode()).decode()
        codes.append(session().docmd("AUTH", "PLAIN " + token)[0])
    codes.append(session().noop()[0])
except OSError as problem:
    codes.append(type(problem).__name__)
print(json.dumps(codes))
"""
REACH = """
import socket, sys
for port in sys.argv[2:]:
    try:
        socket.create_connection((sys.argv[1], int(port)), 2).close()
        print("open")
    except ConnectionRefusedError:
        print("closed")
    except OSError:
        print("silent")
"""


@pytest.fixture(scope="module", autouse=True)
def service(standing_hosts: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Three failures in ten minutes ban for one."""
    firewall = {"failures": 3, "within": "10m", "ban": "1m"}
    run = deploy(tmp_path_factory.mktemp("inventory"), [], postseal_firewall=firewall)
    assert run.returncode == 0, run.output


def guess(address: str, count: int, tried: str = "wrong", source: str = "10.97.0.10") -> list[int | str]:
    """Log in COUNT times from the guesser with a wrong password, then say NOOP; return the replies up to a failure."""
    asked = json.dumps([address, 465, count, tried, source])
    on(GUESSER, f"cat > /root/guess.py <<'END'\n{GUESS}\nEND")
    found: list[int | str] = json.loads(lab_with_input(asked, "ssh", "receiver", "python3 /root/guess.py"))
    return found


def reach(address: str, *ports: int) -> list[str]:
    """Return for each port whether it is open, closed or silent to the guesser."""
    on(GUESSER, f"cat > /root/reach.py <<'END'\n{REACH}\nEND")
    return on(GUESSER, f"python3 /root/reach.py {address} {' '.join(map(str, ports))}").split()


def test_what_the_proof_tries_bans_nobody(host: str) -> None:
    assert guess(ADDRESSES[host], 4, "postseal-wrong-x") == [535] * 4 + [250]


def test_who_deploys_is_never_banned(host: str) -> None:
    assert [login(host, shop().login, "wrong")[0] for _ in range(4)] == [535] * 4
    assert login(host, shop().login, shop().password)[0] == 235


def test_who_guesses_is_kept_from_mail_for_a_while() -> None:
    for host in HOSTS:
        assert guess(ADDRESSES[host], 3)[:3] == [535] * 3
        assert reach(ADDRESSES[host], 465, 587, 22, 80, 25) == ["silent", "silent", "open", "open", "closed"]
        assert login(host, shop().login, shop().password)[0] == 235
        assert "10.97.0.10" in on(host, "nft list set inet postseal banned4")
        # Loading the rules again forgets nobody.
        on(host, "systemctl reload postseal-firewall; systemctl restart postseal-guard")
        assert reach(ADDRESSES[host], 465) == ["silent"]
    BANNED.append(time.monotonic())


def test_ipv6_is_banned_by_network(host: str) -> None:
    address = {"10.97.0.21": "fd97::21", "10.97.0.22": "fd97::22"}[ADDRESSES[host]]
    try:
        assert guess(address, 3, source="fd97::10")[:3] == [535] * 3
        assert reach(address, 465, 22) == ["silent", "open"]
        assert "fd97:: " in on(host, "nft list set inet postseal banned6")
    finally:
        on(host, "nft flush set inet postseal banned6")


def test_other_ports_are_silent(host: str) -> None:
    on(host, "systemd-run --quiet --collect --unit=stray python3 -m http.server 8080; sleep 1")
    try:
        assert reach(ADDRESSES[host], 8080, 6379, 22) == ["silent", "silent", "open"]
    finally:
        on(host, "systemctl stop stray")


def test_a_ban_ends_by_itself() -> None:
    # Other tests ran meanwhile.
    time.sleep(max(0, BANNED[0] + BAN + 1 - time.monotonic()))
    for host in HOSTS:
        assert guess(ADDRESSES[host], 0) == [250]


FILES["postseal-firewall"] = (
    "/etc/postseal/firewall.nft",
    "/etc/postseal/guard.py",
    "/etc/systemd/system/postseal-firewall.service",
    "/etc/systemd/system/postseal-guard.service",
)
RULES = "/etc/postseal/firewall.nft"


def _with_rules(desk: Desk, before: str, after: str) -> dict[str, str]:
    text = next(one["content"] for one in desk.live if one["dest"] == RULES)
    assert before in text
    return {RULES: f"only:{text.replace(before, after)}"}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("tcp dport { 22 } accept", "tcp dport { 2222 } accept", "would lock out SSH, which came in by port 22"),
        ("tcp dport { 22 } accept", "tcp dport { 22 } ip saddr 192.0.2.1 accept", "would lock out SSH"),
        ("counter drop\n  }", "counter dorp\n  }", "syntax error"),
    ],
)
def test_rules_that_lock_out_or_do_not_load_are_refused(host: str, before: str, after: str, said: str) -> None:
    desk = Desk(host, "postseal-firewall")
    answer = desk.apply(_with_rules(desk, before, after))
    assert (answer.failed, answer["phase"], said in answer["msg"]) == (True, "validate", True), answer.result
    assert desk.same_as_live()


def test_a_change_nobody_comes_back_from_is_undone_by_the_host() -> None:
    for host in HOSTS:
        desk = Desk(host, "postseal-firewall")
        # As the action would, except that it never comes back.
        answer = desk.apply(_with_rules(desk, "ct state invalid drop", "ct state invalid counter drop"))
        assert not answer.failed, answer.result
        assert "postseal-firewall-undo" in on(host, "systemctl list-timers --all --no-pager")
        # That a timer elapses is systemd's business.
        assert "OnActiveUSec=1min" in on(host, "systemctl show -P TimersMonotonic postseal-firewall-undo.timer")
        on(host, "systemctl start --wait postseal-firewall-undo.service")
        assert "postseal" not in on(host, "nft list tables")
        assert on(host, "systemctl is-enabled postseal-firewall || true").strip() == "disabled"
    run = play("playbooks/services.yml")
    assert run.returncode == 0, run.output
    for host in HOSTS:
        assert "postseal" in on(host, "nft list tables")
        assert "postseal-firewall-undo" not in on(host, "systemctl list-timers --all --no-pager")


def test_a_firewall_that_is_declined_is_taken_away_and_comes_back() -> None:
    declined = ("-e", '{"postseal_firewall": {"enabled": false}}')
    before = on(HOSTS[0], "nft list tables")
    looked = play("playbooks/services.yml", "--check", "--diff", *declined)
    assert (looked.returncode, looked.changed()) == (0, dict.fromkeys(HOSTS, 1)), looked.output
    assert "- postseal-firewall: table inet postseal" in looked.output
    assert on(HOSTS[0], "nft list tables") == before
    run = play("playbooks/services.yml", *declined)
    assert (run.returncode, run.changed()) == (0, dict.fromkeys(HOSTS, 1)), run.output
    for host in HOSTS:
        assert "postseal" not in on(host, "nft list tables")
        left = (
            "ls -d /etc/postseal/*.nft /etc/postseal/guard.py /etc/systemd/system/*postseal-guard* 2>/dev/null || true"
        )
        assert on(host, left) == ""
        assert on(host, "systemctl is-active postseal-firewall postseal-guard || true").split() == ["inactive"] * 2
    assert not any(play("playbooks/services.yml", *declined).changed().values())
    back = play("playbooks/services.yml")
    assert (back.returncode, back.changed()) == (0, dict.fromkeys(HOSTS, 1)), back.output
    for host in HOSTS:
        assert "postseal" in on(host, "nft list tables")
        # The host's own rules begin with "flush ruleset".
        for act in ("restart", "reload"):
            nftables_forgets(host, act, "postseal")
        on(host, "systemctl stop nftables; systemctl start postseal-firewall")
