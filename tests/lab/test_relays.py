# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ways out on real hosts: who takes over when a relay is out of order, with which credential, and never in clear."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import pytest

from .applications import Application, application, arrived, authenticate, copies, send, session, shop, submit
from .site import HOSTS, LAB_STATE, Run, lab, on, play
from .smarthosts import SECRETS, relay, spoil, way

NEWS = application("news", stream="marketing")
TRIO = application("trio")
PAIR = application("pair", senders=["pair@shop.test"])
LARGEST = 1024 * 1024


def _inventory() -> dict[str, Any]:
    known = {
        "name": "shop",
        "domain": "shop.test",
        "secret_hash": (LAB_STATE / "secrets/shop.hash").read_text().strip(),
    }
    return {
        "postseal_submission": {"hostname": "smtp.sender.test", "limits": {"message_size": LARGEST}},
        "postseal_credentials": [known, NEWS.entry(), TRIO.entry(), PAIR.entry()],
        "postseal_relays": [
            relay("primary", "relay-a", "postseal", "relay-a", 587),
            relay("backup", "relay-b", "backup", "relay-b", 465),
            relay("second", "relay-b", "backup", "relay-b", 587),
            relay("news", "relay-a", "news", "relay-a-news", 587),
        ],
        "postseal_routes": [
            {"stream": "marketing", "via": ["news"]},
            {"sender": PAIR.login, "via": ["primary", "second"]},
            {"credential": "trio", "via": ["primary", "backup", "direct"]},
            {"recipient_domain": "receiver.receiver.test", "via": ["direct"]},
            {"default": True, "via": ["primary", "backup"]},
        ],
    }


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file that says it all."""
    file = tmp_path_factory.mktemp("inventory") / "relays.json"
    file.write_text(json.dumps(_inventory()), "utf-8")
    return str(file)


@pytest.fixture(scope="module", autouse=True)
def deployed(standing_site: None, inventory: str) -> Iterator[Run]:
    """Both hosts send by relays, and SPF says so."""
    steps = [f"playbooks/{step}.yml" for step in ("preflight", "keys", "dns", "services")]
    run = play(*steps, "-e", f"@{inventory}", "-vvv", "--diff")
    assert run.returncode == 0, run.output
    yield run
    spoil("relay-a")
    spoil("relay-b")
    run = play(*steps[1:])
    assert run.returncode == 0, run.output


def _ways(*by: Application, **how: Any) -> list[tuple[str, str]]:
    """Send a message of each application by each host; return which smarthost took it, by which login."""
    sent = [send(host, one, **how) for one in by or (shop(),) for host in HOSTS]
    assert {outcome.code for outcome in sent} == {250}
    return [(found.relay, found.login) for found in (way(outcome.token) for outcome in sent)]


FAULTS: dict[str, dict[str, Any]] = {
    "answers 421": {"mail": "421 4.3.2 try later"},
    "hangs once it has let in": {"mail": "250 2.1.0 OK", "after": 600},
    "knows the login no more": {"logins": {"postseal": "another"}},
    "has another's certificate": {"certificate": "/etc/lab/relay-b.crt", "key": "/etc/lab/relay-b.key"},
    "has an expired certificate": {"certificate": "/etc/lab/relay-a-expired.crt"},
    "strips STARTTLS": {"starttls": False},
    "offers no login": {"auth": False},
}


def test_the_first_relay_takes_the_mail() -> None:
    assert _ways() == [("relay-a", "postseal")] * 2


def test_two_credentials_at_one_host_are_kept_apart() -> None:
    assert _ways(NEWS) == [("relay-a", "news")] * 2
    assert _ways() == [("relay-a", "postseal")] * 2


def test_a_recipient_domain_has_its_own_way() -> None:
    assert _ways(recipients=("probe@receiver.receiver.test",)) == [("", "")] * 2


@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_relay_takes_over_with_its_own_credential(fault: str) -> None:
    began = int(time.time())
    spoil("relay-a", **FAULTS[fault])
    try:
        assert _ways(shop(), PAIR) == [("relay-b", "backup")] * 4
    finally:
        spoil("relay-a")
    assert "IN CLEAR" not in lab("logs", "receiver", "-u", "lab-relay-a", f"--since=@{began}")
    assert _ways() == [("relay-a", "postseal")] * 2, "it is back, so it is first again"


@pytest.mark.parametrize("harm", ["systemctl stop lab-relay-a", "systemctl kill -s STOP lab-relay-a"])
def test_the_next_relay_takes_over_from_one_that_is_gone_or_hangs(harm: str) -> None:
    lab("ssh", "receiver", harm)
    try:
        assert _ways(shop(), PAIR) == [("relay-b", "backup")] * 4
    finally:
        spoil("relay-a")
    assert _ways() == [("relay-a", "postseal")] * 2


def test_without_any_relay_mail_waits_or_goes_directly_where_the_route_says_so() -> None:
    spoil("relay-a", starttls=False)
    spoil("relay-b", mail="451 4.3.0 try later")
    try:
        waiting = [send(host, shop()) for host in HOSTS]
        assert _ways(TRIO) == [("", "")] * 2
        assert [arrived(outcome.token, 3) for outcome in waiting] == [None, None]
    finally:
        spoil("relay-a")
        spoil("relay-b")
    for host in HOSTS:
        on(host, "postqueue -f")
    # It was handed over, so it stays with the relay it waits for.
    assert [way(outcome.token).relay for outcome in waiting] == ["relay-b", "relay-b"]
    assert [copies(outcome.token) for outcome in waiting] == [1, 1]


def test_the_last_relay_is_trusted_no_more_than_the_first() -> None:
    began = int(time.time())
    lab("ssh", "receiver", "systemctl stop lab-relay-a")
    spoil("relay-b", certificate="/etc/lab/relay-a.crt", key="/etc/lab/relay-a.key")
    try:
        waiting = [send(host, one) for host in HOSTS for one in (shop(), PAIR)]
        assert [arrived(outcome.token, 3) for outcome in waiting] == [None] * 4
        for host in HOSTS:
            told = on(host, f"journalctl -q --namespace=postseal -o cat --since=@{began}")
            assert told.count("Server certificate not verified") >= 2, "by TLS from the first byte, and by STARTTLS"
    finally:
        spoil("relay-a")
        spoil("relay-b")
    for host in HOSTS:
        on(host, "postqueue -f")
    for outcome in waiting:
        assert way(outcome.token).login in ("postseal", "backup")


def test_many_messages_share_a_session() -> None:
    began = int(time.time())
    for host in HOSTS:
        with session(host) as client:
            assert authenticate(client, shop().login, shop().password)[0] == 235
            sent = [submit(client, shop()) for _ in range(40)]
        assert {outcome.code for outcome in sent} == {250}
        assert {(taken.relay, taken.login) for taken in (way(outcome.token) for outcome in sent)} == {
            ("relay-a", "postseal")
        }
        told = on(host, f"journalctl -q --namespace=postseal -o cat --since=@{began}")
        assert len(re.findall(r"relay=relay-a\.receiver\.test\S+ conn_use=\d+, .*status=sent", told)) >= 5
        assert "unexpected settings" not in told


def test_a_message_of_the_largest_size_can_be_handed_over() -> None:
    spoil("relay-a", mail="421 4.3.2 try later")
    try:
        for host in HOSTS:
            # What comes with it into the queue file differs; the first that is taken is as large as can be.
            bodies = (("x" * 70 + "\n") * ((LARGEST - room) // 72) for room in range(1500, 4000, 72))
            taken = next(sent for body in bodies if (sent := send(host, shop(), body=body)).code == 250)
            assert way(taken.token).relay == "relay-b"
    finally:
        spoil("relay-a")


def test_a_permanent_refusal_does_not_move_on() -> None:
    began = int(time.time())
    sent = [send(host, shop(), recipients=("refused@receiver.test",)) for host in HOSTS]
    for host, outcome in zip(HOSTS, sent, strict=True):
        found = arrived(outcome.token)
        assert found, "no bounce"
        assert (found[1]["from"], found[1]["to"]) == ("<>", [shop().login])
        told = on(host, f"journalctl -q --namespace=+postseal -u 'postfix*' -o cat --since=@{began}")
        assert "550 5.1.1 no such mailbox" in told
        assert "to=<refused@receiver.test>, relay=127.0.0.1" not in told


def test_the_handover_is_closed_to_all_but_this_host_itself() -> None:
    script = (
        "import smtplib, ssl; c = smtplib.SMTP('127.0.0.1', {port}, timeout=20); c.ehlo(); "
        "plain = c.mail('a@shop.test')[0]; c.starttls(context=ssl._create_unverified_context()); c.ehlo(); "
        "c.mail('a@shop.test'); print(plain, c.rcpt('x@receiver.test')[0])"
    )
    for host in HOSTS:
        ports = re.findall(r"^127\.0\.0\.1:(\d+) .*((?:\n  .*)*)", on(host, "cat /etc/postfix/master.cf"), re.MULTILINE)
        plain = [port for port, options in ports if "wrappermode" not in options]
        assert plain
        assert len(ports) > len(plain)
        for port in plain:
            assert on(host, f'python3 -c "{script.format(port=port)}"').split() == ["530", "450"]


def test_secrets_are_read_by_nobody_but_postfix(deployed: Run) -> None:
    secrets = [path.read_text("ascii").strip() for path in SECRETS.values()]
    assert not [secret for secret in secrets if secret in deployed.output]
    for host in HOSTS:
        assert on(host, "stat -c '%U %a' /etc/postfix/relays/passwords").split() == ["root", "600"]
        found = on(host, f"grep -rlF -e {' -e '.join(secrets)} /etc /var/lib/postseal /run/postseal || true").split()
        assert found == ["/etc/postfix/relays/passwords"]
        assert not [secret for secret in secrets if secret in on(host, "postconf -n; postconf -M; ps axww")]


def test_the_way_is_explained_and_what_is_not_allowed_has_none(inventory: str) -> None:
    asked = ("playbooks/route.yml", "-e", f"@{inventory}", "-e", "to=a@receiver.test")
    run = play(*asked, "-e", f"from={PAIR.login}")
    assert run.returncode == 0, run.output
    told = " ".join(run.output.split())
    assert f"by the route of sender {PAIR.login}" in told
    assert told.index("1. primary: relay-a.receiver.test port 587") < told.index("2. second: relay-b.receiver.test")
    run = play(*asked, "-e", "from=nobody@shop.test")
    assert run.returncode != 0
    assert "no credential may send as nobody@shop.test" in run.output


def test_preflight_names_an_authority_that_is_not_there(tmp_path_factory: pytest.TempPathFactory) -> None:
    said = _inventory()
    said["postseal_relays"][0]["ca"] = f"/{token_hex(4)}"
    file = tmp_path_factory.mktemp("inventory") / "wrong.json"
    file.write_text(json.dumps(said), "utf-8")
    run = play("playbooks/preflight.yml", "-e", f"@{file}")
    assert run.returncode != 0
    assert "postseal_relays[0].ca" in run.output
