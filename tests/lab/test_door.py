# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The submission ports from outside: nothing is relayed, smuggled, injected or told, and what leaves is clean."""

from __future__ import annotations

import re
from email import message_from_bytes
from secrets import token_hex

import pytest
from ansible_collections.postseal.mail.tests.verify.proof.smtp import Client, Closed, UnavailableError
from ansible_collections.postseal.mail.tests.verify.proof.submission import (
    attempt,
    relay_shapes,
)
from ansible_collections.postseal.mail.tests.verify.proof.targets import Endpoint
from ansible_collections.postseal.mail.tests.verify.proof.tls import session, trusting

from .applications import ADDRESSES, RECIPIENT, Application, application, arrived, deploy, send, shop
from .site import on

# They give both hosts another inventory.
pytestmark = pytest.mark.together

OTHER = application("tenant")
ERRORS_PER_CONNECTION = 8


@pytest.fixture(scope="module", autouse=True)
def service(standing_hosts: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Both hosts know another tenant, and serve the alternative port."""
    ports = {"hostname": "smtp.sender.test", "ports": {"alternative": 2525}}
    run = deploy(tmp_path_factory.mktemp("inventory"), [OTHER], postseal_submission=ports)
    assert run.returncode == 0, run.output


def _endpoint(host: str, port: int) -> Endpoint:
    return Endpoint(host=host, name=host, address=ADDRESSES[host], port=port, implicit_tls=port == 465)


def _inside(host: str, by: Application | None = None, port: int = 465) -> Client:
    """Return an encrypted session, authenticated if ``by`` is given."""
    client = session(_endpoint(host, port), trusting())
    if by:
        assert client.authenticate(by.login, by.password).code == 235
    return client


@pytest.mark.parametrize("port", [465, 587, 2525])
@pytest.mark.parametrize("who", ["nobody", "a failed login"])
def test_nothing_is_relayed_without_a_login(host: str, port: int, who: str) -> None:
    shapes = relay_shapes(_endpoint(host, port))
    assert len(shapes) == 16
    for start in range(0, len(shapes), ERRORS_PER_CONNECTION):
        with _inside(host, port=port) as client:
            if who != "nobody":
                assert client.authenticate(OTHER.login, "postseal-wrong-x").code == 535
            for shape in shapes[start : start + ERRORS_PER_CONNECTION]:
                assert attempt(client, *shape).reply.refused, shape


def test_another_tenant_relays_for_nobody_else(host: str) -> None:
    shapes = relay_shapes(_endpoint(host, 465))[1:]
    for start in range(0, len(shapes), ERRORS_PER_CONNECTION):
        with _inside(host, OTHER) as client:
            for shape in shapes[start : start + ERRORS_PER_CONNECTION]:
                assert attempt(client, *shape).reply.refused, shape
    # The null sender is everybody's, but the header From is not.
    assert send(host, OTHER, "From: shop@shop.test", envelope="").code == 554
    assert send(host, OTHER, "From: ceo@bank.test", envelope="").code == 554
    assert send(host, OTHER, envelope="").code == 250


def test_being_near_is_no_login(host: str) -> None:
    script = (
        "import smtplib, ssl; context = ssl._create_unverified_context();"
        "client = smtplib.SMTP_SSL('127.0.0.1', 465, context=context); client.ehlo('x.test');"
        "print(client.mail('shop@shop.test')[0], client.rcpt('t@foreign.test')[0])"
    )
    assert on(host, f'python3 -c "{script}"').split()[1][0] == "5"


def test_nothing_else_listens_and_25_takes_no_submission(host: str) -> None:
    ports = set(re.findall(r"(?:0\.0\.0\.0|\*|\[::\]):(\d+)", on(host, "ss -Hltn")))
    assert ports == {"22", "80", "465", "587", "2525"}


COMMANDS = (
    "VRFY postmaster",
    "EXPN postmaster",
    "ETRN shop.test",
    "DEBUG",
    "TURN",
    "XCLIENT ADDR=1.2.3.4",
    "XFORWARD ADDR=x",
)


def test_commands_that_nobody_needs_are_off(host: str) -> None:
    for by in (None, shop()):
        with _inside(host, by, port=587) as client:
            words = client.ehlo().keywords()
            assert not {"VRFY", "EXPN", "ETRN", "DEBUG", "XCLIENT", "XFORWARD", "TURN"} & set(words)
            for command in COMMANDS:
                assert client.command(command).refused, command


ENDS = {
    "LF.LF": "\n.\n",
    "LF.CRLF": "\n.\r\n",
    "CR.CRLF": "\r.\r\n",
    "CRLF.LF": "\r\n.\n",
    "LF.CR": "\n.\r",
    "CR.CR": "\r.\r",
    "CR.LF": "\r.\n",
    "CRLF NUL.CRLF": "\r\n\0.\r\n",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=list(ENDS))
def test_no_second_message_is_smuggled_in_or_out(host: str, end: str) -> None:
    by, first, second = OTHER, token_hex(12), token_hex(12)
    inner = f"MAIL FROM:<{by.login}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\nFrom: {by.login}\r\nSubject: {second}\r\n\r\nx"
    with _inside(host, by) as client:
        client.command(f"MAIL FROM:<{by.login}>")
        client.command(f"RCPT TO:<{RECIPIENT}>")
        assert client.command("DATA").code == 354
        client.send(
            f"From: {by.login}\r\nTo: {RECIPIENT}\r\nSubject: {first}\r\n\r\nbody{end}{inner}\r\n.\r\n".encode()
        )
        reply = client.reply()
        # One answer to one message: whatever follows was part of it.
        assert client.command("NOOP").code == 250
    if reply.refused:
        return
    assert reply.accepted
    found = arrived(first)
    assert found
    raw = found[0]
    assert second.encode() in raw, "the rest belongs to the first message"
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw), "no bare CR or LF leaves"
    assert message_from_bytes(raw)["Subject"].strip() == first


def test_a_command_injected_before_tls_is_not_answered_inside(host: str) -> None:
    for port in (587, 2525):
        with Client.connect(ADDRESSES[host], port) as client:
            client.greet()
            client.send(b"STARTTLS\r\nRSET\r\n")
            assert client.reply().code == 220
            client.starttls(trusting(), host)
            # 250 would be the answer to the injected command.
            assert client.command("XPROBE").refused


def test_commands_before_their_turn_end_the_session(host: str) -> None:
    with _inside(host) as client:
        client.send(b"HELO x.test\r\nMAIL FROM:<shop@shop.test>\r\nRCPT TO:<t@foreign.test>\r\nDATA\r\n")
        assert "synchronization" in str(reply := client.reply())
        assert reply.refused
        with pytest.raises(Closed):
            client.reply()


def test_limits_of_size_recipients_and_errors(host: str) -> None:
    with _inside(host, OTHER) as client:
        assert client.ehlo().keywords()["SIZE"] == str(25 * 1024 * 1024)
        assert client.command(f"MAIL FROM:<{OTHER.login}> SIZE={25 * 1024 * 1024 + 1}").code == 552
    with _inside(host, OTHER) as client:
        client.ehlo()
        assert client.command(f"MAIL FROM:<{OTHER.login}>").code == 250
        replies = [client.command(f"RCPT TO:<r{number}@receiver.test>").code for number in range(101)]
        assert replies == [250] * 100 + [452]
    with _inside(host) as client:
        assert [client.command("JUNK").code for _ in range(12)] == [500] * 12
        with pytest.raises(UnavailableError, match="too many errors"):
            client.command("JUNK")


UNCLEAN = (
    "From: {login}\nTo: probe@receiver.test\nBcc: secret@receiver.test\nSubject: {token}\nX-Mailer: Shop 1.0"
    "\nUser-Agent: Shop\nX-Originating-IP: 10.97.0.1\nX-PHP-Originating-Script: 33:mail.php"
    "\nX-Authenticated-User: tenant"
)
ADDED = {"Date", "Message-Id", "Dkim-Signature", "Received"}


def test_what_leaves_is_clean_and_whole(host: str) -> None:
    found = arrived(send(host, OTHER, UNCLEAN).token)
    assert found
    message = message_from_bytes(found[0])
    names = {name.title() for name in message.keys()}  # noqa: SIM118  # a message's headers are no dictionary
    assert names == {"From", "To", "Subject", "X-Test", *ADDED}
    assert all(len(message.get_all(name, [])) == 1 for name in ("Date", "Message-ID", "From"))
    assert {entry["result"] for entry in found[1]["dkim"]} == {"pass"}
    head = found[0].partition(b"\r\n\r\n")[0].replace(b"From: tenant@shop.test", b"")
    for word in (b"10.97.0.1", b"client.lab", b"tenant", b"Shop", b"unknown"):
        assert word not in head, word
    assert re.search(r"\(using TLSv1\.[23] with cipher \S+\) with ESMTPSA id", message["Received"])


def test_what_is_asked_for_is_revealed(host: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    for reveal, told in (
        (["login"], {"(Authenticated sender: tenant@shop.test)"}),
        (["client", "user_agent"], {"10.97.0.1", "Shop 1.0"}),
    ):
        asked = {"hostname": "smtp.sender.test", "ports": {"alternative": 2525}, "reveal": reveal}
        run = deploy(tmp_path_factory.mktemp("inventory"), [OTHER], "--limit", host, postseal_submission=asked)
        assert run.returncode == 0, run.output
        found = arrived(send(host, OTHER, UNCLEAN).token)
        assert found
        head = found[0].partition(b"\r\n\r\n")[0].decode()
        words = {"(Authenticated sender: tenant@shop.test)", "10.97.0.1", "Shop 1.0"}
        assert {word for word in words if word in head} == told


def test_the_sessions_tls_version_is_in_the_log(host: str) -> None:
    token = on(host, "date +%s").strip()
    send(host, OTHER)
    where = "--namespace=postseal -t postfix/submissions/smtpd"
    log = on(host, f"journalctl -q {where} -o cat --no-pager --since=@{token}")
    assert re.search(r"TLS connection established from unknown\[10\.97\.0\.1\]: TLSv1\.[23] with cipher", log)
