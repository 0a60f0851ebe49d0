# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""DKIM keys rotate under mail: past name servers that lag or refuse, runs that are killed, a host that is cut off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .applications import Application, application, deployed
from .site import HOSTS, ROOT, Run, on, play
from .stream import mail

DOMAINS = ("shop1.test", "shop2.test")
PLAYBOOK = "playbooks/rotate_dkim.yml"
NOW = ("-e", "rotate=true", "-e", f"domain={','.join(DOMAINS)}")
PRIMARY, SECONDARY = "knotc -s /run/knot-primary/knot.sock", "knotc -s /run/knot-secondary/knot.sock"
# What the lab's zones let resolvers remember is over, and so is the grace below.
STALE, GRACE = 6, 12
# What a run says when a step of it begins; of the signer a play, since the same task stands in an earlier one.
STEPS = (
    "TASK [Make keys that are missing",
    "TASK [Publish every record",
    "TASK [Write down which",
    "PLAY [DKIM - sign with",
    "TASK [Retire the",
)
PROVIDER = {"type": "rfc2136", "server": "10.97.0.2"}


def said(senders: dict[str, Application]) -> dict[str, Any]:
    """Return the variables of an inventory with two more domains, whose keys are quick to rotate."""
    policy = {"rotate_every": "never", "prepublish": "1s", "grace": f"{GRACE}s"}
    tsig = {"name": "postseal", "algorithm": "hmac-sha256", "secret": "{{ lab_tsig }}"}
    domains = [{"name": name, "dkim": policy, "dmarc": {"policy": "reject"}} for name in DOMAINS]
    return {
        "postseal_submission": {"hostname": "smtp.sender.test", "queue_lifetime": "2s"},
        "postseal_dns": {"providers": {"lab": {**PROVIDER, "tsig": tsig}}, "resolvers": ["10.97.0.4"], "ttl": 5},
        "postseal_domains": [{"name": "shop.test", "dmarc": {"policy": "reject"}, "dkim": policy}, *domains],
        "postseal_credentials": [deployed(), *(one.entry() for one in senders.values())],
    }


@pytest.fixture(scope="module")
def senders() -> dict[str, Application]:
    """One application a domain."""
    return {domain: Application("app", application("app").password, {}, domain) for domain in DOMAINS}


@pytest.fixture(scope="module", autouse=True)
def inventory(
    standing_site: None, tmp_path_factory: pytest.TempPathFactory, senders: dict[str, Application]
) -> Iterator[list[str]]:
    """Both hosts and the zones as the variables above say; as the lab's inventory says afterwards."""
    file = tmp_path_factory.mktemp("rotation") / "rotation.json"
    file.write_text(json.dumps(said(senders)), "utf-8")
    arguments = ["--skip-tags", "verify", "-e", f"@{file}"]
    good(play("site.yml", *arguments))
    yield arguments
    good(play("site.yml", "--skip-tags", "verify"))


def good(run: Run) -> Run:
    """Return a run that succeeded."""
    assert run.returncode == 0, run.output
    return run


def states(host: str, domain: str) -> dict[str, str]:
    """Return selector -> state of what a host knows of a domain's keys."""
    known = json.loads(on(host, "cat /var/lib/postseal/dkim/lab.json"))
    return {key["selector"]: key["state"] for key in known["keys"] if key["domain"] == domain}


def signing(domain: str) -> set[str]:
    """Return the selectors of the keys that sign for a domain."""
    return {selector for selector, state in states(HOSTS[0], domain).items() if state == "signing"}


def count(domain: str, host: str = HOSTS[0]) -> dict[str, int]:
    """Return how many keys of a domain are in which state; those that are gone are left out."""
    found = list(states(host, domain).values())
    return {state: found.count(state) for state in found if state != "removed"}


def test_all_keys_rotate_twice_under_mail_and_nobody_notices(
    inventory: list[str], senders: dict[str, Application]
) -> None:
    first = {domain: signing(domain) for domain in DOMAINS}
    assert all(len(keys) == 2 for keys in first.values())
    with mail(senders):
        for _ in range(2):
            good(play(PLAYBOOK, *NOW, *inventory))
            assert all(count(domain).get("published") == 2 for domain in DOMAINS)
            time.sleep(STALE)
            good(play(PLAYBOOK, *inventory))
            for domain in DOMAINS:
                assert count(domain)["signing"] == 2
                assert "published" not in count(domain)
        assert all(states(HOSTS[1], domain)[one] != "signing" for domain in DOMAINS for one in first[domain])
        for _ in range(2):
            time.sleep(GRACE)
            good(play(PLAYBOOK, *inventory))
        assert all(states(HOSTS[1], domain)[one] == "removed" for domain in DOMAINS for one in first[domain])
    kept = on(HOSTS[1], f"ls /etc/postseal/dkim/{DOMAINS[0]}")
    assert not [one for one in first[DOMAINS[0]] if one in kept]
    zone = on("internet", f"{PRIMARY} zone-read {DOMAINS[0]}")
    assert [one for one in first[DOMAINS[0]] if one in zone] == []
    assert good(play(PLAYBOOK, *inventory)).changed()["localhost"] == 0


def test_a_zone_whose_server_lags_keeps_its_key_and_the_others_go_on(
    inventory: list[str], senders: dict[str, Application], tmp_path: Path
) -> None:
    with mail(senders):
        on("internet", f"{SECONDARY} zone-freeze {DOMAINS[0]}")
        try:
            for _ in range(2):
                run = play(PLAYBOOK, *NOW, "-e", "dns_wait=2", *inventory)
                assert run.returncode == 2, run.output
                assert f"{DOMAINS[0]}" in run.output
                assert "ns2.lab.test" in run.output
                time.sleep(STALE)
            assert count(DOMAINS[0])["planned"] == 2
            assert count(DOMAINS[0])["signing"] == 2
            the_status_names_the_server_that_lags(inventory, tmp_path / "status.json")
            assert "planned" not in count(DOMAINS[1])
            assert "published" not in count(DOMAINS[1])
        finally:
            on("internet", f"{SECONDARY} zone-thaw {DOMAINS[0]}")
        good(play(PLAYBOOK, *inventory))
        time.sleep(STALE)
        good(play(PLAYBOOK, *inventory))
    assert count(DOMAINS[0])["signing"] == 2
    assert "published" not in count(DOMAINS[0])


def the_status_names_the_server_that_lags(inventory: list[str], file: Path) -> None:
    run = good(play("playbooks/dkim_status.yml", "-e", f"file={file}", *inventory))
    assert run.changed() == dict.fromkeys(("localhost", *HOSTS), 0)
    found = {(key["domain"], key["state"]): key for key in json.loads(file.read_text("utf-8"))["keys"]}
    planned, signs = found[DOMAINS[0], "planned"], found[DOMAINS[0], "signing"]
    assert planned["selector"] in run.output
    assert planned["signing_hosts"] == []
    assert signs["signing_hosts"] == list(HOSTS)
    answers = {entry["server"].partition(" ")[0]: entry["answer"] for entry in planned["servers"]}
    assert answers["ns1.lab.test"] == "current"
    assert "nothing" in answers["ns2.lab.test"]
    assert {entry["answer"] for entry in signs["servers"]} == {"current"}
    assert (planned["not_before"], signs["next"]) == (None, "nothing: rotate_every is never")


def test_a_provider_that_refuses_one_zone_stops_no_other(inventory: list[str], senders: dict[str, Application]) -> None:
    dns = said(senders)["postseal_dns"]
    wrong = {**PROVIDER, "tsig": {"name": "postseal", "algorithm": "hmac-sha256", "secret": "bm90IHRoZSBrZXk="}}
    dns["providers"]["wrong"] = wrong
    dns["zones"] = {DOMAINS[0]: "wrong", "sender.test": "lab", "shop.test": "lab", DOMAINS[1]: "lab"}
    with mail(senders):
        run = play(PLAYBOOK, *NOW, *inventory, "-e", json.dumps({"postseal_dns": dns}))
        assert run.returncode == 2, run.output
        assert "wrong" in run.output
        assert count(DOMAINS[0])["planned"] == 2
        assert count(DOMAINS[1])["published"] == 2
        good(play(PLAYBOOK, *inventory))
        time.sleep(STALE)
        good(play(PLAYBOOK, *inventory))
    assert count(DOMAINS[0])["signing"] == count(DOMAINS[1])["signing"] == 2


def killed(step: str, arguments: list[str]) -> None:
    """Begin a run and kill it, with all that it has started, as soon as a step begins."""
    command = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", "inventories/lab", PLAYBOOK, *arguments]
    # A task is announced when it begins only where all are, else with the first host's result.
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "true"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        output = []
        for line in process.stdout:
            output.append(line)
            if step in line:
                break
        else:
            pytest.fail(f"{step} is never begun:\n{''.join(output)}")
        # Somewhere within what the step does.
        time.sleep(0.15)
        os.killpg(process.pid, signal.SIGKILL)


def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(
    inventory: list[str], senders: dict[str, Application]
) -> None:
    before = {domain: signing(domain) for domain in DOMAINS}
    with mail(senders):
        killed(STEPS[0], [*NOW, *inventory])
        killed(STEPS[1], [*NOW, *inventory])
        killed(STEPS[2], [*NOW, *inventory])
        time.sleep(STALE)
        good(play(PLAYBOOK, *inventory))
        assert all(signing(domain).isdisjoint(before[domain]) for domain in DOMAINS)
        before = {domain: signing(domain) for domain in DOMAINS}
        good(play(PLAYBOOK, *NOW, *inventory))
        time.sleep(STALE)
        killed(STEPS[2], inventory)
        killed(STEPS[3], inventory)
        time.sleep(1)
        killed(STEPS[4], inventory)
        good(play(PLAYBOOK, *inventory))
    for domain in DOMAINS:
        assert len(signing(domain)) == 2
        assert not signing(domain) & before[domain]
        assert states(HOSTS[0], domain) == states(HOSTS[1], domain)


def test_a_host_that_is_cut_off_in_the_switch_holds_the_old_key_back(
    inventory: list[str], senders: dict[str, Application]
) -> None:
    quick = ["-e", "ansible_timeout=3", "-e", "ansible_ssh_extra_args='-o ServerAliveInterval=1'"]
    with mail(senders, lossless=False):
        good(play(PLAYBOOK, *NOW, *inventory))
        old = signing(DOMAINS[0])
        time.sleep(STALE)
        command = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", "inventories/lab", PLAYBOOK, *inventory, *quick]
        with subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            output = ""
            try:
                for line in process.stdout:
                    output += line
                    if "PLAY [DKIM - sign" in line:
                        subprocess.run(["ip", "link", "set", "psl-sender-b", "down"], check=True)
            finally:
                subprocess.run(["ip", "link", "set", "psl-sender-b", "up"], check=True)
        assert process.returncode != 0, output
        assert f"{HOSTS[1]} may still sign with it" in " ".join(output.split()), output
        now = states(HOSTS[0], DOMAINS[0])
        assert {now[one] for one in old} == {"signing"}
        good(play(PLAYBOOK, *inventory))
        now = states(HOSTS[1], DOMAINS[0])
        assert {now[one] for one in old} == {"retiring"}


def test_a_selector_that_somebody_else_uses_is_left_to_them(inventory: list[str]) -> None:
    used = len([one for one in states(HOSTS[0], DOMAINS[0]) if one.endswith("rsa2048")])
    day = time.strftime("%Y%m%d", time.gmtime())
    name = f"lab-{day}-{used + 1}-rsa2048._domainkey"
    steps = (f"zone-begin {DOMAINS[0]}", f"zone-%s {DOMAINS[0]} {name} %s TXT %s", f"zone-commit {DOMAINS[0]}")
    zone = " && ".join(f"{PRIMARY} {step}" for step in steps)
    on("internet", zone % ("set", "5", "theirs"))
    run = play(PLAYBOOK, *NOW, *inventory)
    assert run.returncode == 2, run.output
    assert f'"theirs" stands where domain {DOMAINS[0]} wants' in " ".join(run.output.split())
    assert "theirs" in on("internet", f"{PRIMARY} zone-read {DOMAINS[0]} {name}")
    assert count(DOMAINS[0])["signing"] == 2
    assert count(DOMAINS[1])["published"] == 2
    good(play(PLAYBOOK, "-e", "cancel=true", *inventory))
    assert count(DOMAINS[0])["signing"] == count(DOMAINS[1])["signing"] == 2
    assert "theirs" in on("internet", f"{PRIMARY} zone-read {DOMAINS[0]} {name}")
    on("internet", zone % ("unset", "", ""))


@pytest.mark.parametrize("broken", ["{", '{"version": 9}'])
def test_a_state_file_that_cannot_be_read_stops_the_run_and_stays(inventory: list[str], broken: str) -> None:
    path = "/var/lib/postseal/dkim/lab.json"
    on(HOSTS[0], f"cp {path} /root/lab.json && printf %s '{broken}' > {path}")
    try:
        run = play(PLAYBOOK, *NOW, *inventory)
        assert run.returncode != 0
        assert path in run.output
        assert "Traceback" not in run.output
        assert on(HOSTS[0], f"cat {path}") == broken
    finally:
        on(HOSTS[0], f"cp /root/lab.json {path}")
