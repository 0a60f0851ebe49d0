# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The handmade ClientHello against a real TLS library in memory, willing and unwilling."""

from __future__ import annotations

import contextlib
import ssl
import warnings
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.tests.verify.proof.hello import (
    EXTENDED_MASTER_SECRET,
    HYBRID,
    KEY_SHARE,
    LEGACY,
    ODD_CURVES,
    RENEGOTIATION_INFO,
    SHA_1,
    STRONG,
    TLS_1_1,
    TLS_1_2,
    WEAK,
    X25519MLKEM768,
    Answer,
    Offer,
    client_hello,
    parse,
)
from hypothesis import given
from hypothesis import strategies as st


def _answer(certificate: Path, oldest: ssl.TLSVersion, ciphers: str, hello: bytes) -> Answer | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that old versions are deprecated is the point here
        context.minimum_version = oldest
    context.set_ciphers(ciphers)
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(coming, going, server_side=True)
    coming.write(hello)
    with contextlib.suppress(ssl.SSLError):
        server.do_handshake()
    return parse(going.read())


def test_a_server_that_accepts_tls_1_1_is_seen_to_do_so(certificate: Path) -> None:
    hello = client_hello(LEGACY, "smtp.example.com")
    answer = _answer(certificate, ssl.TLSVersion.TLSv1, "ALL:@SECLEVEL=0", hello)
    assert answer is not None
    assert (answer.alert, answer.version) == (None, TLS_1_1)
    assert not answer.refused


def test_a_server_that_wants_tls_1_2_refuses_1_1(certificate: Path) -> None:
    hello = client_hello(LEGACY, "smtp.example.com")
    answer = _answer(certificate, ssl.TLSVersion.TLSv1_2, "ALL:@SECLEVEL=0", hello)
    assert answer is not None
    assert answer.refused
    assert str(answer) == "alert protocol_version"


@pytest.mark.parametrize(
    ("ciphers", "refused"),
    [
        ("ECDHE+AESGCM:ECDHE+CHACHA20", True),
        ("AES128-SHA:@SECLEVEL=0", False),
        ("DHE+AESGCM:AES256-GCM-SHA384:@SECLEVEL=0", False),
        ("ECDHE-RSA-AES128-SHA256:@SECLEVEL=0", False),
    ],
)
def test_weak_suites_are_told_from_strong_ones(certificate: Path, ciphers: str, refused: bool) -> None:
    hello = client_hello(WEAK, "smtp.example.com")
    answer = _answer(certificate, ssl.TLSVersion.TLSv1_2, ciphers, hello)
    assert answer is not None
    assert answer.refused is refused


def test_the_offer_of_strong_suites_is_accepted_so_that_a_refusal_means_something(certificate: Path) -> None:
    hello = client_hello(Offer(TLS_1_2, (0xC02F,)), "smtp.example.com")
    answer = _answer(certificate, ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM", hello)
    assert answer is not None
    assert (answer.version, answer.suite, answer.compression) == (TLS_1_2, 0xC02F, 0)
    assert {EXTENDED_MASTER_SECRET, RENEGOTIATION_INFO} <= set(answer.extensions)


@pytest.mark.parametrize(
    ("offer", "ciphers", "refused"),
    [
        (STRONG, "ECDHE+AESGCM", False),
        # This library takes P-521 and others by default, and SHA-1 at the lowest security level.
        (ODD_CURVES, "ECDHE+AESGCM", False),
        (SHA_1, "ECDHE+AESGCM:@SECLEVEL=0", False),
        (SHA_1, "ECDHE+AESGCM:@SECLEVEL=2", True),
    ],
)
def test_groups_and_signatures_are_told_apart(certificate: Path, offer: Offer, ciphers: str, refused: bool) -> None:
    answer = _answer(certificate, ssl.TLSVersion.TLSv1_2, ciphers, client_hello(offer, "smtp.example.com"))
    assert answer is not None
    assert answer.refused is refused


def test_a_server_with_one_curve_refuses_the_odd_ones(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_ecdh_curve("prime256v1")
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(coming, going, server_side=True)
    coming.write(client_hello(ODD_CURVES, "smtp.example.com"))
    with contextlib.suppress(ssl.SSLError):
        server.do_handshake()
    answer = parse(going.read())
    assert answer is not None
    assert answer.refused


def test_the_group_that_a_server_of_tls_1_3_asks_for_is_read() -> None:
    extensions = b"\x00\x2b\x00\x02\x03\x04" + KEY_SHARE.to_bytes(2) + b"\x00\x02" + X25519MLKEM768.to_bytes(2)
    body = b"\x03\x03" + bytes(32) + b"\x00\x13\x01\x00" + len(extensions).to_bytes(2) + extensions
    handshake = b"\x02" + len(body).to_bytes(3) + body
    answer = parse(b"\x16\x03\x03" + len(handshake).to_bytes(2) + handshake)
    assert answer is not None
    assert answer.extensions[KEY_SHARE] == X25519MLKEM768.to_bytes(2)


def test_a_library_without_the_hybrid_group_refuses_it_and_does_not_choke_on_the_hello(certificate: Path) -> None:
    if ssl.OPENSSL_VERSION_INFO >= (3, 5):
        pytest.skip("this library has the group")
    answer = _answer(certificate, ssl.TLSVersion.TLSv1_2, "ALL", client_hello(HYBRID, "smtp.example.com"))
    assert answer is not None
    assert answer.refused


def test_a_warning_before_the_answer_is_skipped() -> None:
    warning, fatal = b"\x15\x03\x03\x00\x02\x01\x70", b"\x15\x03\x03\x00\x02\x02\x28"
    assert parse(warning) is None
    assert parse(warning + fatal) == Answer(alert=40)


def test_an_internal_error_is_no_refusal() -> None:
    assert not Answer(alert=80).refused


@given(st.binary(max_size=200))
def test_no_bytes_make_the_parser_fall(data: bytes) -> None:
    try:
        answer = parse(data)
    except ValueError:
        return
    assert answer is None or (answer.alert is None) != (answer.version is None)
