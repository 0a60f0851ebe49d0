# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is read out of requests, master.cf, unit drop-ins and checkers' words, without a daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import checkers, findings, queue_files, services, trial
from ansible_collections.postseal.mail.plugins.module_utils.host.errors import HostError
from ansible_collections.postseal.mail.plugins.module_utils.host.request import Paths, parse
from hypothesis import given
from hypothesis import strategies as st

FILE = {"dest": "/etc/x", "content": "y"}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"files": [{**FILE, "dest": "etc/x"}]}, "absolute"),
        ({"files": [{**FILE, "dest": "/etc/../x"}]}, "normal"),
        ({"files": [{**FILE, "dest": "/var/x"}]}, "outside /etc"),
        ({"files": [FILE, FILE]}, "twice"),
        ({"files": [{**FILE, "map": "lmdb"}, {**FILE, "dest": "/etc/x.lmdb"}]}, "/etc/x.lmdb is named twice"),
        ({"files": [{**FILE, "mode": "rw"}]}, "'rw' is not octal"),
        ({"files": [{**FILE, "mode": "17777"}]}, "'17777' is not octal"),
        ({"files": [{**FILE, "map": "pcre"}]}, "'pcre' is none of"),
        ({"directories": [{"path": "here"}]}, "absolute"),
        ({"watch": ["here"]}, "absolute"),
        ({"smoke": [{"tls": "starttls"}]}, "needs a port or a socket"),
        ({"smoke": [{"port": 1, "socket": "/x"}]}, "needs a port or a socket"),
        ({"smoke": [{"port": 1, "tls": "maybe"}]}, "tls of"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(HostError, match=text):
        parse({"service": "postfix", "files": [FILE], **change})


def test_a_secret_file_is_for_root_alone_unless_said_otherwise() -> None:
    files = [{**FILE, "secret": True}, {**FILE, "dest": "/etc/z"}, {**FILE, "dest": "/etc/w", "mode": "0640"}]
    assert [spec.mode for spec in parse({"service": "x", "files": files}).files] == [0o600, 0o644, 0o640]


def test_an_unknown_service_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        HostError, match="is none of dovecot, nginx, postfix, postfix-mta-sts-resolver, postseal-containment"
    ):
        services.service_for("exim")


def test_an_override_in_pieces_is_found() -> None:
    master = (
        "smtp inet n - y - - smtpd\n"
        "  -o smtpd_tls_wrappermode=yes\n"
        "  -o smtpd_sasl_auth_enable = yes\n"
        "  -o { smtpd_sender_restrictions = reject }\n"
        "# -o comment = yes\n"
        "  -o syslog_name\n"
    )
    found = checkers.overrides_in_pieces(master)
    assert [(finding.line, finding.text.split()[1]) for finding in found] == [
        (3, "smtpd_sasl_auth_enable"),
        (6, "syslog_name"),
    ]


NAME = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
VALUE = st.from_regex(r"[A-Za-z0-9:/,.$_-]{0,30}", fullmatch=True)


@given(st.lists(st.tuples(NAME, VALUE), max_size=8))
def test_whole_overrides_are_never_found(overrides: list[tuple[str, str]]) -> None:
    master = "smtp inet n - y - - smtpd\n" + "".join(f"  -o {name}={value}\n" for name, value in overrides)
    assert checkers.overrides_in_pieces(master) == []


def test_listeners_are_read_with_addresses_and_names_of_ports() -> None:
    entries = (
        "submission inet n       -       y       -       -       smtpd -o smtpd_tls_security_level=encrypt -o x=a b\n"
        "192.0.2.1:2525 inet n       -       n       -       -       smtpd\n"
        "[2001:db8::1]:465 inet n       -       n       -       -       smtpd\n"
        "nosuchport inet n       -       n       -       -       smtpd\n"
        "cleanup    unix  n       -       y       -       0       cleanup\n"
    )
    found = trial.listeners(entries)
    assert [(one.address, one.port) for one in found] == [("", 587), ("192.0.2.1", 2525), ("2001:db8::1", 465)]


def test_the_last_command_of_the_drop_ins_counts_and_the_stage_wins(tmp_path: Path) -> None:
    live, staged = (tmp_path / name / "etc/systemd/system/rspamd.service.d" for name in ("live", "staged"))
    for folder in (live, staged):
        folder.mkdir(parents=True)
    (live / "a.conf").write_text("[Service]\nExecStart=\nExecStart=/usr/bin/rspamd -c /etc/a.conf -f\n")
    (live / "b.conf").write_text("[Service]\nExecStart=\nExecStart=/usr/bin/rspamd -c /etc/b.conf -f\n")
    paths = Paths(root=str(tmp_path / "live"))
    assert services.unit_setting("rspamd", paths).endswith("/etc/b.conf -f")
    (staged / "b.conf").write_text("[Service]\nExecStart=\nExecStart=/usr/bin/rspamd -c /etc/c.conf -f\n")
    assert services.unit_setting("rspamd", paths, str(tmp_path / "staged")).endswith("/etc/c.conf -f")
    assert services.unit_setting("dovecot", paths) == ""


def test_a_finding_says_its_place_once() -> None:
    assert str(findings.Finding("c", "bad", "/etc/x", 3)) == "c: /etc/x:3: bad"
    assert str(findings.Finding("c", "/etc/x line 3 is bad", "/etc/x", 3)) == "c: /etc/x line 3 is bad"
    assert str(findings.Finding("c", "bad")) == "c: bad"


HASH = "hash={SHA512-CRYPT}$6$salt$secret"
FORMER = "former={SSHA512}c2VjcmV0 ends=1900000000"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (f"app@shop.test {HASH}", ""),
        (f"app@shop.test {HASH} {FORMER} networks=192.0.2.0/24,2001:db8::/32 expires=1900000000", ""),
        ("app@shop.test revoked=yes", ""),
        ("# a comment", ""),
        ("", ""),
        (f"app@shop.test {HASH} networks=192.0.2.1, 192.0.2.2", "is not login key=value"),
        (f"app@shop.test {HASH} networks= 192.0.2.2", "is not login key=value"),
        (f"app@shop.test:{HASH}", "lacks a hash"),
        (f"app@shop.test  {HASH}", "is not login key=value"),
        (f"app {HASH}", "is not login key=value"),
        (f"app@shop.test {HASH} network=192.0.2.1", "a key that is unknown"),
        (f"app@shop.test {HASH} {HASH}", "one twice"),
        ("app@shop.test hash=secret", "without its scheme"),
        (f"app@shop.test {HASH} former=secret ends=1", "without its scheme"),
        ("app@shop.test networks=192.0.2.1", "lacks a hash"),
        (f"app@shop.test {HASH} former={{SSHA512}}c2VjcmV0", "the end of the former one"),
        (f"first@shop.test {HASH}\nfirst@shop.test {HASH}", "a second time"),
    ],
)
def test_logins_that_would_be_read_otherwise_are_found(line: str, complaint: str) -> None:
    found = checkers.logins_in_doubt("/etc/dovecot/users", f"{line}\ncomplete yes\n")
    assert len(found) == (1 if complaint else 0)
    assert all(complaint in finding.text for finding in found)
    assert all("secret" not in finding.text for finding in found), "a finding must not quote the line"


@pytest.mark.parametrize("text", ["", f"app@shop.test {HASH}\n", "complete yes\n# more\n"])
def test_a_file_of_logins_that_is_cut_off_is_found(text: str) -> None:
    assert "complete" in checkers.logins_in_doubt("/etc/dovecot/users", text)[0].text


@pytest.mark.parametrize(
    ("text", "moving"),
    [
        ("find: '/var/spool/postfix/active/8E3A03602D3': No such file or directory", True),
        ("warning: not owned by postfix: /var/spool/postfix/deferred/8/8E3A03602D3", True),
        ("warning: not owned by postfix: /var/spool/postfix/incoming/4Zg3kS5zQwzRkX", True),
        ("warning: bogus file name: incoming/259098.16958", True),
        ("warning: name/inode mismatch: deferred/8/8E3A03602D3", True),
        ("warning: bogus file name: incoming/notes.txt", False),
        ("warning: not owned by postfix: /var/spool/postfix/active", False),
        ("warning: not owned by root: /etc/postfix/main.cf", False),
        ("warning: group or other writable: /usr/lib/postfix/sbin/smtpd", False),
    ],
)
def test_mail_that_moves_on_while_it_is_looked_at_is_no_fault(text: str, moving: bool) -> None:
    assert queue_files.in_motion(text) == moving
