# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Who suddenly sends far more than ever, or much that bounces, is suspended on all hosts until somebody lifts it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
import yaml

from .applications import Application, Outcome, application, arrived, deploy, deployed, logged, send, shop
from .site import HOSTS, ROOT, on, play

# They give both hosts another inventory.
pytestmark = pytest.mark.together

A, B = HOSTS
# What the store knows outlives the tests, so each run has logins of its own.
RUN = token_hex(4)
APPLICATIONS = {name: application(f"{name}-{RUN}") for name in ("crowd", "growing", "bouncing", "few", "commanded")}
CROWD = tuple(f"probe{number}@receiver.test" for number in range(40))
PASSWORD = token_hex(24)
VARIABLES: dict[str, Any] = {
    "postseal_limits": {"store": {"host": A, "password": PASSWORD}},
    "postseal_containment": {
        "spike": {"factor": 3, "at_least": 40},
        "bounces": {"percent": 30, "at_least": 3},
        "notify": ["operator@receiver.test"],
    },
}
PROGRAM = "python3 /etc/postseal/containment.py"
WATCH = "postseal-containment"


@pytest.fixture(scope="module", autouse=True)
def service(standing_hosts: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Both hosts contain."""
    run = deploy(tmp_path_factory.mktemp("inventory"), list(APPLICATIONS.values()), "--diff", **VARIABLES)
    assert run.returncode == 0, run.output
    assert PASSWORD not in run.output


def _listed() -> list[dict[str, Any]]:
    return [deployed(), *(one.entry() for one in APPLICATIONS.values())]


def _suspended(outcome: Outcome, one: Application, why: str) -> bool:
    return (outcome.code, outcome.text) == (451, f"4.7.1 {one.login} is suspended: {why}")


def _eventually(host: str, one: Application, code: int) -> Outcome:
    deadline = time.monotonic() + 30
    while (outcome := send(host, one)).code != code and time.monotonic() < deadline:
        time.sleep(0.5)
    return outcome


def test_a_first_spike_suspends_on_all_hosts_and_somebody_is_told() -> None:
    one, begun = APPLICATIONS["crowd"], time.time()
    assert send(A, one).code == 250
    why = "41 recipients in an hour, at most 0 before"
    assert _suspended(send(A, one, recipients=CROWD), one, why)
    for host in HOSTS:
        assert _suspended(send(host, one), one, why)
        assert send(host, APPLICATIONS["few"]).code == 250
        assert send(host, shop()).code == 250
        assert f"{one.login} is suspended since " in on(host, PROGRAM)
    assert f"containment: suspended login {one.login}: {why}" in logged(A, "rspamd", begun)
    found = arrived(f"{one.login} is suspended")
    assert found
    assert b"To: operator@receiver.test" in found[0]
    assert b"DKIM-Signature" in found[0]


def test_a_suspension_survives_restarts_and_fails_closed() -> None:
    one = APPLICATIONS["crowd"]
    time.sleep(1.5)  # appendfsync everysec
    on(A, "systemctl kill -s KILL redis-server; sleep 2; systemctl is-active redis-server")
    on(A, f"systemctl restart redis-server rspamd {WATCH}")
    assert "is suspended" in _eventually(A, one, 451).text
    assert "is suspended" in send(B, one).text
    on(A, "systemctl stop redis-server")
    try:
        for host in HOSTS:
            assert "cannot be checked now" in send(host, APPLICATIONS["few"]).text
    finally:
        on(A, "systemctl start redis-server")
    assert _eventually(B, APPLICATIONS["few"], 250).code == 250


def test_what_a_login_ever_did_is_what_it_is_measured_against() -> None:
    one = APPLICATIONS["growing"]
    hour = int(time.time()) // 3600
    # Twenty in an hour long ago: less than sixty are nothing new.
    on(A, f"redis-cli --no-auth-warning -a {PASSWORD} HSET postseal:login:{one.login} "
          f"hour {hour - 5000} count 20 busiest 2")  # fmt: skip
    assert send(A, one, recipients=CROWD).code == 250
    assert send(B, one, recipients=CROWD[:19]).code == 250
    assert _suspended(send(B, one), one, "60 recipients in an hour, at most 20 before")


def _bounce(host: str, number: int) -> None:
    one = APPLICATIONS["bouncing"]
    for _ in range(number):
        assert send(host, one, recipients=("nobody@no-such-name.shop.test",)).code == 250


def _counted(number: int) -> None:
    """Wait until that many bounces are counted, on whichever host."""
    key = f"postseal:day:{APPLICATIONS['bouncing'].login}:{int(time.time()) // 86400}"
    deadline = time.monotonic() + 30
    while on(A, f"redis-cli --no-auth-warning -a {PASSWORD} HGET {key} bounced").strip() != str(number):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_many_bounces_suspend_each_counted_once() -> None:
    one, begun = APPLICATIONS["bouncing"], time.time()
    assert send(A, one).code == 250
    _bounce(A, 2)
    _counted(2)
    # Another beginning reads the same lines again, and counts none of them twice.
    on(A, f"systemctl restart {WATCH}")
    assert send(A, one).code == 250
    _bounce(B, 1)
    _counted(3)
    outcome = send(B, one)
    assert _suspended(outcome, one, "3 of 5 recipients of a day bounced"), outcome
    assert send(A, one).text == outcome.text
    assert arrived(f"{one.login} is suspended")
    assert f"suspended login {one.login}: 3 of 5" in logged(B, WATCH, begun)


def test_one_command_lifts_it(tmp_path: Path) -> None:
    one = APPLICATIONS["commanded"]
    assert send(A, one, recipients=CROWD).code == 451
    known, more = tmp_path / "credentials.yml", tmp_path / "more.json"
    listed = {"postseal_credentials": _listed()}
    known.write_text(yaml.safe_dump(listed), "utf-8")
    more.write_text(json.dumps({**VARIABLES, **listed}), "utf-8")
    order = ("playbooks/credential.yml", "-e", f"@{more}", "-e", f"file={known}", "-e", f"name={one.name}")
    looked = play(*order, "-e", "suspend=false", "--check")
    assert looked.returncode == 0, looked.output
    assert f"{one.login} is suspended since" in looked.output
    assert send(B, one).code == 451
    run = play(*order, "-e", "suspend=false")
    assert run.returncode == 0, run.output
    assert f"{one.login} was suspended since" in run.output
    for host in HOSTS:
        assert send(host, one).code == 250
    # What it did counts as usual from now on.
    assert send(A, one, recipients=CROWD).code == 250


def test_the_proof_says_who_is_suspended_and_whether_anybody_watches(tmp_path: Path) -> None:
    more = tmp_path / "more.json"
    more.write_text(json.dumps({**VARIABLES, "postseal_credentials": _listed()}), "utf-8")
    on(A, f"systemctl stop {WATCH}")
    try:
        run = play("playbooks/verify.yml", "-e", f"@{more}")
    finally:
        on(A, f"systemctl start {WATCH}")
    report = json.loads((ROOT / "report/verify.json").read_text("utf-8"))
    failed = {(one["id"], one["target"]): one["observed"] for one in report["results"] if one["status"] == "failed"}
    wanted = {("CONTAIN-1", A), ("CONTAIN-2", A), ("CONTAIN-2", B)}
    assert {(check, target.split()[0]) for check, target in failed} == wanted, run.output
    assert f"{WATCH} does not run" in failed["CONTAIN-1", A]
    assert f"{APPLICATIONS['crowd'].login} is suspended since" in failed["CONTAIN-2", B]


def test_taken_out_of_the_inventory_nothing_is_left_of_it() -> None:
    looked = play("playbooks/services.yml", "--check", "--diff")
    assert looked.returncode == 0, looked.output
    assert f"- {WATCH}: stopped" in looked.output
    assert "- redis-server: stopped" in looked.output
    run = play("playbooks/services.yml")
    assert run.returncode == 0, run.output
    for host in HOSTS:
        # One call each: is-enabled ends at the first unit that is not there.
        asked = [f"systemctl {verb} {unit}" for unit in (WATCH, "redis-server") for verb in ("is-active", "is-enabled")]
        states = on(host, "; ".join([*asked, "true"]))
        assert not {"active", "enabled"} & set(states.split())
        assert "6379" not in on(host, "ss -Hltn")
        assert on(host, "ls /etc/postseal/containment.* /etc/redis/postseal.conf 2>/dev/null; true") == ""
    assert not any(play("playbooks/services.yml").changed().values())


def test_a_store_that_is_somebody_elses_is_left_alone() -> None:
    on(A, "systemctl start redis-server")
    try:
        run = play("playbooks/services.yml", "--limit", A)
        assert (run.returncode, run.changed()) == (0, {A: 0}), run.output
        assert on(A, "systemctl is-active redis-server").strip() == "active"
    finally:
        on(A, "systemctl stop redis-server")
