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
    LEGACY_SUITES,
    TLS_1_1,
    TLS_1_2,
    WEAK_SUITES,
    Answer,
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
    hello = client_hello(TLS_1_1, LEGACY_SUITES, "smtp.example.com")
    answer = _answer(certificate, ssl.TLSVersion.TLSv1, "ALL:@SECLEVEL=0", hello)
    assert answer is not None
    assert (answer.alert, answer.version) == (None, TLS_1_1)
    assert not answer.refused


def test_a_server_that_wants_tls_1_2_refuses_1_1(certificate: Path) -> None:
    hello = client_hello(TLS_1_1, LEGACY_SUITES, "smtp.example.com")
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
    hello = client_hello(TLS_1_2, WEAK_SUITES, "smtp.example.com")
    answer = _answer(certificate, ssl.TLSVersion.TLSv1_2, ciphers, hello)
    assert answer is not None
    assert answer.refused is refused


def test_the_offer_of_strong_suites_is_accepted_so_that_a_refusal_means_something(certificate: Path) -> None:
    hello = client_hello(TLS_1_2, (0xC02F,), "smtp.example.com")
    answer = _answer(certificate, ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM", hello)
    assert answer == Answer(version=TLS_1_2, suite=0xC02F)


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
