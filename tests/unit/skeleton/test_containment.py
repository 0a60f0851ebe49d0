# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The watch over logins: whose bounce a line of the journal is, and which lines were counted before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jinja2
import pytest

from .conftest import ROOT

TEMPLATE = ROOT / "roles/containment/templates/etc/postseal/containment.py.j2"
SMTPD = (
    "{moment} a postfix/submissions/smtpd[1]: {queue}: client=unknown[192.0.2.1], sasl_method=PLAIN,"
    " sasl_username={login}"
)
SMTP = (
    "{moment} a postfix/smtp[2]: {queue}: to=<x@y.test>, relay=mx.y.test[192.0.2.9]:25, delay=0.5,"
    " delays=0.1/0/0.2/0.2, {rest}"
)
REFUSED = "dsn=5.1.1, status=bounced (host mx.y.test said: 550 5.1.1 nobody (in reply to RCPT TO command))"
REMOVED = "{moment} a postfix/qmgr[3]: {queue}: removed"
# Before the parenthesis rspamd 3.4 writes the process again.
SIGNER = "{moment} a rspamd[4]: #4(rspamd_proxy) <a>; lua; limits.lua:9: containment: suspended login {login}: 9 now"


class Store:
    """Remembers what it was asked; every bounce counts, the third suspends."""

    def __init__(self) -> None:
        self.bounces: list[tuple[str, str]] = []
        self.read: list[str] = []

    def insist(self, *words: Any) -> str | None:
        if words[0] == "HSET":
            self.read.append(words[3])
            return None
        _, _, _, _, day, _, _, moment, *_ = words
        self.bounces.append((day, moment))
        return "3 of 3" if len(self.bounces) == 3 else None


@pytest.fixture
def watch() -> dict[str, Any]:
    """Return the names of the watch, which tells nobody but the list ``told``."""
    containment = SimpleNamespace(bounces=SimpleNamespace(percent=20, at_least=3), notify=("ops@x.test",))
    text = jinja2.Template(TEMPLATE.read_text("utf-8")).render(
        model=SimpleNamespace(containment=containment), this=SimpleNamespace(name="a.test")
    )
    names: dict[str, Any] = {"__name__": "containment", "told": []}
    exec(compile(text, str(TEMPLATE), "exec"), names)  # noqa: S102  # the file under test is a template
    names["tell"] = lambda login, why: names["told"].append((login, why))
    return names


def _lines(*entries: tuple[str, float, str]) -> list[str]:
    """Return journal lines of (pattern, moment, queue identifier)."""
    return [
        pattern.format(moment=f"{moment:.6f}", queue=queue, login="Shop@shop.test", rest=REFUSED)
        for pattern, moment, queue in entries
    ]


def test_a_bounce_counts_for_the_login_and_the_day_of_its_message(watch: dict[str, Any]) -> None:
    store = Store()
    watch["follow"](_lines((SMTPD, 86399, "AA"), (SMTP, 86401, "AA"), (SMTP, 86402, "BB")), store, 0)
    assert store.bounces == [("postseal:day:shop@shop.test:0", "86401.000000")]


def test_lines_that_were_counted_before_only_say_whose_messages_are_on_their_way(watch: dict[str, Any]) -> None:
    store = Store()
    lines = _lines((SMTPD, 1, "AA"), (SMTP, 2, "AA"), (SIGNER, 3, ""), (SMTP, 4, "AA"))
    watch["follow"](lines, store, 3)
    assert [moment for _, moment in store.bounces] == ["4.000000"]
    assert watch["told"] == []


def test_an_address_in_quotes_bounces_too(watch: dict[str, Any]) -> None:
    store = Store()
    watch["follow"](_lines((SMTPD, 1, "AA"), (SMTP.replace("x@y", '"a> b"@y'), 2, "AA")), store, 0)
    assert len(store.bounces) == 1


def test_a_message_that_is_gone_is_forgotten(watch: dict[str, Any]) -> None:
    store = Store()
    watch["follow"](_lines((SMTPD, 1, "AA"), (REMOVED, 2, "AA"), (SMTP, 3, "AA")), store, 0)
    assert store.bounces == []


def test_what_suspends_is_told_once_whoever_decided(watch: dict[str, Any]) -> None:
    store = Store()
    lines = _lines((SMTPD, 1, "AA"), *[(SMTP, moment, "AA") for moment in (2.0, 3.0, 4.0, 5.0)], (SIGNER, 6, ""))
    lines += _lines((SIGNER.replace("#4", ""), 7, ""), (SIGNER.replace("#4(rspamd_proxy) ", ""), 8, ""))
    watch["follow"](lines, store, 0)
    assert watch["told"] == [("shop@shop.test", "3 of 3"), *[("Shop@shop.test", "9 now")] * 3]
    assert store.read == ["6.000000", "7.000000", "8.000000"]


@pytest.mark.parametrize(
    "line",
    [
        SMTP.replace("{rest}", "dsn=2.0.0, status=sent (250 2.0.0 said: dsn=5.1.1, status=bounced (x))"),
        SMTP.replace("{rest}", "dsn=4.1.1, status=deferred (dsn=5.1.1, status=bounced (x))"),
        SMTP.replace("x@y.test", '"a>, relay=b, dsn=5.1.1, status=bounced (x"@y.test').replace(
            "{rest}", "dsn=2.0.0, status=sent (250 ok)"
        ),
        SMTP.replace("postfix/smtp", "sendmail"),
        SIGNER.replace("limits.lua:9: containment", "submission.lua:9: policy: x <a>; lua; limits.lua:1: containment"),
        "",
    ],
)
def test_words_of_others_count_for_nothing(watch: dict[str, Any], line: str) -> None:
    store = Store()
    watch["follow"]([*_lines((SMTPD, 1, "AA")), *_lines((line, 2, "AA"))], store, 0)
    assert (store.bounces, watch["told"]) == ([], [])


def test_no_percentage_counts_no_bounces(watch: dict[str, Any]) -> None:
    store = Store()
    watch["follow"].__globals__["PERCENT"] = None
    watch["follow"](_lines((SMTPD, 1, "AA"), (SMTP, 2, "AA")), store, 0)
    assert store.bounces == []
