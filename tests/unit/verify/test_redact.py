# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""No secret of the inventory and nobody's address can be read in evidence, in whatever form it came."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from urllib.parse import quote

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Credential, Dns, Model, Submission, Tls
from ansible_collections.postseal.mail.tests.verify.proof.outcome import Result, Status
from ansible_collections.postseal.mail.tests.verify.proof.redact import (
    HIDDEN_LOCAL_PART,
    MASK,
    Redaction,
    forms,
    redaction,
)
from hypothesis import given, settings
from hypothesis import strategies as st

PASSWORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=8, max_size=40)
MODEL = Model("lab", (), Submission(), Tls("https://acme.test/dir", None), Dns(()), (), ())
AROUND = st.text(max_size=30)
# Local parts as RFC 5321 4.1.2 and RFC 6531 3.3 have them.
ATOMS = st.text(st.sampled_from("abcXYZ019!#$%&'*+-/=?^_`{|}~äлø"), min_size=1, max_size=12)
LOCAL_PARTS = st.lists(ATOMS, min_size=1, max_size=3).map(".".join) | ATOMS.map(lambda text: f'"{text} {text}"')
DOMAINS = st.sampled_from(["example.com", "mail.example.co.uk", "xn--bcher-kva.example", "büro.example", "[192.0.2.1]"])


@settings(deadline=None)
@given(PASSWORDS, AROUND, AROUND)
def test_a_secret_cannot_be_read_in_any_form(secret: str, before: str, after: str) -> None:
    hidden = Redaction(forms([secret], [("shop@shop.example", secret)]))
    plain = b64encode(f"\0shop@shop.example\0{secret}".encode()).decode()
    for form in (secret, b64encode(secret.encode()).decode(), plain, quote(secret, safe=""), repr(secret)[1:-1]):
        shown = hidden.text(f"{before} {form} {after}")
        assert form not in shown or form in f"{before} {MASK} {after}"


@settings(deadline=None)
@given(AROUND, LOCAL_PARTS, DOMAINS)
def test_nobodys_address_can_be_read(before: str, local: str, domain: str) -> None:
    shown = Redaction().text(f"{before} <{local}@{domain}> was refused")
    assert f"<{local}@{domain}" not in shown or local == HIDDEN_LOCAL_PART
    assert f"@{domain}> was refused" in shown


@settings(deadline=None)
@given(st.text())
def test_masking_twice_is_masking_once(text: str) -> None:
    once = Redaction(("secret-secret",)).text(text)
    assert Redaction(("secret-secret",)).text(once) == once


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("MAIL FROM:<anna.meier@firm.example>: 553", "MAIL FROM:<***@firm.example>: 553"),
        ("MAIL FROM:<postseal-forged@shop.test>: 250", "MAIL FROM:<postseal-forged@shop.test>: 250"),
        ("rua=mailto:dmarc@shop.test", "rua=mailto:dmarc@shop.test"),
        ("rua=mailto:other@shop.test", "rua=mailto:***@shop.test"),
        ("write to postmaster@shop.test", "write to postmaster@shop.test"),
        ("unknown command: AUTH PLAIN AGFubmEAc2VjcmV0", f"unknown command: AUTH PLAIN {MASK}"),
        ("EHLO inside TLS offers AUTH PLAIN LOGIN", "EHLO inside TLS offers AUTH PLAIN LOGIN"),
        ("journalctl -u 'postfix@-.service'", "journalctl -u 'postfix@-.service'"),
    ],
)
def test_what_stays_readable(text: str, shown: str) -> None:
    assert Redaction(public=frozenset({"dmarc@shop.test"})).text(text) == shown


def test_what_the_inventory_names_stays_readable_and_others_do_not() -> None:
    model = replace(MODEL, credentials=(Credential("shop", "shop.test", None, ("orders@shop.test", "@news.test")),))
    shown = redaction(model).text("shop@shop.test, Orders@shop.test, anna@shop.test, anna@news.test, @news.test")
    assert shown == "shop@shop.test, Orders@shop.test, ***@shop.test, ***@news.test, @news.test"


def test_evidence_and_remedy_are_both_masked() -> None:
    told = Result("MSG-1", "x", Status.FAILED, "sent top-secret-1", "use top-secret-1")
    hidden = Redaction(forms(["top-secret-1"])).result(told)
    assert (hidden.observed, hidden.remedy) == (f"sent {MASK}", f"use {MASK}")
