# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

from base64 import b64encode

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Slot
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import (
    caa,
    dkim,
    dmarc,
    mtasts,
    records,
    slots,
    tags,
    tlsrpt,
)
from hypothesis import given
from hypothesis import strategies as st

# RFC 8463 A.2
ED25519 = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


def test_dkim_record_names_its_type_and_forbids_the_rest() -> None:
    assert dkim.build("ed25519", ED25519) == b"v=DKIM1; k=ed25519; h=sha256; s=email; t=s; p=" + ED25519.encode()
    assert dkim.build("rsa2048", "AAAA").startswith(b"v=DKIM1; k=rsa; ")
    assert dkim.record_name("shop.test", "s1") == "s1._domainkey.shop.test"


@given(st.binary(min_size=1, max_size=400))
def test_dkim_key_comes_back(key: bytes) -> None:
    public = b64encode(key).decode()
    parsed = dkim.parse(dkim.build("rsa2048", public))
    assert (parsed.key_type, parsed.public, parsed.hashes, parsed.flags) == ("rsa", public, ("sha256",), ("s",))


def test_dkim_record_of_the_rfc_is_read_with_its_defaults() -> None:
    parsed = dkim.parse(b"v=DKIM1; k=ed25519;\n p=" + ED25519.encode())  # RFC 8463 A.2
    assert parsed == dkim.Dkim("ed25519", ED25519)
    assert dkim.parse(b"p=").public == "", "an empty p= is a revoked key (RFC 6376 3.6.1)"
    assert dkim.parse(b"k=rsa; p=AA AA").public == "AAAA"


@pytest.mark.parametrize(
    "data", [b"v=DKIM1; k=rsa", b"v=DKIM2; p=AAAA", b"p=AAAA; v=DKIM1", b"p=!!!", b"p=A; p=B", b"hello"]
)
def test_dkim_records_that_verifiers_ignore_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        dkim.parse(data)


def test_dkim_refuses_unknown_algorithms_and_keys_of_the_wrong_size() -> None:
    with pytest.raises(ValueError, match="not a DKIM algorithm"):
        dkim.build("dsa", "AAAA")
    with pytest.raises(ValueError, match="32 octets"):
        dkim.build("ed25519", "AAAA")


def test_dmarc_says_only_what_is_not_default() -> None:
    assert dmarc.build(dmarc.Dmarc("none")) == b"v=DMARC1; p=none"
    full = dmarc.Dmarc("reject", "quarantine", ("mailto:a@x.test", "mailto:b@x.test"), "s", "s")
    assert dmarc.build(full) == (
        b"v=DMARC1; p=reject; sp=quarantine; adkim=s; aspf=s; rua=mailto:a@x.test,mailto:b@x.test"
    )
    assert dmarc.parse(dmarc.build(full)) == full
    assert dmarc.record_name("shop.test") == "_dmarc.shop.test"


def test_dmarc_encodes_what_would_end_an_address() -> None:
    assert b"rua=mailto:a%2Cb%21c@x.test" in dmarc.build(dmarc.Dmarc("none", rua=("mailto:a,b!c@x.test",)))


def test_dmarc_reads_old_records_and_names_the_tags_rfc_9989_removed() -> None:
    parsed = dmarc.parse(b"v=DMARC1;p=Reject;pct=50; ri=3600; t=y")
    assert (parsed.policy, parsed.removed, parsed.testing) == ("reject", ("pct", "ri"), True)


@pytest.mark.parametrize("data", [b"p=reject; v=DMARC1", b"v=DMARC1; p=block", b"v=spf1 -all"])
def test_dmarc_records_that_receivers_discard_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        dmarc.parse(data)


def test_dmarc_refuses_unknown_policies() -> None:
    with pytest.raises(ValueError, match="block is not a DMARC policy"):
        dmarc.build(dmarc.Dmarc("block"))


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.from_regex(r"[!-:<-~]{0,20}", fullmatch=True)))
def test_tag_lists_come_back(found: dict[str, str]) -> None:
    assert tags.parse(tags.build(found.items())) == found


def test_tlsa_is_the_digest_of_the_key() -> None:
    assert records.tlsa("ab" * 32) == "3 1 1 " + "ab" * 32
    assert records.tlsa_name(465, "smtp.test") == "_465._tcp.smtp.test"
    with pytest.raises(ValueError, match="not a SHA-256 digest"):
        records.tlsa("AB" * 32)


def test_srv_points_to_the_service() -> None:
    assert records.srv(0, 465, "smtp.test") == "0 1 465 smtp.test."
    assert records.srv_name("submissions", "shop.test") == "_submissions._tcp.shop.test"
    with pytest.raises(ValueError, match="70000 is not a TCP port"):
        records.srv(0, 70000, "smtp.test")


@pytest.mark.parametrize(
    ("slot", "value", "held"),
    [
        (slots.SPF, b"v=spf1 -all", True),
        (slots.SPF, b"google-site-verification=v=spf1", False),
        (slots.DMARC, b"v = DMARC1 ; p=none", True),
        (slots.DMARC, b"v=DMARC10; p=none", False),
        (slots.TLSA, "3 1 1 aa", True),
        (slots.TLSA, "2 1 1 aa", False),
        (slots.dkim("s1"), b"anything", True),
        (slots.TLSRPT, b"v=TLSRPTv1;rua=mailto:a@b.test", True),
        (slots.TLSRPT, b"v=TLSRPTv2;rua=mailto:a@b.test", False),
        (slots.STS, b"v=STSv1; id=1;", True),
        (slots.STS, "v=STSv1; id=1;", False),
        (slots.caa_of('0 issue "ca.test; accounturi=https://ca.test/1"'), '0 issue "ca.test"', True),
        (slots.caa_of('0 issue "ca.test"'), '128 issue "CA.test ; validationmethods=dns-01"', True),
        (slots.caa_of('0 issue "ca.test"'), '0 issue "other.test"', False),
        (slots.caa_of('0 issue "ca.test"'), '0 issuewild "ca.test"', False),
        (slots.caa_of('0 iodef "mailto:a@b.test"'), '0 iodef "mailto:c@d.test"', True),
        (slots.caa_of('0 iodef "mailto:a@b.test"'), "garbage", False),
    ],
)
def test_slots_hold_what_mail_reads_there(slot: Slot, value: bytes | str, held: bool) -> None:
    assert slot.holds(value) is held


def test_dmarc_knows_the_tags_that_rfc_9989_added() -> None:
    added = dmarc.Dmarc("reject", testing=True, nonexistent_policy="quarantine", psd="n")
    assert dmarc.build(added) == b"v=DMARC1; p=reject; np=quarantine; t=y; psd=n"
    assert dmarc.parse(dmarc.build(added)) == added
    with pytest.raises(ValueError, match="np=none!"):
        dmarc.parse(b"v=DMARC1; p=none; np=none!")


@pytest.mark.parametrize(
    ("uri", "receiver"),
    [
        ("mailto:d@Reports.Test.", "reports.test"),
        ("MAILTO:d@reports.test!10m", "reports.test"),
        ("mailto:a%40b@reports.test?subject=x@y", "reports.test"),
        ("https://reports.test", ""),
        ("mailto:nobody", "nobody"),
    ],
)
def test_dmarc_finds_who_receives_reports(uri: str, receiver: str) -> None:
    assert dmarc.receiver_of(uri) == receiver


@pytest.mark.parametrize(
    ("receiver", "external"),
    [("shop.test", False), ("a.shop.test", False), ("test", False), ("other.test", True), ("myshop.test", True)],
)
def test_dmarc_reports_to_others_need_their_consent(receiver: str, external: bool) -> None:
    assert dmarc.external("shop.test", receiver) is external


URIS = st.from_regex(r"(mailto:[a-z,!;]{1,8}@[a-z]{1,8}\.test|https://[a-z]{1,8}\.test/[a-z,!;]{0,8})", fullmatch=True)


@given(st.lists(URIS, min_size=1, max_size=3))
def test_tlsrpt_comes_back(uris: list[str]) -> None:
    data = tlsrpt.build(uris)
    assert tlsrpt.is_tlsrpt(data)
    assert tlsrpt.parse(data) == tuple(map(tags.encoded_uri, uris))
    with pytest.raises(ValueError, match="at least one URI"):
        tlsrpt.build([])


@pytest.mark.parametrize(
    "data",
    [b"v=TLSRPTv1", b"v=TLSRPTv1; rua=", b"v=TLSRPTv1; rua=http://a.test", b"rua=mailto:a@b.test; v=TLSRPTv1", b"x"],
)
def test_tlsrpt_records_that_senders_discard_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        tlsrpt.parse(data)


@given(st.text("0123456789ABCXYZabcxyz", min_size=1, max_size=32))
def test_sts_comes_back(policy: str) -> None:
    assert mtasts.parse(mtasts.build(policy)) == policy
    assert mtasts.parse(f"v=STSv1; id={policy};".encode()) == policy


@pytest.mark.parametrize("policy", ["", "a-b", "x" * 33, "ü"])
def test_sts_refuses_other_ids(policy: str) -> None:
    with pytest.raises(ValueError, match="1 to 32"):
        mtasts.build(policy)
    with pytest.raises(ValueError, match=r".+"):
        mtasts.parse(f"v=STSv1; id={policy};".encode())


def test_sts_refuses_other_versions() -> None:
    with pytest.raises(ValueError, match="must come first"):
        mtasts.parse(b"id=1; v=STSv1")


def test_caa_examples_of_the_rfcs_are_read() -> None:
    # RFC 8657 5 and RFC 8659 4.2 to 4.4
    bound = caa.parse('0 issue "ca1.example.net; accounturi=https://example.net/account/1234"')
    assert (bound.issuer, bound.parameters) == (
        "ca1.example.net",
        (("accounturi", "https://example.net/account/1234"),),
    )
    assert caa.parse('0 issue ";"').issuer == ""
    assert caa.parse('0 issuewild "%%%%%"').issuer == "%%%%%"
    assert caa.parse('0 issue "ca1.example.net; account=230123"').parameters == (("account", "230123"),)
    assert caa.parse('128 tbs "Unknown"') == caa.Caa("tbs", "Unknown", flags=128)
    assert caa.parse('0 iodef "http://iodef.example.com/"').value == "http://iodef.example.com/"


@given(
    issuer=st.from_regex(r"[a-z]{1,9}\.test", fullmatch=True),
    account=st.none() | st.from_regex(r"https://[a-z]{1,9}\.test/[a-z0-9/?=&-]{0,9}", fullmatch=True),
    methods=st.lists(st.sampled_from(["http-01", "dns-01", "tls-alpn-01"]), unique=True),
)
def test_caa_comes_back(issuer: str, account: str | None, methods: list[str]) -> None:
    parsed = caa.parse(caa.issue(issuer, account, methods))
    said = dict(parsed.parameters)
    assert (parsed.tag, parsed.issuer, parsed.flags) == ("issue", issuer, 0)
    assert said.get("accounturi") == account
    assert said.get("validationmethods", "") == ",".join(methods)


@pytest.mark.parametrize("text", ["0 issue", '0 issue "a" "b"', 'x issue "a"', '0 issue "a; b"', '0 issue "a; =b"'])
def test_caa_refuses_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        caa.parse(text)


def test_caa_refuses_to_write_what_would_end_its_text() -> None:
    with pytest.raises(ValueError, match="not a parameter"):
        caa.issue("ca.test", 'https://ca.test/"')
    with pytest.raises(ValueError, match="not a parameter"):
        caa.issue("ca.test", "https://ca.test/1; x=y")
    with pytest.raises(ValueError, match="not a URI"):
        caa.iodef('mailto:"@x.test')


@pytest.mark.parametrize(
    ("key", "value", "label"),
    [
        (("shop.test", "TXT"), b"v=spf1 -all", "spf"),
        (("shop.test", "TXT"), b"google-site-verification=x", None),
        (("shop.test", "TXT"), b"v=DMARC1; p=none", None),
        (("_dmarc.shop.test", "TXT"), b"v=DMARC1; p=none", "dmarc"),
        (("_dmarc.shop.test", "TXT"), b"hello", None),
        (("a.test._report._dmarc.shop.test", "TXT"), b"v=DMARC1", "report-consent"),
        (("s1._domainkey.shop.test", "TXT"), b"anything", "dkim:s1"),
        (("s1._domainkey.shop.test", "CNAME"), "a.test.", "dkim:s1"),
        (("www.shop.test", "CNAME"), "a.test.", "alias"),
        (("mta-sts.shop.test", "CNAME"), "a.test.", "sts-host"),
        (("shop.test", "MX"), "0 .", "mx"),
        (("shop.test", "NS"), "ns.test.", None),
        (("shop.test", "CAA"), '0 issue "ca.test"', "caa:issue:ca.test"),
        (("shop.test", "CAA"), "?", None),
        (("_465._tcp.a.test", "TLSA"), "3 1 1 aa", "tlsa:3 1 1"),
        (("_465._tcp.a.test", "TLSA"), "2 1 1 aa", None),
    ],
)
def test_the_slot_of_what_is_found(key: tuple[str, str], value: bytes | str, label: str | None) -> None:
    slot = slots.slot_of(key, value)
    assert (slot.label if slot else None) == label
