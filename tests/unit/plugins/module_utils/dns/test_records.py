# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import (
    RRset,
    chunks,
    lines,
    quoted,
    relative,
    shown,
    unquoted,
    within,
)
from ansible_collections.postseal.mail.plugins.module_utils.dns.wire import rdata_of, value_of
from hypothesis import given
from hypothesis import strategies as st


@given(st.binary(max_size=1200))
def test_txt_text_carries_any_octets(data: bytes) -> None:
    assert unquoted(quoted(data)) == data


@given(st.binary(max_size=1200))
def test_txt_text_means_the_same_to_dnspython(data: bytes) -> None:
    parsed = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TXT, quoted(data))
    assert value_of(parsed) == data


@given(st.binary(max_size=1200))
def test_txt_on_the_wire_carries_any_octets(data: bytes) -> None:
    rdata = rdata_of("TXT", data)
    wire = rdata.to_wire()
    assert wire is not None
    again = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.TXT, wire, 0, len(wire))
    assert value_of(again) == data


@pytest.mark.parametrize("size", [0, 1, 254, 255, 256, 510, 511])
def test_no_string_is_longer_than_255_octets(size: int) -> None:
    parts = list(chunks(b"x" * size))
    assert max(map(len, parts)) <= 255
    assert b"".join(parts) == b"x" * size
    assert len(parts) == max(1, -(-size // 255))


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('"v=spf1 -all"', b"v=spf1 -all"),
        ('"a" "b"', b"ab"),
        ("bare words", b"barewords"),
        (r'"semi\; colon"', b"semi; colon"),
        (r'"\226\130\172"', "€".encode()),
        (r'"a\"b\\c"', b'a"b\\c'),
        ('""', b""),
    ],
)
def test_reads_what_zone_files_hold(text: str, data: bytes) -> None:
    assert unquoted(text) == data


@pytest.mark.parametrize("text", ['"open', 'a"'])
def test_refuses_text_that_is_no_txt_data(text: str) -> None:
    with pytest.raises(ValueError, match="TXT"):
        unquoted(text)


def test_a_zone_holds_itself_and_what_is_below_but_no_lookalike() -> None:
    assert within("example.com", "example.com")
    assert within("a.b.example.com", "example.com")
    assert not within("notexample.com", "example.com")
    assert not within("com", "example.com")


def test_names_are_relative_to_the_zone() -> None:
    assert relative("shop.test", "shop.test") == "@"
    assert relative("_dmarc.shop.test", "shop.test") == "_dmarc"


def test_equal_sets_are_equal_whatever_the_order_and_case() -> None:
    one = RRset.of("Shop.Test.", "A", 60, ["192.0.2.2", "192.0.2.1", "192.0.2.1"])
    assert one == RRset.of("shop.test", "A", 60, ["192.0.2.1", "192.0.2.2"])
    assert lines(one) == ["shop.test. 60 IN A 192.0.2.1", "shop.test. 60 IN A 192.0.2.2"]


def test_a_long_value_is_short_in_a_message() -> None:
    assert len(shown(b"x" * 500)) == 90
    assert shown(b"short") == '"short"'


@pytest.mark.parametrize(
    ("rrtype", "text", "canonical"),
    [
        ("MX", "10 Mail.Example.TEST.", "10 mail.example.test."),
        ("TLSA", "3 1 1 " + "AB" * 32, "3 1 1 " + "ab" * 32),
        ("AAAA", "FD97:0:0::22", "fd97::22"),
        ("SRV", "0 1 465 Smtp.test.", "0 1 465 smtp.test."),
    ],
)
def test_values_have_one_canonical_text(rrtype: str, text: str, canonical: str) -> None:
    assert value_of(rdata_of(rrtype, text)) == canonical
