# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Who an application may write as: envelope, From in all its forms, Sender and Resent headers; what mail leaves as."""

from __future__ import annotations

from email import message_from_bytes

import pytest

from .applications import application, arrived, deploy, send, shop

# They give both hosts another inventory.
pytestmark = pytest.mark.together

NEWS = application("news", senders=["news@shop.test", "@lists.shop.test", "@eu.shop.test"])
OTHER = application("other")
NOBODY = "x@no-such-name.shop.test"
BOUNCE = "bounces@eu.shop.test"
TO = "\nTo: probe@receiver.test\nSubject: {token}"


@pytest.fixture(scope="module", autouse=True)
def service(standing_hosts: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Both hosts know the applications above; lists.shop.test is a domain of its own, eu.shop.test is not."""
    domains = [
        {
            "name": "shop.test",
            "dmarc": {"policy": "reject"},
            "mx": [{"host": "receiver.receiver.test"}],
            "subdomains": ["eu"],
            "bounce": BOUNCE,
        },
        {"name": "lists.shop.test"},
    ]
    run = deploy(tmp_path_factory.mktemp("inventory"), [NEWS, OTHER], publish=True, postseal_domains=domains)
    assert run.returncode == 0, run.output


ALLOWED = {
    "own": "From: news@shop.test",
    "upper case": "From: NEWS@SHOP.TEST",
    "folded": "From: News\n <news@shop.test>",
    "no blank": "from:news@shop.test",
    "name": 'From: "News, the best" <news@shop.test>',
    "encoded name": "From: =?utf-8?q?N=C3=A9ws?= <news@shop.test>",
    "own address as the name": 'From: "news@shop.test" <news@shop.test>',
    "any of a domain": "From: spring@lists.shop.test",
    "any of a subdomain": "From: spring@eu.shop.test",
    "sender and resent": "From: news@shop.test\nSender: a@lists.shop.test\nResent-From: News <news@shop.test>",
    "the sign in a subject": "From: news@shop.test\nComments: ceo@bank.test",
}
REFUSED = {
    "other": "From: other@shop.test",
    "foreign": "From: ceo@bank.test",
    "subdomain of the address": "From: news@x.shop.test",
    "subdomain of the domain": "From: spring@x.lists.shop.test",
    "subdomain of a subdomain": "From: spring@x.eu.shop.test",
    "end of the domain": "From: spring@evil-lists.shop.test",
    "two headers": "From: news@shop.test\nFrom: ceo@bank.test",
    "two headers, the own last": "From: ceo@bank.test\nFrom: news@shop.test",
    "the same twice": "From: news@shop.test\nFrom: news@shop.test",
    "blank before the colon": "From: news@shop.test\nFrom : ceo@bank.test",
    "tab before the colon": "From\t: ceo@bank.test\nFrom: news@shop.test",
    "two addresses": "From: news@shop.test, ceo@bank.test",
    "two in brackets": "From: <ceo@bank.test> <news@shop.test>",
    "address before the brackets": "From: ceo@bank.test <news@shop.test>",
    "address after the brackets": "From: <news@shop.test> ceo@bank.test",
    "route": "From: <@bank.test:news@shop.test>",
    "group": "From: team: news@shop.test, ceo@bank.test;",
    "quoted name": 'From: "ceo@bank.test" <news@shop.test>',
    "quoted name with words": 'From: "The CEO ceo@bank.test (Bank)" <news@shop.test>',
    "encoded name with an address": "From: =?utf-8?b?Y2VvQGJhbmsudGVzdA==?= <news@shop.test>",
    "encoded sign": "From: ceo=?utf-8?q?=40?=bank.test <news@shop.test>",
    "quoted encoded word": 'From: "=?utf-8?q?ceo=40bank=2Etest?=" <news@shop.test>',
    "wide sign": "From: =?utf-8?q?ceo=EF=BC=A0bank=2Etest?= <news@shop.test>",
    "comment": "From: news@shop.test (ceo@bank.test)",
    "all encoded": "From: =?utf-8?q?news=40shop=2Etest?=",
    "empty": "From:",
    "empty brackets": "From: <>",
    "no domain": "From: news",
    "quoted local part": 'From: "news"@shop.test',
    "final dot": "From: news@shop.test.",
    "final dot in brackets": "From: News <news@shop.test.>",
    "homograph": "From: news@sh\u043ep.test",
    "sender": "From: news@shop.test\nSender: ceo@bank.test",
    "sender without an address": "From: news@shop.test\nSender: CEO of Bank",
    "second sender": "From: news@shop.test\nSender: news@shop.test\nSender: ceo@bank.test",
    "sender's name": 'From: news@shop.test\nSender: "ceo@bank.test" <news@shop.test>',
    "resent": "From: news@shop.test\nResent-From: ceo@bank.test",
    "second of resent": "From: news@shop.test\nResent-From: news@shop.test, ceo@bank.test",
    "resent sender": "From: news@shop.test\nResent-Sender: ceo@bank.test",
}


@pytest.mark.parametrize("header", ALLOWED.values(), ids=list(ALLOWED))
def test_what_a_credential_may_write_leaves(host: str, header: str) -> None:
    outcome = send(host, NEWS, header + TO, envelope="news@shop.test")
    assert outcome.code == 250, outcome


@pytest.mark.parametrize(
    "header", ["From : ceo@bank.test\nFrom: news@shop.test", "From: news@shop.test\0ceo@bank.test"]
)
def test_what_postfix_puts_right_is_right_when_it_leaves(host: str, header: str) -> None:
    found = arrived(send(host, NEWS, header + TO, envelope="news@shop.test").token)
    assert found
    assert message_from_bytes(found[0]).get_all("From") == ["news@shop.test"]
    assert b"\0" not in found[0]


def test_what_may_be_written_arrives_with_both_signatures(host: str) -> None:
    for header in ("From: news@shop.test", "From: spring@lists.shop.test"):
        found = arrived(send(host, NEWS, header + TO, envelope="news@shop.test").token)
        assert found
        assert len(found[1]["dkim"]) == 2
        assert {entry["domain"] for entry in found[1]["dkim"]} == {header.rpartition("@")[2]}


def test_a_subdomain_is_signed_and_aligned_by_its_domain(host: str) -> None:
    found = arrived(send(host, NEWS, "From: spring@eu.shop.test" + TO, envelope="bounce@eu.shop.test").token)
    assert found
    signatures = [(entry["domain"], entry["result"]) for entry in found[1]["dkim"]]
    assert signatures == [("shop.test", "pass")] * 2
    assert (found[1]["spf"], found[1]["dmarc"]) == ("pass", "pass")


@pytest.mark.parametrize("header", REFUSED.values(), ids=list(REFUSED))
def test_what_a_credential_may_not_write_is_refused(host: str, header: str) -> None:
    outcome = send(host, NEWS, header + TO, envelope="news@shop.test")
    assert outcome.code == 554, outcome


def test_a_refusal_says_what_is_allowed(host: str) -> None:
    allowed = "allowed: news@shop.test,@lists.shop.test,@eu.shop.test"
    for header in (
        "From: ceo@bank.test",
        'From: "ceo@bank.test" <news@shop.test>',
        "From: news@shop.test\nSender: x@y.z",
    ):
        assert allowed in send(host, NEWS, header + TO, envelope="news@shop.test").text
    refused = send(host, NEWS, envelope="ceo@bank.test")
    assert refused.code == 553
    assert "; allowed: news@shop.test, @lists.shop.test, @eu.shop.test" in refused.text


@pytest.mark.parametrize("envelope", ["other@shop.test", "ceo@bank.test", "x@x.lists.shop.test", "news@x.shop.test"])
def test_an_envelope_sender_of_others_is_refused(host: str, envelope: str) -> None:
    assert send(host, NEWS, "From: news@shop.test" + TO, envelope=envelope).code == 553


@pytest.mark.parametrize("envelope", ["", "bounce@lists.shop.test", "News@Shop.Test"])
def test_an_envelope_sender_of_ones_own_is_accepted(host: str, envelope: str) -> None:
    assert send(host, NEWS, "From: news@shop.test" + TO, envelope=envelope).code == 250


def test_a_missing_from_is_the_envelopes(host: str) -> None:
    found = arrived(send(host, NEWS, TO[1:], envelope="bounce@lists.shop.test").token)
    assert found
    assert b"From: bounce@lists.shop.test" in found[0]


def test_the_shop_is_not_troubled(host: str) -> None:
    assert arrived(send(host, shop()).token)


def test_failures_come_back_to_one_address_whoever_wrote(host: str) -> None:
    for header, leaves in (
        ("From: news@shop.test", BOUNCE),
        ("From: spring@lists.shop.test", "spring@lists.shop.test"),
    ):
        found = arrived(send(host, NEWS, header + TO, envelope=header.rpartition(" ")[2]).token)
        assert found
        verdict = found[1]
        assert (verdict["from"], verdict["spf"], verdict["dmarc"]) == (leaves, "pass", "pass"), verdict
        assert header.encode() in found[0]
    sent = send(host, NEWS, "From: news@shop.test" + TO, envelope="news@shop.test", recipients=(NOBODY,))
    assert sent.code == 250
    # The bounce holds the headers of what it is about.
    found = arrived(sent.token)
    assert found
    assert (found[1]["from"], found[1]["dmarc"]) == ("<>", "pass"), found[1]
    assert message_from_bytes(found[0])["To"] == BOUNCE
    assert [entry["result"] for entry in found[1]["dkim"]] == ["pass", "pass"]
