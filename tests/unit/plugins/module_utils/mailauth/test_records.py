# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

from base64 import b64encode

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Slot
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import dkim, dmarc, records, slots, tags
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
    ],
)
def test_slots_hold_what_mail_reads_there(slot: Slot, value: bytes | str, held: bool) -> None:
    assert slot.holds(value) is held
