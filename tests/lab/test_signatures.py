# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the signatures cover: nothing that a reader sees or acts on can be changed or added once a message has left."""

from __future__ import annotations

import re
from email import message_from_bytes

import pytest

from .applications import arrived, send, shop
from .site import HOSTS
from .test_lab_receiver import Kept, deliver

pytestmark = pytest.mark.usefixtures("standing_site")

BARE = "From: {login}\nTo: probe@receiver.test\nSubject: {token}"
FULL = """From: {login}
To: probe@receiver.test
Cc: other@receiver.test
Subject: {token}
Reply-To: shop@shop.test
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
In-Reply-To: <a@shop.test>
References: <a@shop.test>
List-Unsubscribe: <https://shop.test/u/1>
List-Unsubscribe-Post: List-Unsubscribe=One-Click"""
# Postfix adds the date and the message's name before they are signed.
ALWAYS = {
    *("from", "to", "cc", "subject", "date", "message-id", "reply-to"),
    *("content-type", "content-transfer-encoding"),
}
WHERE_PRESENT = {"mime-version", "in-reply-to", "references", "list-unsubscribe", "list-unsubscribe-post"}
RESULTS = {"pass": ["pass", "pass"], "fail": ["fail", "fail"]}


@pytest.fixture(params=HOSTS, ids=HOSTS, scope="module")
def host(request: pytest.FixtureRequest) -> str:
    """One host of each release."""
    return str(request.param)


def _left(host: str, headers: str) -> bytes:
    """Send a message with those header lines; return it as it arrived, with signatures that are good."""
    found = arrived(send(host, shop(), headers).token)
    assert found
    assert sorted(entry["result"] for entry in found[1]["dkim"]) == RESULTS["pass"], found[1]
    return found[0]


@pytest.fixture(scope="module")
def bare(host: str, standing_site: None) -> bytes:
    """A message with the least an application may write."""
    return _left(host, BARE)


@pytest.fixture(scope="module")
def full(host: str, standing_site: None) -> bytes:
    """A message with all headers that matter."""
    return _left(host, FULL)


def _tags(raw: bytes) -> list[dict[str, str]]:
    fields = message_from_bytes(raw).get_all("DKIM-Signature", [])
    pairs = [[part.partition("=") for part in re.sub(r"\s+", "", field).split(";") if part] for field in fields]
    return [{name: value for name, _, value in found} for found in pairs]


def _passed_on(raw: str, changed: str = "") -> Kept:
    """Deliver a message for which nothing else speaks: p=reject stops it, unless no author's domain can be told."""
    return deliver(raw, sender="x@shop7.test", code=250 if changed == "from" else 550)


def _results(kept: Kept) -> list[str]:
    return sorted(kept.signatures.values())


def test_each_header_is_signed_once_more_than_it_occurs(bare: bytes, full: bytes) -> None:
    for raw, present in ((bare, set()), (full, WHERE_PRESENT)):
        occurs = [name.lower() for name in message_from_bytes(raw)]
        expected = sorted(name for name in ALWAYS | present for _ in range(1 + occurs.count(name)))
        assert [sorted(tags["h"].split(":")) for tags in _tags(raw)] == [expected, expected]


def test_the_whole_body_is_signed_relaxed_and_without_an_end(full: bytes) -> None:
    assert sorted(tags["a"] for tags in _tags(full)) == ["ed25519-sha256", "rsa-sha256"]
    for tags in _tags(full):
        assert (tags["c"], tags["d"]) == ("relaxed/relaxed", "shop.test")
        assert set(tags) == {"v", "a", "c", "d", "s", "t", "h", "bh", "b"}, "no l=, x= or i="


def test_what_is_passed_on_as_it_is_still_verifies(bare: bytes, full: bytes) -> None:
    for raw in (bare, full):
        assert _results(deliver(raw.decode())) == RESULTS["pass"]
    assert _results(deliver("X-Spam: no\r\nSender: list@receiver.test\r\n" + full.decode())) == RESULTS["pass"]


@pytest.mark.parametrize("name", sorted(ALWAYS))
def test_a_header_that_was_not_there_cannot_be_added(bare: bytes, name: str) -> None:
    kept = _passed_on(f"{name}: x@bank.test\r\n" + bare.decode(), name)
    assert _results(kept) == RESULTS["fail"], kept.verdict


@pytest.mark.parametrize("name", sorted(ALWAYS | WHERE_PRESENT))
def test_a_header_that_was_there_cannot_be_added_again_or_changed(full: bytes, name: str) -> None:
    text = full.decode()
    again = f"{name}: <x@bank.test>\r\n" + text
    changed = re.sub(rf"(?im)^({name}:[^\r\n]*)", r"\1x", text, count=1)
    for raw in (again, changed):
        kept = _passed_on(raw, name)
        assert _results(kept) == RESULTS["fail"], kept.verdict


def test_nothing_can_be_appended_to_the_body(full: bytes) -> None:
    assert _results(_passed_on(full.decode() + "More.\r\n")) == RESULTS["fail"]
