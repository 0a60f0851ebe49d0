# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Real daemons of both Debian releases: no fault gets through, none leaves the service worse than it was.

The files are those that ``site.yml`` installed; each test puts a fault into one of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from .site import HOSTS
from .transactions import FILES, Desk

MAIN, MASTER = "/etc/postfix/main.cf", "/etc/postfix/master.cf"
LOGINS, DOVECOT = "/etc/postfix/sender_logins", "/etc/dovecot/dovecot.conf"
USERS = "/etc/dovecot/submission-users"
KEYS = "/etc/rspamd/maps/dkim.map"
SIGNER, POLICY = "/etc/rspamd/submission.conf", "/etc/rspamd/submission.lua"
# Postfix's master as start-fg runs it; the service's own runs with -w.
TRIAL = "pgrep -f 'sbin/master -[is]( |$)'"
UNIT = "/etc/systemd/system/rspamd.service.d/postseal.conf"


# Not a line to add but all there is: a policy that lets everything through.
OPEN = "only:local logger = require 'rspamd_logger'"


pytestmark = pytest.mark.usefixtures("standing_site")


@pytest.fixture(scope="module")
def desks(standing_site: None) -> dict[tuple[str, str], Desk]:
    """The right input, read once from the hosts as they were; a change that was cut off earlier is undone first."""
    for host in HOSTS:
        for service in FILES:
            Desk(host, service).apply()
    return {(host, service): Desk(host, service) for host in HOSTS for service in FILES}


@pytest.fixture
def desk(desks: dict[tuple[str, str], Desk], host: str, service: str) -> Iterator[Desk]:
    """A service on a host. Afterwards the right input finds or makes it as it was, and nothing else is left."""
    one = desks[host, service]
    yield one
    answer = one.apply()
    assert not answer.failed, answer.result
    assert not answer["changed"] or one.apply()["changed"] is False
    assert one.same_as_live()
    left = one.sh(
        "find /etc -name '.postseal.*'; find /run/postseal -name '*.stage.*'; ls /var/lib/postseal | grep journal;"
        f"{TRIAL} || true"
    )
    assert left == ""


# What the checkers object to; where, and what the message must name.
REFUSED = [
    ("dovecot", DOVECOT, "no_such_setting = yes", "no_such_setting"),
    ("dovecot", DOVECOT, "service auth {", "Missing '}'"),
    ("dovecot", USERS, "app@shop.test hash={SSHA512}x", "does not end with the line"),
    ("dovecot", USERS, "only:app@shop.test hash=word\ncomplete yes", "without its scheme"),
    ("rspamd", SIGNER, 'worker "controller" {', "unmatched open brace"),
    ("rspamd", SIGNER, 'lua = "/etc/rspamd/missing.lua";', "missing.lua"),
    ("rspamd", POLICY, "this is no lua", "submission.lua"),
    ("rspamd", POLICY, "no_such_function()", "no_such_function"),
    ("rspamd", UNIT, "NoSuchKey=1", "NoSuchKey"),
    ("postfix", MAIN, "smtpd_tls_securty_level = encrypt", "unused parameter: smtpd_tls_securty_level"),
    ("postfix", MAIN, "message_size_limit = tenmeg", "message_size_limit"),
    ("postfix", MAIN, "there is no sign", "missing '='"),
    ("postfix", MAIN, "smtpd_client_restrictions = check_client_access texthash:/etc/postfix/missing", "missing"),
    ("postfix", MASTER, "smtp inet n", "bad field count"),
    ("postfix", MASTER, "2525 inet n - y - - smtpd\n  -o smtpd_sasl_auth_enable = yes", "lacks its value"),
    ("postfix", LOGINS, "a-key-without-a-value", "expected format: key whitespace value"),
]


@pytest.mark.parametrize(("service", "dest", "fault", "text"), REFUSED)
def test_a_fault_that_a_checker_sees_is_refused(desk: Desk, dest: str, fault: str, text: str) -> None:
    answer = desk.apply({dest: fault})
    assert (answer.failed, answer["phase"], answer["changed"]) == (True, "validate", False)
    assert text in answer["msg"]
    assert desk.same_as_live()


@pytest.mark.parametrize(("service", "dest", "fault", "text"), REFUSED[::5])
def test_check_mode_refuses_it_too(desk: Desk, dest: str, fault: str, text: str) -> None:
    assert text in desk.apply({dest: fault}, check_mode=True)["msg"]
    assert desk.apply({dest: "# a comment"}, check_mode=True)["action"] in ("reload", "restart")
    assert desk.same_as_live()


# What passes every checker and shows only in a session.
TRIED = [
    (MAIN, "smtpd_relay_restrictions = permit_sasl_authentcated, reject", "permit_sasl_authentcated"),
    (MAIN, "smtpd_tls_chain_files = /etc/ssl/missing.pem", "/etc/ssl/missing.pem"),
    (MAIN, "smtpd_milters = unix:rspamd/missing.sock", "missing.sock"),
    (MAIN, "smtpd_sasl_path = private/missing", "private/missing"),
    (MASTER, "2525 inet n - y - - smtpdd", "smtpdd"),
    (MASTER, "22 inet n - y - - smtpd", "port 22"),
]


postfix_only = pytest.mark.parametrize("service", ["postfix"])


@postfix_only
@pytest.mark.parametrize(("dest", "fault", "text"), TRIED)
def test_a_fault_that_only_a_session_shows_is_refused_by_the_trial(
    desk: Desk, dest: str, fault: str, text: str
) -> None:
    answer = desk.apply({dest: fault})
    assert (answer.failed, answer["phase"], answer["changed"]) == (True, "trial", False)
    assert text in answer["msg"]
    assert desk.same_as_live()


@postfix_only
def test_a_fault_that_only_the_chroot_shows_is_undone_at_once(desk: Desk) -> None:
    since = desk.sh("date +@%s").strip()
    # The trial is not chrooted; live, the path is not there.
    answer = desk.apply({MAIN: "smtpd_sasl_path = /var/spool/postfix/private/auth"})
    assert (answer.failed, answer["phase"], answer["rolled_back"]) == (True, "smoke", True), answer.result
    assert "no SASL authentication mechanisms" in answer["msg"]
    assert desk.same_as_live()
    # master(8) holds a daemon back that died at once, for a minute, whatever a reload tells it: a restart is due.
    assert "throttling" in desk.sh(f"journalctl -q --namespace=+postseal --since={since} -t postfix/master -o cat")
    for port in ("465", "587 -starttls smtp"):
        assert "250" in desk.sh(
            f"printf 'EHLO x\\r\\n' | timeout 5 openssl s_client -ign_eof -connect 127.0.0.1:{port} || true"
        )


@pytest.mark.parametrize(
    ("service", "dest", "fault"),
    [
        ("dovecot", DOVECOT, "service auth {\n  executable = /nonexistent\n}"),
        ("rspamd", UNIT, "User=nobody-has-this-name"),
        ("rspamd", KEYS, "only:shop.test wrong:/etc/postseal/dkim/missing.key\ncomplete yes"),
        ("rspamd", POLICY, OPEN),
    ],
)
def test_a_service_that_does_not_take_the_change_over_is_put_back(desk: Desk, dest: str, fault: str) -> None:
    answer = desk.apply({dest: fault})
    assert (answer.failed, answer["phase"], answer["rolled_back"]) == (True, "smoke", True), answer.result
    assert desk.same_as_live()
    assert desk.apply()["changed"] is False


@pytest.mark.parametrize("service", FILES)
def test_unchanged_and_healthy_is_one_short_call(desk: Desk) -> None:
    answer = desk.apply()
    assert (answer["changed"], answer["action"]) == (False, "none")
    assert answer["seconds"] < 1.0


@pytest.mark.parametrize("service", FILES)
def test_a_stopped_and_disabled_service_is_brought_back(desk: Desk, service: str) -> None:
    desk.sh(f"systemctl disable --now {service} 2>/dev/null; systemctl stop 'postfix@*' || true")
    assert desk.apply(check_mode=True)["action"] == "start"
    answer = desk.apply()
    assert (answer["changed"], answer["action"]) == (True, "start")
    assert desk.sh(f"systemctl is-enabled {service}").strip() == "enabled"


@postfix_only
@pytest.mark.parametrize("step", [1, 2])
def test_a_run_killed_between_two_renames_is_undone_by_the_next(desk: Desk, step: int) -> None:
    edits = {MAIN: "message_size_limit = 1234567", MASTER: "# a comment"}
    desk.apply(edits, kill_at=step)
    assert "postfix.journal" in desk.sh("ls /var/lib/postseal")
    assert desk.apply(check_mode=True)["changed"] is True
    answer = desk.apply()
    assert not answer.failed, answer.result
    assert "cut off" in answer["notes"][0]
    assert desk.same_as_live()


@postfix_only
def test_a_killed_change_does_not_stay_if_the_next_input_is_bad(desk: Desk) -> None:
    desk.apply({MAIN: "message_size_limit = 1234567", MASTER: "# a comment"}, kill_at=2)
    assert desk.apply({MAIN: "message_size_limit = tenmeg"}).failed
    assert desk.same_as_live()


@postfix_only
def test_the_trial_dies_with_the_run(desk: Desk) -> None:
    answer = desk.apply({MAIN: "message_size_limit = 1234567"}, kill_in_trial=True)
    assert "killed" in answer.result
    deadline = time.monotonic() + 5
    while desk.sh(f"{TRIAL} || true"):
        assert time.monotonic() < deadline, "the trial instance lives on"
        time.sleep(0.1)
    assert desk.same_as_live()


@postfix_only
def test_a_daemon_that_postfix_holds_back_is_brought_back(desk: Desk) -> None:
    # A hand on the live file: every smtpd dies at once, so master(8) starts none for a minute, whatever it reads.
    desk.sh("postconf -e smtpd_sasl_path=private/missing; postfix reload")
    desk.sh("for port in 465 587; do timeout 2 openssl s_client -quiet -connect 127.0.0.1:$port </dev/null; done; true")
    assert "bad command startup -- throttling" in desk.sh(
        "journalctl -q --namespace=+postseal --since=-10s -t postfix/master -o cat"
    )
    answer = desk.apply()
    assert not answer.failed, answer.result
    assert (answer["changed"], answer["action"]) == (True, "restart")
    assert desk.same_as_live()
