# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Client cards hold what an application needs and no secret, and their settings do what they say."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model import cards
from ansible_collections.postseal.mail.plugins.module_utils.model.cards import Card, card
from ansible_collections.postseal.mail.plugins.module_utils.model.credentials import Credential, Quota, Rate
from ansible_collections.postseal.mail.plugins.module_utils.model.secret import Secret
from ansible_collections.postseal.mail.plugins.module_utils.model.types import (
    Dns,
    MailHost,
    Model,
    Ports,
    Submission,
    Tls,
)
from ansible_collections.postseal.mail.plugins.plugin_utils.card_pages import CLIENTS, client, facts, pages
from hypothesis import given
from hypothesis import strategies as st

from .smtp_server import Server, serving

PASSWORD = "9tFq-3mZr_Kd0xWbLs7uHv2nYc4e"
PROGRAMS = {"smtplib.py": sys.executable, "curl.sh": "sh"}
# Every character that a local part may have (RFC 5322 atext).
NASTY = "!#$%&'*+/=?^_`{|}~-a@example.com"


def _card(**change: Any) -> Card:
    shop = Credential("shop", "example.com", Secret("{SSHA512}HASH"), ("shop@example.com",), secret=Secret(PASSWORD))
    submission = Submission("smtp.example.com", Ports(alternative=2525))
    hosts = (MailHost("mail-a.example.com", ("192.0.2.1",), ()),)
    model = Model("lab", hosts, submission, Tls("https://x", None), Dns(()), (), (shop,))
    return card(model, replace(shop, **change))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("tls")) as running:
        yield running


def _run(server: Server, *command: str, cwd: Path) -> None:
    server.sessions.clear()
    trusted = {"SSL_CERT_FILE": str(server.certificate), "CURL_CA_BUNDLE": str(server.certificate)}
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **trusted, "SMTP_PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("address", ["shop@example.com", NASTY])
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_settings_of_a_program_submit_a_message(server: Server, tmp_path: Path, name: str, address: str) -> None:
    local = replace(_card(senders=(address,)), host="localhost", port=server.port)
    (tmp_path / "send").write_text(client(local, name))
    (tmp_path / "message.eml").write_text(f"From: {address}\r\nTo: to@example.net\r\n\r\nIt works.\r\n")
    _run(server, PROGRAMS[name], "send", "to@example.net", cwd=tmp_path)
    (session,) = server.sessions
    assert session.tls in ("TLSv1.2", "TLSv1.3")
    assert (session.login, session.password) == ("shop@example.com", PASSWORD)
    assert (session.sender, session.recipients) == (address, ["to@example.net"])
    assert f"From: {address}" in session.message
    assert "It works." in session.message


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_certificate_that_nobody_vouches_for_is_refused(server: Server, tmp_path: Path, name: str) -> None:
    local = replace(_card(), host="localhost", port=server.port)
    (tmp_path / "send").write_text(client(local, name))
    (tmp_path / "message.eml").write_text("Subject: x\r\n\r\n")
    stranger = replace(server, certificate=Path(os.devnull))
    with pytest.raises(AssertionError):
        _run(stranger, PROGRAMS[name], "send", "to@example.net", cwd=tmp_path)
    assert not [session for session in server.sessions if session.password]


def test_djangos_settings_are_what_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", PASSWORD)
    settings: dict[str, Any] = {}
    exec(compile(client(_card(senders=(NASTY,)), "django.py"), "settings.py", "exec"), settings)  # noqa: S102
    assert settings["EMAIL_HOST"] == "smtp.example.com"
    assert (settings["EMAIL_PORT"], settings["EMAIL_USE_SSL"]) == (465, True)
    assert settings["EMAIL_HOST_PASSWORD"] == PASSWORD
    assert settings["DEFAULT_FROM_EMAIL"] == settings["SERVER_EMAIL"] == NASTY


@given(st.text())
def test_text_comes_back_out_of_every_language(text: str) -> None:
    assert ast.literal_eval(cards.python(text)) == text
    assert json.loads(cards.javascript(text)) == text
    assert shlex.split(cards.shell(text)) == [text]
    quoted = cards.single(text)
    # The rules of PHP and Ruby for single quotes: a backslash takes ' and \ as they are, nothing else is special.
    inner = re.fullmatch(r"'((?:[^'\\]|\\['\\])*)'", quoted, re.DOTALL)
    assert inner
    assert re.sub(r"\\(['\\])", r"\1", inner[1]) == text
    assert cards.fence(text) not in text


class Shown(HTMLParser):
    """What a reader of a page sees, and which elements it has."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.tags = "", set[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_whatever_stands_in_a_card_is_text_in_html() -> None:
    plain = Shown(pages(_card())["shop@example.com.html"])
    hostile = replace(_card(), host="<script>alert(1)</script>", senders=("<img src=x onerror=y>", "&amp;"))
    page = pages(hostile)["shop@example.com.html"]
    shown = Shown(page)
    assert shown.tags == plain.tags
    assert "<script>alert(1)</script>" in shown.text
    assert "<img src=x onerror=y>, &amp;" in shown.text


def test_whatever_stands_in_a_card_is_text_in_markdown() -> None:
    page = pages(_card(senders=("a|b`c*d_e@example.com", "```@example.com")))["shop@example.com.md"]
    (row,) = [line for line in page.splitlines() if line.startswith("| sender |")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3
    assert r"a\|b\`c\*d\_e@example.com" in row
    fences = re.findall(r"^(`{3,})(\w*)$", page, re.MULTILINE)
    assert len(fences) == 2 * len(CLIENTS)


def test_a_card_says_all_that_limits_the_application() -> None:
    said = dict(
        facts(
            _card(
                senders=("@example.com", "x@example.org"),
                networks=("192.0.2.0/24",),
                rate=Rate((Quota(3600, 500),), (Quota(86400, 2000),)),
            )
        )
    )
    assert said["server"] == "smtp.example.com"
    assert "465 with TLS from the first byte" in said["port and encryption"]
    assert "2525" in said["port and encryption"]
    assert said["sender"] == "any address @example.com, x@example.org"
    assert said["at most"] == "500/h messages, 2000/d recipients"
    assert said["only from"] == "192.0.2.0/24"


@pytest.mark.parametrize(
    ("senders", "address"),
    [
        (("a@example.org", "shop@example.com"), "shop@example.com"),
        (("@example.com",), "shop@example.com"),
        (("@example.org", "a@example.org"), "a@example.org"),
        (("@example.org",), "shop@example.org"),
    ],
)
def test_examples_use_an_address_that_is_allowed(senders: tuple[str, ...], address: str) -> None:
    assert _card(senders=senders).address == address


def test_no_secret_is_in_any_page_and_every_client_is() -> None:
    for name, page in pages(_card()).items():
        text = Shown(page).text if name.endswith("html") else page
        assert "HASH" not in text
        assert PASSWORD not in text
        for title, _ in CLIENTS.values():
            assert title in text
        for word in ("WPMS_SMTP_PASS", "ENCRYPTION_SMTPS", "SMTP_SSL", "EMAIL_USE_SSL", "tls: true", "secure: true"):
            assert word in text
