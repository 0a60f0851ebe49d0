# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""TLS to other mail servers on real hosts: who keeps a promise gets mail, all else waits."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host.queue_files import in_motion
from ansible_collections.postseal.mail.plugins.plugin_utils.replies import level

from .applications import HEADERS, Outcome, arrived, copies, deploy, send, shop
from .site import HOSTS, LAB_STATE, lab, on, play

pytestmark = pytest.mark.usefixtures("standing_site")

KEPT = {"dane.tls.test": "Verified", "sts.tls.test": "Verified", "receiver.test": "Trusted"}
# Keeps what Postfix 3.10 tells whoever makes reports on TLS, of domains that ask for them (RFC 8460).
COLLECTOR = """
import os, socket
link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
link.bind("/run/collector.sock")
os.chmod("/run/collector.sock", 0o777)
got = link.recv(65536)
open("/run/collector.got", "wb").write(got)
"""
BROKEN = ("wrong.dane.tls.test", "wrong.sts.tls.test", "both.tls.test")


@pytest.fixture(scope="module")
def anchor() -> str:
    """The DS record by which tls.test is verified."""
    lines = (LAB_STATE / "anchors").read_text("ascii").splitlines()
    return next(line for line in lines if line.startswith("tls.test."))


def _resolver(anchor: str) -> dict[str, Any]:
    return {"private": {"test": ["10.97.0.4"]}, "anchors": [anchor]}


def _log(host: str, since: int) -> str:
    return on(host, f"journalctl -q --namespace=+postseal -u 'postfix*' -o short --no-pager --since=@{since}")


def _queue_id(sent: Outcome) -> str:
    found = re.search(r"queued as (\w+)", sent.text)
    assert found, sent.text
    return found[1]


def _send(host: str, domain: str, headers: str = HEADERS) -> Outcome:
    sent = send(host, shop(), headers, recipients=(f"probe@{domain}",))
    assert sent.code == 250, sent.text
    return sent


def _level(host: str, sent: Outcome, since: int, seconds: float = 10.0) -> str:
    """Return by which level of TLS a message left; Postfix writes it when the receiver has it already."""
    end = time.monotonic() + seconds
    while not (found := level(_log(host, since), _queue_id(sent))) and time.monotonic() < end:
        time.sleep(0.2)
    return found


def _waits(host: str, sent: Outcome, since: int, seconds: float = 40.0) -> str:
    """Return what Postfix says of a message that waits."""
    end = time.monotonic() + seconds
    pattern = re.compile(rf"{_queue_id(sent)}: to=<[^>]+>, .*status=deferred \((.*)\)$", re.MULTILINE)
    while not (found := pattern.search(_log(host, since))):
        assert time.monotonic() < end, f"{sent} is not deferred"
        time.sleep(0.3)
    return found[1]


@contextmanager
def _queue(*waiting: tuple[str, Outcome]) -> Iterator[None]:
    """Take what still waits out of the queues at the end."""
    try:
        yield
    finally:
        for host, sent in waiting:
            on(host, f"postsuper -d {_queue_id(sent)} >/dev/null 2>&1")


def _arrives(sent: Outcome, host: str, seconds: float = 30.0) -> None:
    """See that a message arrives, once, and the queue is asked again until it does."""
    end = time.monotonic() + seconds
    while not arrived(sent.token, 2):
        assert time.monotonic() < end, "it did not arrive"
        on(host, "postqueue -f")
    assert copies(sent.token) == 1


def _publish(owner: str, data: str) -> None:
    """Change a TLSA record of the lab's own zone."""
    knot = "knotc -s /run/knot-primary/knot.sock"
    zone = f"{knot} zone-begin tls.test; {knot} zone-unset tls.test {owner} TLSA; "
    zone += f"{knot} zone-set tls.test {owner} 5 TLSA {data}; {knot} zone-commit tls.test"
    lab("ssh", "internet", zone)


def test_who_keeps_his_promise_gets_mail_and_who_does_not_has_it_wait() -> None:
    began = int(time.time())
    good = [(host, domain, _send(host, domain)) for domain in KEPT for host in HOSTS]
    bad = [(host, domain, _send(host, domain)) for domain in BROKEN for host in HOSTS]
    # A message does not decide itself how it is protected (RFC 8689 5).
    bad += [(host, domain, _send(host, domain, f"{HEADERS}\nTLS-Required: no")) for domain in BROKEN for host in HOSTS]
    with _queue(*((host, sent) for host, _, sent in bad)):
        for host, domain, sent in good:
            found = arrived(sent.token)
            assert found, (host, domain)
            assert found[1]["tls"]
            assert _level(host, sent, began) == KEPT[domain]
        for host, domain, sent in bad:
            assert "not verified" in _waits(host, sent, began), (host, domain)
            assert not arrived(sent.token, 0)
        right = lab(
            "ssh", "internet", "knotc -s /run/knot-primary/knot.sock zone-read tls.test _25._tcp.mx TLSA"
        ).split()
        wrong = "3 1 1 " + "0" * 64
        _publish("_25._tcp.other", " ".join(right[-4:]))
        try:
            for host, domain, sent in bad:
                if domain == "wrong.dane.tls.test":
                    _arrives(sent, host)
        finally:
            _publish("_25._tcp.other", wrong)


def test_postfix_alone_asks_the_resolver_and_the_host_keeps_its_own() -> None:
    for host in HOSTS:
        assert "nameserver 10.97.0.4" in on(host, "cat /etc/resolv.conf")
        master = "$(cat /var/spool/postfix/pid/master.pid)"
        assert "nameserver 127.0.0.153" in on(host, f"nsenter -m -t {master} cat /etc/resolv.conf")
        # A Postfix that was killed leaves a file behind that it was writing.
        assert [line for line in on(host, "postfix check 2>&1").splitlines() if not in_motion(line)] == []
        # An answer that is not signed makes Postfix doubt that any ever is, and try.
        unsigned = on(host, f"nsenter -m -t {master} posttls-finger -c -l dane -L summary receiver.test 2>&1")
        assert "TLS connection established" in unsigned
        assert "DNSSEC" not in unsigned
        listening = on(host, "ss -Hlntu 'sport = 53 or sport = 8461'").split()
        assert {word for word in listening if word.endswith((":53", ":8461"))} == {"127.0.0.153:53", "127.0.0.1:8461"}


@pytest.mark.parametrize(
    ("unit", "domain"), [("unbound", "dane.tls.test"), ("postfix-mta-sts-resolver", "sts.tls.test")]
)
def test_mail_waits_while_nobody_can_be_asked(unit: str, domain: str) -> None:
    began = int(time.time())
    for host in HOSTS:
        on(host, f"systemctl stop {unit}")
    try:
        waiting = [(host, _send(host, domain)) for host in HOSTS]
        for host, sent in waiting:
            assert re.search("try again|configuration problem", _waits(host, sent, began))
    finally:
        for host in HOSTS:
            on(host, f"systemctl start {unit}")
    for host, sent in waiting:
        _arrives(sent, host)
    # However often it dies, it comes back.
    for host in HOSTS:
        on(host, f"for i in 1 2 3 4 5 6 7; do systemctl kill -s KILL {unit}; sleep 0.2; done 2>/dev/null; true")
    for host in HOSTS:
        on(host, f"timeout 20 sh -c 'until systemctl is-active -q {unit}; do sleep 0.2; done'")
        _arrives(_send(host, domain), host)


def test_the_inventory_goes_before_what_a_destination_publishes(tmp_path: Path, anchor: str) -> None:
    said: dict[str, Any] = {
        "destinations": {
            "receiver.test": {"tls": "verify", "names": [".receiver.test"]},
            "sts.tls.test": {"tls": "verify", "names": ["nobody.test"]},
            "both.tls.test": "encrypt",
        },
        "resolver": _resolver(anchor),
        "tlsrpt_socket": "/run/collector.sock",
    }
    run = deploy(tmp_path, [], postseal_outbound_tls=said)
    assert run.returncode == 0, run.output
    began = int(time.time())
    try:
        on(HOSTS[1], f"systemd-run --quiet --unit=collector python3 -c '{COLLECTOR}'")
        on(HOSTS[1], "timeout 10 sh -c 'until test -S /run/collector.sock; do sleep 0.1; done'")
        assert arrived(_send(HOSTS[1], "shop.test").token)
        on(HOSTS[1], "timeout 10 sh -c 'until test -s /run/collector.got; do sleep 0.1; done'")
        assert '"d": "shop.test"' in on(HOSTS[1], "cat /run/collector.got")
        for domain, word in (("receiver.test", "Verified"), ("both.tls.test", "Trusted")):
            for host, sent in [(host, _send(host, domain)) for host in HOSTS]:
                assert arrived(sent.token), (host, domain)
                assert _level(host, sent, began) == word
        refused = [(host, _send(host, "sts.tls.test")) for host in HOSTS]
        with _queue(*refused):
            for host, sent in refused:
                assert "not verified" in _waits(host, sent, began)
        told = play(
            "playbooks/route.yml",
            "-e",
            f"@{next(tmp_path.iterdir())}",
            "-e",
            "to=a@receiver.test",
            "-e",
            f"from={shop().login}",
        )
        assert "tls verify by postseal_outbound_tls" in " ".join(told.output.split())
    finally:
        run = play("playbooks/services.yml")
        on(HOSTS[1], "systemctl stop collector 2>/dev/null; rm -f /run/collector.*")
    assert run.returncode == 0, run.output


def test_a_resolver_that_cannot_verify_is_not_put_to_use(tmp_path: Path, anchor: str) -> None:
    host = HOSTS[1]
    wrong = _resolver(re.sub("[0-9A-Fa-f]{64}", "00" * 32, anchor))
    run = deploy(tmp_path, [], "--limit", host, postseal_outbound_tls={"resolver": wrong})
    assert run.returncode != 0
    assert "answers SERVFAIL for tls.test." in " ".join(run.output.split())
    _arrives(_send(host, "dane.tls.test"), host)
