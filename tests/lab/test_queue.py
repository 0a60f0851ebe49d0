# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The queue on real hosts: what waits and why, moving it, what came back, and a host that is emptied."""

from __future__ import annotations

import json
import smtplib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.plugin_utils.replies import CODES

from .applications import Application, Outcome, application, arrived, authenticate, copies, deploy, send, session, shop
from .site import HOSTS, Run, nftables_forgets, on, play
from .smarthosts import relay, spoil, way

# They give both hosts another inventory.
pytestmark = pytest.mark.together

A, B = HOSTS
# Logs outlive the tests, so each run has a login of its own. Its mail leaves by a smarthost, all other mail directly.
NEWS = application(f"news-{token_hex(4)}", stream="marketing")
LATER = "451 4.3.0 try later"
NOWHERE = f"{token_hex(4)}@no-such-name.shop.test"
Ask = Callable[..., tuple[Run, dict[str, Any]]]


@pytest.fixture(scope="module", autouse=True)
def inventory(standing_hosts: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Both hosts send by relays; the first of them takes nothing for now."""
    folder = tmp_path_factory.mktemp("inventory")
    variables: dict[str, Any] = {
        "postseal_relays": [
            relay("primary", "relay-a", "postseal", "relay-a", 587),
            relay("backup", "relay-b", "backup", "relay-b", 465),
        ],
        "postseal_routes": [
            {"stream": "marketing", "via": ["primary"]},
            {"recipient_domain": "elsewhere.test", "via": ["backup"]},
            {"default": True, "via": ["direct"]},
        ],
    }
    run = deploy(folder, [NEWS], publish=True, **variables)
    assert run.returncode == 0, run.output
    yield next(folder.glob("[!.]*.json"))
    spoil("relay-a")
    if "drain" in on(A, "nft list tables"):  # a test has failed
        play("playbooks/drain.yml", "-e", f"mail_host={A}", "-e", "undo=true")
    # While its way is still there: without it, what waits would wait for as long as the queue keeps it.
    for host in HOSTS:
        on(host, "postsuper -H ALL 2>/dev/null; postqueue -f")
    deadline = time.monotonic() + 30
    while left := [one for host in HOSTS for one in _listed(host)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.5)


@pytest.fixture
def ask(inventory: Path, tmp_path: Path) -> Ask:
    """Run a playbook with this inventory; return what it did, and the file it wrote."""

    def run(playbook: str, *words: str, check: bool = False) -> tuple[Run, dict[str, Any]]:
        file = tmp_path / f"{token_hex(4)}.json"
        said = [part for word in (*words, f"file={file}") for part in ("-e", word)]
        done = play(f"playbooks/{playbook}.yml", "-e", f"@{inventory}", *said, *(["--check"] if check else []))
        return done, json.loads(file.read_text("utf-8")) if file.exists() else {}

    return run


def _listed(host: str, by: Application = NEWS) -> dict[str, str]:
    """Return the queue of each message of an application, by its ID."""
    said = [json.loads(line) for line in on(host, "postqueue -j").splitlines()]
    return {one["queue_id"]: one["queue_name"] for one in said if one["sender"] == by.login}


def _waiting() -> dict[str, tuple[str, Outcome]]:
    """Send a message by each host and return its ID once the smarthost has put it off."""
    spoil("relay-a", mail=LATER)
    found = {}
    for host in HOSTS:
        before = _listed(host)
        sent = send(host, NEWS)
        assert sent.code == 250
        deadline = time.monotonic() + 30
        new: dict[str, str] = {}
        while "deferred" not in new.values():
            assert time.monotonic() < deadline, new
            new = {name: queue for name, queue in _listed(host).items() if name not in before}
        found[host] = (next(iter(new)), sent)
    return found


def test_what_waits_is_told_held_and_released(ask: Ask) -> None:
    sent = _waiting()
    run, found = ask("queue", f"from={NEWS.login}")
    assert run.returncode == 0, run.output
    assert set(run.changed().values()) == {0}
    for host, (name, _) in sent.items():
        (message,) = found[host]["messages"]
        assert (message["id"], message["queue"], message["sender"]) == (name, "deferred", NEWS.login)
        assert message["destinations"] == ["receiver.test"]
        (recipient,) = message["recipients"]
        assert LATER in recipient["reason"]
        assert recipient["explanation"].startswith(CODES[451])
        # The first attempt is repeated after five minutes (minimal_backoff_time).
        assert 200 < message["next"] - found[host]["now"] <= 310
        assert 0 <= found[host]["now"] - message["arrived"] < 60
        assert f"{name} deferred, " in run.output
    ids = ",".join(name for name, _ in sent.values())
    run, _ = ask("queue", f"hold={ids}", check=True)
    assert "1 message would be held" in run.output
    assert [_listed(host)[name] for host, (name, _) in sent.items()] == ["deferred"] * 2
    run, _ = ask("queue", "hold=all", f"from={NEWS.login}", "to=@receiver.test")
    assert run.returncode == 0, run.output
    assert [run.changed()[host] for host in HOSTS] == [1, 1]
    spoil("relay-a")
    for host in HOSTS:
        on(host, "postqueue -f")
    run, _ = ask("queue", f"hold={ids}")
    assert run.returncode != 0
    assert "no host has" in run.output
    assert [_listed(host)[name] for host, (name, _) in sent.items()] == ["hold"] * 2
    run, _ = ask("queue", f"release={ids}")
    assert run.returncode == 0, run.output
    assert [way(outcome.token).relay for _, outcome in sent.values()] == ["relay-a"] * 2


def test_requeued_mail_takes_another_way_signed_and_once(ask: Ask) -> None:
    sent = _waiting()
    run, _ = ask("queue", "requeue=all", f"from={NEWS.login}", "via=nobody")
    assert "no way begins with nobody" in run.output
    run, found = ask("queue", "requeue=all", f"from={NEWS.login}", "via=backup")
    assert run.returncode == 0, run.output
    for host, (name, outcome) in sent.items():
        taken = way(outcome.token)
        assert (taken.relay, taken.login) == ("relay-b", "backup")
        assert found[host]["names"][name] not in ("", name)
        assert on(host, "grep -c ^/ /etc/postfix/routes/requeued || true").strip() == "0"
        assert on(host, "stat -c '%U %a' /etc/postfix/routes/requeued").split() == ["root", "644"]
    again = _waiting()
    ids = ",".join(name for name, _ in again.values())
    run, _ = ask("queue", f"requeue={ids}")
    assert run.returncode == 0, run.output
    # The way of the login is not remembered: what is left is that of the recipient, the sender or the default.
    assert [way(outcome.token).relay for _, outcome in again.values()] == ["", ""]
    assert [copies(outcome.token) for _, outcome in (*sent.values(), *again.values())] == [1] * 4


def test_what_cannot_be_taken_back_is_confirmed(ask: Ask) -> None:
    deleted, returned = _waiting(), _waiting()
    ids = ",".join(name for name, _ in deleted.values())
    assert "name each by its queue ID" in ask("queue", "delete=all", f"from={NEWS.login}")[0].output
    assert f"confirm={ids}" in ask("queue", f"delete={ids}", "confirm=true")[0].output
    assert "1 message would be deleted" in ask("queue", f"delete={ids}", check=True)[0].output
    assert all(name in _listed(host) for host, (name, _) in deleted.items())
    assert ask("queue", f"delete={ids}", f"confirm={ids}")[0].returncode == 0
    assert not any(name in _listed(host) for host, (name, _) in deleted.items())
    ids = ",".join(name for name, _ in returned.values())
    assert ask("queue", f"bounce={ids}", f"confirm={ids}")[0].returncode == 0
    for _, outcome in returned.values():
        found = arrived(outcome.token)
        assert found, "no bounce"
        assert (found[1]["from"], found[1]["to"], found[1]["dmarc"]) == ("<>", [NEWS.login], "pass")
    assert [copies(outcome.token) for _, outcome in (*deleted.values(), *returned.values())] == [0, 0, 1, 1]


def test_failures_are_in_one_place_and_nobody_else_hears_of_them(ask: Ask) -> None:
    own = {host: send(host, shop(), recipients=(NOWHERE,)) for host in HOSTS}
    silent = [send(host, shop(), envelope="", recipients=(NOWHERE,)) for host in HOSTS]
    expired, waiting = _waiting(), _waiting()
    for host, (name, _) in expired.items():
        on(host, f"postsuper -f {name} 2>&1; postqueue -i {name}")
    for outcome in (*own.values(), *(sent for _, sent in expired.values())):
        found = arrived(outcome.token)
        assert found, "no bounce"
        assert (found[1]["from"], found[1]["dmarc"]) == ("<>", "pass")
    run, failures = ask("failures", "since=10m", "limit=1000")
    assert run.returncode == 0, run.output
    for host in HOSTS:
        refused = [one for one in failures[host]["returned"] if one["recipient"] == NOWHERE]
        assert {(one["sender"], one["status"], one["code"]) for one in refused} == {
            (shop().login, "bounced", "5.4.4"),
            ("", "bounced", "5.4.4"),
        }
        assert {one["login"] for one in refused} == {shop().login}
        assert {one["explanation"] for one in refused} == {"the domain, or the server it names, does not exist"}
        (given_up,) = [one for one in failures[host]["returned"] if one["id"] == expired[host][0]]
        assert (given_up["sender"], given_up["status"]) == (NEWS.login, "force-expired")
        assert LATER in given_up["reason"]
        assert waiting[host][0] in [message["id"] for message in failures[host]["queue"]["messages"]]
    assert f"{shop().login} to {NOWHERE}: refused for good" in " ".join(run.output.split())
    # What has no sender is never answered, so no failure becomes another one.
    assert [copies(outcome.token) for outcome in silent] == [0, 0]


def test_a_host_is_emptied_while_the_other_goes_on(ask: Ask) -> None:
    on(A, "postsuper -d ALL 2>&1")
    sent = _waiting()
    here = (f"mail_host={A}", "wait=4s")
    run, _ = ask("drain", *here, check=True)
    assert f"{A} would take no new submissions; others do: {B}" in run.output
    assert send(A, shop()).code == 250
    with session(A) as client:
        assert authenticate(client, NEWS.login, NEWS.password)[0] == 235
        run, _ = ask("drain", *here)
        assert run.returncode != 0
        with pytest.raises((OSError, smtplib.SMTPException)):
            client.noop()
    told = " ".join(run.output.split())
    assert f"{A} takes no submissions, and this is left" in told
    assert sent[A][0] in told
    assert f"-e requeue={sent[A][0]}" in told
    for port in (465, 587):
        with pytest.raises(ConnectionRefusedError), session(A, port):
            pass
    assert way(send(B, shop()).token).relay == ""
    run, _ = ask("drain", f"mail_host={B}", "wait=4s")
    assert "no other mail host that answers takes submissions" in run.output
    # It lasts, whatever becomes of the host's own rules.
    on(A, "systemctl is-enabled postseal-drain")
    for act in ("restart", "reload"):
        nftables_forgets(A, act, "postseal_drain")
    with pytest.raises(ConnectionRefusedError), session(A):
        pass
    run, found = ask("queue", "limit=0")
    assert found[A]["closed"]
    assert found[B]["closed"] is None
    spoil("relay-a")
    run, _ = ask("drain", f"mail_host={A}", "wait=30s")
    assert run.returncode == 0, run.output
    assert f"{A} takes no submissions, and nothing is left on it" in run.output
    assert way(sent[A][1].token).relay == "relay-a"


def test_a_drained_host_is_deployed_and_taken_back_without_a_trace(ask: Ask) -> None:
    run, _ = ask("services")
    assert run.returncode == 0, run.output
    with pytest.raises(ConnectionRefusedError), session(A):
        pass
    run, _ = ask("drain", f"mail_host={A}", "undo=true")
    assert run.returncode == 0, run.output
    assert way(send(A, shop()).token).relay == ""
    assert on(A, "find /etc/postseal /etc/systemd -name '*drain*'; nft list tables | grep drain; true") == ""
    run, _ = ask("drain", f"mail_host={A}", "undo=true")
    assert run.changed()[A] == 0
