# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whatever breaks on a mail host, mail waits: none leaves unsigned, none is lost, and the key outlives certificates."""

from __future__ import annotations

import json
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex
from smtplib import SMTP_SSL, SMTPResponseException
from typing import Any, NamedTuple

import pytest

from .site import HOSTS, on, play
from .transactions import Desk

STATE = Path("/var/lib/postseal-lab")
ADDRESSES = {"sender-a.sender.test": "10.97.0.21", "sender-b.sender.test": "10.97.0.22"}
LOGIN, RECIPIENT = "shop@shop.test", "probe@receiver.test"
SIGNED = [("ed25519-sha256", "pass"), ("rsa-sha256", "pass")]
KEYS = "/etc/postseal/dkim/shop.test"
LUA = "/etc/rspamd/submission.lua"
MAP = "/etc/rspamd/maps/dkim.map"
SIGNER = "/etc/rspamd/submission.conf"
WORKERS = "pgrep -f '^rspamd: rspamd_proxy' || true"


class Fault(NamedTuple):
    """A way to break a host, and to mend it."""

    name: str
    harm: str
    mend: str


def _spoil(path: str, harm: str, restart: str = "") -> tuple[str, str]:
    """Return commands that change a file in place and bring it back, with a later modification time each."""
    return f"cp -p {path} /root/kept && {harm} {restart}", f"cp /root/kept {path} && rm /root/kept {restart}"


RESTART = "; systemctl reset-failed rspamd; systemctl restart rspamd"
FAULTS = (
    Fault("the signer is down", "systemctl stop rspamd", "systemctl start rspamd"),
    Fault("the keys are gone", f"mv {KEYS} {KEYS}.gone", f"mv {KEYS}.gone {KEYS}"),
    Fault("the Ed25519 key is junk", *_spoil(f"{KEYS}/*.ed25519.key", f"echo junk > $(ls {KEYS}/*.ed25519.key)")),
    Fault("the map of keys is empty", *_spoil(MAP, f": > {MAP}")),
    Fault("the map of keys is cut off", *_spoil(MAP, f"sed -i '/^complete/d' {MAP}")),
    Fault("the policy stumbles", *_spoil(LUA, f"sed -i 's/local function policy.*/&  error(\"x\")/' {LUA}", RESTART)),
    Fault("the policy cannot be read", *_spoil(LUA, f"echo 'local function' >> {LUA}", RESTART)),
    Fault("Dovecot is down", "systemctl stop dovecot", "systemctl start dovecot"),
)


pytestmark = pytest.mark.usefixtures("standing_site")


def _session(host: str) -> SMTP_SSL:
    """Return an encrypted session on port 465 whose certificate was checked for the host's own name."""
    context = ssl.create_default_context(cafile=str(STATE / "ca.pem"))
    session = SMTP_SSL(timeout=20, context=context, local_hostname="client.lab.test")
    session._host = host  # type: ignore[attr-defined]  # the name to check; this machine's resolver knows nothing of .test
    code, text = session.connect(ADDRESSES[host], 465)
    if code != 220:
        raise SMTPResponseException(code, text)
    return session


def _submit(host: str, recipient: str = RECIPIENT) -> str:
    """Submit a message and return the token in its subject; raises :class:`SMTPResponseException` when refused."""
    with _session(host) as session:
        _log_in(session)
        return _send(session, recipient)


def _log_in(session: SMTP_SSL) -> None:
    session.login(LOGIN, (STATE / "secrets/shop").read_text("ascii").strip())


def _send(session: SMTP_SSL, recipient: str = RECIPIENT) -> str:
    """Send a message in a session that is logged in and return its token; raises as :func:`_submit` does."""
    token = token_hex(12)
    session.sendmail(LOGIN, [recipient], f"From: {LOGIN}\r\nTo: {recipient}\r\nSubject: {token}\r\n\r\nHello\r\n")
    return token


def _arrived(token: str, seconds: float = 20.0) -> dict[str, Any] | None:
    """Return the receiver's verdict on the message that holds ``token``, ``None`` if it did not come in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for path in (STATE / "mail").glob("[!.]*.json"):
            if token.encode() in path.with_suffix(".eml").read_bytes():
                found: dict[str, Any] = json.loads(path.read_text("utf-8"))
                return found
        time.sleep(0.1)
    return None


def _accepted(host: str, seconds: float = 10.0) -> str:
    """Submit until the host takes it: maps and keys are looked at every few seconds."""
    end = time.monotonic() + seconds
    while True:
        try:
            return _submit(host)
        except (SMTPResponseException, OSError):
            if time.monotonic() > end:
                raise
            time.sleep(0.3)


def _sent(host: str, session: SMTP_SSL) -> str:
    """Send in a session whose milter may be gone: what is put off then goes in a session of its own."""
    try:
        return _send(session)
    except SMTPResponseException as refusal:
        assert 400 <= refusal.smtp_code < 500  # noqa: PT017  # either outcome is right
        return _submit(host)


def _refused(host: str, seconds: float = 10.0) -> int:
    """Submit until the host refuses, which may take a look at its maps, and return the reply code."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            _submit(host)
        except SMTPResponseException as refusal:
            return refusal.smtp_code
        time.sleep(0.3)
    pytest.fail("the host goes on taking mail")


def _signatures(verdict: dict[str, Any] | None) -> list[tuple[str, str]]:
    assert verdict, "the message did not arrive"
    assert verdict["dmarc"] == "pass"
    return sorted((entry["algorithm"], entry["result"]) for entry in verdict["dkim"])


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_mail_waits_while_something_is_broken(host: str, fault: Fault) -> None:
    on(host, fault.harm)
    try:
        assert 400 <= _refused(host) < 500
    finally:
        on(host, f"sleep 1; {fault.mend}")
    assert _signatures(_arrived(_accepted(host))) == SIGNED


@pytest.mark.parametrize("host", HOSTS)
def test_mail_of_the_host_itself_waits_for_the_signer_and_leaves_signed(host: str) -> None:
    token = token_hex(12)
    on(host, "systemctl stop rspamd")
    try:
        on(host, f"printf 'To: {RECIPIENT}\\nSubject: {token}\\n\\nx\\n' | sendmail {RECIPIENT}")
        assert _arrived(token, 3) is None
    finally:
        # pickup(8) tries again once a minute, or when more mail comes.
        on(host, "systemctl start rspamd; sleep 1; echo | sendmail root")
    verdict = _arrived(token, 70)
    assert _signatures(verdict) == SIGNED


@pytest.mark.parametrize("host", HOSTS)
def test_a_change_of_the_signer_loses_no_mail_and_lets_none_out_unsigned(host: str) -> None:
    desk = Desk(host, "rspamd")
    old = set(on(host, WORKERS).split())
    with _session(host) as early, _session(host) as late, ThreadPoolExecutor() as pool:
        for session in (early, late):
            _log_in(session)
        tokens = [_submit(host)]
        for edits in ({SIGNER: "# a comment"}, {}):
            change = pool.submit(desk.apply, edits)
            while not change.done():
                tokens.append(_accepted(host))
            assert (change.result()["changed"], change.result()["action"]) == (True, "reload")
            # Debian 13's rspamd keeps an old worker for 16 s, for those it talks with already; Debian 12's does not.
            if edits:
                tokens.append(_sent(host, early))
        deadline = time.monotonic() + 40
        while old & set(on(host, WORKERS).split()):
            assert time.monotonic() < deadline, "the old workers stay"
            time.sleep(0.5)
        tokens.append(_sent(host, late))
    for token in tokens:
        assert _signatures(_arrived(token)) == SIGNED


@pytest.mark.parametrize("host", HOSTS)
def test_a_bounce_is_signed_and_aligned(host: str) -> None:
    token = _submit(host, f"nobody@{token_hex(6)}.receiver.test")
    verdict = _arrived(token)
    assert _signatures(verdict) == SIGNED
    assert verdict
    assert (verdict["from"], verdict["to"]) == ("<>", [LOGIN])
    assert "empty" in on(host, "postqueue -p")


@pytest.mark.parametrize("host", HOSTS)
def test_the_host_sends_nothing_for_a_foreign_domain(host: str) -> None:
    token = token_hex(12)
    on(host, f"printf 'From: x@other.test\\nTo: {RECIPIENT}\\nSubject: {token}\\n\\nx\\n' | sendmail {RECIPIENT}")
    verdict = _arrived(token)
    assert verdict
    assert verdict["to"] == ["postmaster@shop.test"], "only the bounce may leave, to who minds root's mail"
    assert _signatures(verdict) == SIGNED


def _served(host: str) -> str:
    context = ssl.create_default_context(cafile=str(STATE / "ca.pem"))
    with (
        socket.create_connection((ADDRESSES[host], 465), 10) as link,
        context.wrap_socket(link, server_hostname=host) as tls,
    ):
        return str(tls.getpeercert()["serialNumber"])  # type: ignore[index]  # a verified peer has one


@pytest.mark.parametrize("host", HOSTS)
def test_the_timers_renewal_keeps_the_key_and_is_served_at_once(host: str) -> None:
    digest = f"sha256sum < /etc/postseal/tls/{host}.key; openssl x509 -in /etc/letsencrypt/live/{host}/cert.pem -noout"
    key, before = on(host, f"{digest} -pubkey"), _served(host)
    # The unit as the timer starts it, told only that it is time.
    drop_in = "/run/systemd/system/certbot.service.d/test.conf"
    forced = (
        "[Service]\\nExecStart=\\nExecStart=/usr/bin/certbot -q renew --no-random-sleep-on-renew --force-renewal\\n"
    )
    on(host, f"mkdir -p $(dirname {drop_in}); printf '{forced}\\n' > {drop_in}; systemctl daemon-reload")
    try:
        on(host, "systemctl start certbot.service")
    finally:
        on(host, f"rm -r $(dirname {drop_in}); systemctl daemon-reload")
    assert on(host, f"{digest} -pubkey") == key
    deadline = time.monotonic() + 10
    while _served(host) == before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _served(host) != before


@pytest.mark.parametrize("host", HOSTS)
def test_afterwards_a_run_succeeds(host: str) -> None:
    run = play("playbooks/services.yml", "--limit", host)
    assert run.returncode == 0, run.output


def test_an_account_the_authority_has_forgotten_is_made_anew() -> None:
    host = HOSTS[0]
    on(host, "sed -i 's#my-account/#&0#' /etc/letsencrypt/accounts/*/*/*/regr.json; echo >> /etc/postseal/acme-ca.pem")
    before = _served(host)
    run = play("playbooks/services.yml")
    assert run.returncode == 0, run.output
    assert _served(host) != before
