# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The foreign receiver: does it tell a good message from a forged one? A judge that never says no proves nothing."""

from __future__ import annotations

import json
import shlex
import smtplib
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.name
import dns.query
import pytest

from .site import LAB_STATE, ROOT, lab_with_input
from .test_lab import NS1, NS2, RESOLVER, text_at, update, within

RECEIVER = "10.97.0.10"
DOMAIN = "shop8.test"
MESSAGE = f"From: Shop <a@{DOMAIN}>\r\nTo: <c@receiver.test>\r\nSubject: hello\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@{DOMAIN}>\r\n\r\nThe first line.\r\nThe second.\r\n"  # fmt: skip # noqa: E501


@dataclass(frozen=True)
class Kept:
    """A message as the receiver keeps it."""

    raw: bytes
    verdict: dict[str, Any]

    @property
    def signatures(self) -> dict[str, str]:
        """The result of each signature by its selector."""
        return {entry["selector"]: entry["result"] for entry in self.verdict["dkim"]}


@pytest.fixture(scope="module")
def signed() -> Iterator[str]:
    """A message signed twice, by a domain whose records say what they should; p=reject."""
    program = (ROOT / "tests/lab/signer.py").read_text()
    answer = json.loads(lab_with_input(MESSAGE, "ssh", "receiver", f"python3 -c {shlex.quote(program)} {DOMAIN}"))
    records = {
        "@": "v=spf1 ip4:10.97.0.1 -all",
        "_dmarc": "v=DMARC1; p=reject",
        **{f"{selector}._domainkey": record for selector, record in answer["keys"].items()},
    }
    message = update(zone=DOMAIN)
    for name, value in records.items():
        chunks = " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255))
        message.replace(name, 5, "TXT", chunks)
    dns.query.tcp(message, NS1, timeout=3)
    last = f"e._domainkey.{DOMAIN}"
    assert within(5, lambda: text_at(NS2, last) != [] and text_at(RESOLVER, last) != [])
    yield answer["message"]
    message = update(zone=DOMAIN)
    for name in records:
        message.delete(name, "TXT")
    dns.query.tcp(message, NS1, timeout=3)


def deliver(raw: str, sender: str = f"bounce@{DOMAIN}", code: int = 250) -> Kept:
    """Hand RAW to the receiver over STARTTLS; what it kept of it."""
    before = set((LAB_STATE / "mail").glob("[!.]*.json"))
    context = ssl.create_default_context(cafile=str(LAB_STATE / "pki/receiver-ca.crt"))
    context.check_hostname = False  # the address is connected to; the chain is what is checked
    with smtplib.SMTP(RECEIVER, 25, local_hostname=f"mail.{DOMAIN}", timeout=20) as client:
        client.starttls(context=context)
        client.ehlo()
        client.mail(sender)
        client.rcpt("c@receiver.test")
        assert client.data(raw.encode())[0] == code
    new = set((LAB_STATE / "mail").glob("[!.]*.json")) - before
    path = next(path for path in new if path.with_suffix(".eml").read_bytes() == raw.encode())
    kept = Kept(path.with_suffix(".eml").read_bytes(), json.loads(path.read_text()))
    for leftover in (path, path.with_suffix(".eml")):
        Path(leftover).unlink()
    return kept


def test_a_good_message_passes_everything(signed: str) -> None:
    kept = deliver(signed)
    assert kept.raw == signed.encode()
    assert kept.signatures == {"r": "pass", "e": "pass"}
    assert {entry["algorithm"] for entry in kept.verdict["dkim"]} == {"rsa-sha256", "ed25519-sha256"}
    assert (kept.verdict["spf"], kept.verdict["dmarc"], kept.verdict["accepted"]) == ("pass", "pass", True)
    assert kept.verdict["tls"] == "TLSv1.3"
    assert kept.verdict["peer"] == "10.97.0.1"
    assert kept.verdict["to"] == ["c@receiver.test"]
    assert f"dmarc=pass header.from={DOMAIN}" in kept.verdict["authentication_results"]


def test_a_changed_body_breaks_both_signatures(signed: str) -> None:
    kept = deliver(signed.replace("The second.", "The third."))
    assert kept.signatures == {"r": "fail", "e": "fail"}
    # SPF still passes, aligned; DMARC asks for one of the two.
    assert kept.verdict["dmarc"] == "pass"


def test_a_changed_signature_breaks_that_one_alone(signed: str) -> None:
    head, _, tail = signed.partition("s=r;")
    assert "DKIM-Signature" in head
    kept = deliver(f"{head}s=r; x=1;{tail}")
    assert kept.signatures == {"r": "fail", "e": "pass"}


def test_a_stranger_is_refused_by_the_domains_policy(signed: str) -> None:
    kept = deliver(signed.replace("The second.", "The third."), sender="x@shop7.test", code=550)
    assert (kept.verdict["spf"], kept.verdict["dmarc"], kept.verdict["accepted"]) == ("none", "fail", False)


def test_aligned_dkim_alone_is_enough(signed: str) -> None:
    kept = deliver(signed, sender="x@shop7.test")
    assert (kept.verdict["spf"], kept.verdict["dmarc"]) == ("none", "pass")


def publish_spf(text: str) -> None:
    message = update(zone=DOMAIN)
    message.replace("@", 5, "TXT", f'"{text}"')
    dns.query.tcp(message, NS1, timeout=3)
    assert within(5, lambda: text_at(NS2, DOMAIN) == text_at(RESOLVER, DOMAIN) == [text])
    # The resolver may have asked the one server before, and the other after: its cache lives two seconds.
    time.sleep(2)


def test_spf_fails_for_an_address_the_domain_does_not_name(signed: str) -> None:
    publish_spf("v=spf1 ip4:10.97.0.99 -all")
    kept = deliver(signed)
    publish_spf("v=spf1 ip4:10.97.0.1 -all")
    assert (kept.verdict["spf"], kept.verdict["dmarc"]) == ("fail", "pass")


def test_a_key_that_is_withdrawn_verifies_nothing(signed: str) -> None:
    name = dns.name.from_text(f"r._domainkey.{DOMAIN}")
    message = update(zone=DOMAIN)
    message.delete(name, "TXT")
    dns.query.tcp(message, NS1, timeout=3)
    assert within(5, lambda: text_at(NS2, str(name)) == text_at(RESOLVER, str(name)) == [])
    time.sleep(2)
    kept = deliver(signed)
    assert kept.signatures["r"] != "pass"
    assert kept.signatures["e"] == "pass"
