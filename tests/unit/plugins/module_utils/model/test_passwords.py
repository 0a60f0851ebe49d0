# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Passwords: what is issued is random, what is accepted is hard to guess, hashes are Dovecot's."""

from __future__ import annotations

import base64
import hashlib
import random
import string
from collections.abc import Callable

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.passwords import (
    MIN_BITS,
    TOKEN_BYTES,
    check_hash,
    check_strength,
    new_token,
    ssha512,
    strength,
)
from ansible_collections.postseal.mail.plugins.module_utils.model.problems import Invalid
from ansible_collections.postseal.mail.plugins.module_utils.model.secret import Secret
from hypothesis import given
from hypothesis import strategies as st

LETTERS = string.ascii_letters + string.digits


def test_a_token_has_at_least_160_bits_and_needs_no_quoting() -> None:
    tokens = {new_token().reveal() for _ in range(500)}
    assert len(tokens) == 500
    assert TOKEN_BYTES * 8 >= 160
    for token in tokens:
        assert len(token) == TOKEN_BYTES * 4 / 3
        assert set(token) <= set(LETTERS + "-_")
        assert token[0].isalnum()
        assert token[-1].isalnum()
        assert check_strength(token).reveal() == token


@given(st.text(min_size=1), st.binary(min_size=4, max_size=32))
def test_a_hash_is_accepted_and_is_the_salted_digest(password: str, salt: bytes) -> None:
    written = ssha512(Secret(password), salt).reveal()
    assert check_hash(written).reveal() == written
    raw = base64.b64decode(written.removeprefix("{SSHA512}"))
    assert raw == hashlib.sha512(password.encode() + salt).digest() + salt


def test_two_hashes_of_one_password_differ() -> None:
    assert ssha512(Secret("x")) != ssha512(Secret("x"))


@pytest.mark.parametrize(
    "hashed",
    [
        "", "{}", "{SSHA512}", "{SSHA512}" + "A" * 86 + "==", "{SSHA512}" + "A" * 107, "{SSHA512}" + "A" * 106 + "=",
        "{SSHA512}A:" + "A" * 105 + "=", "{SHA512}" + "A" * 107 + "=", "{PLAIN}x", "{SHA512-CRYPT}$6$salt$short",
        "{ssha512}x", "{CRYPT}$y$j9T$x", "{BLF-CRYPT}$2y$10$x", "{SSHA512.HEX}00",
    ],
)  # fmt: skip
def test_a_hash_that_dovecot_might_misread_is_refused(hashed: str) -> None:
    with pytest.raises(Invalid):
        check_hash(hashed)


def _base64(source: random.Random) -> str:
    return base64.b64encode(source.randbytes(24)).decode()


def _hex(source: random.Random) -> str:
    return source.randbytes(20).hex()


def _base36(source: random.Random) -> str:
    return "".join(source.choices(string.ascii_lowercase + string.digits, k=40))


def _letters(source: random.Random) -> str:
    return "".join(source.choices(LETTERS, k=24))


@pytest.mark.parametrize("make", [_base64, _hex, _base36, _letters])
def test_random_passwords_of_every_alphabet_are_accepted(
    make: Callable[[random.Random], str],
) -> None:
    source = random.Random(1)  # noqa: S311
    refused = [password for password in (make(source) for _ in range(2000)) if strength(password) < MIN_BITS]
    assert len(refused) <= 0.02 * 2000


@pytest.mark.parametrize(
    "password",
    [
        "", "password", "Summer2026!", "Tr0ub4dor&3", "correct horse battery staple", "correcthorsebatterystaple",
        "TheQuickBrownFox2026Jumps!", "a1" * 20, "1234567890" * 5, "aA1!" * 10, "abcdefghijklmnopqrstuvwxyz0123456789",
        "qwertyuiopasdfghjklzxcvbnm", "ExampleShopExampleShopExampleShop!1", "pässwörd" * 9, "x" * 200, "0" * 200,
        "J7!kQ2#mZ", "with blank 9tFq-3mZr_Kd0xWbLs7uHv2nYc",
    ],
)  # fmt: skip
def test_passwords_that_people_choose_are_refused(password: str) -> None:
    with pytest.raises(Invalid):
        check_strength(password, "shop", "example", "com")


@given(st.text(alphabet=string.printable, max_size=60))
def test_more_of_it_never_makes_a_password_weaker_by_much(password: str) -> None:
    assert 0 <= strength(password) <= len(password) * 7
