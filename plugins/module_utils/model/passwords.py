# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Passwords of applications: make one, hash it, tell a strong one from a weak one. Decision 0012 says why so."""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from base64 import b64encode
from itertools import pairwise

from .problems import Invalid
from .secret import Secret

TOKEN_BYTES = 24
MIN_BITS = 80
_SALT_BYTES = 16
# A word of a list of some two thousand, which is what a guesser has for a run of letters.
_WORD_BITS = 11
_SCHEME = re.compile(r"\{([^{}]*)\}")
_SHA512_CRYPT = re.compile(
    r"\{SHA512-CRYPT\}\$6\$(?:rounds=([1-9][0-9]{3,8})\$)?[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{86}"
)
_SSHA512 = re.compile(r"\{SSHA512\}[A-Za-z0-9+/]+={0,2}")
_DEFAULT_ROUNDS = 5000
_DIGEST_BYTES = 64
_SLOW = ("ARGON2I", "ARGON2ID", "BLF-CRYPT", "PBKDF2", "SCRYPT")
_FIX = "issue one with: ansible-playbook playbooks/credential.yml"


def new_token() -> Secret:
    """Return a random password of 192 bits that needs no quoting anywhere: letters, digits, ``-`` and ``_``."""
    while True:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        # A first or last character that reads as an option or as punctuation gets lost on its way.
        if token[0].isalnum() and token[-1].isalnum():
            return Secret(token)


def ssha512(password: Secret, salt: bytes | None = None) -> Secret:
    """Return the ``{SSHA512}`` hash of ``password``: base64 of SHA-512 over password and salt, then the salt."""
    used = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    digest = hashlib.sha512(password.reveal().encode() + used).digest()
    return Secret("{SSHA512}" + b64encode(digest + used).decode())


def derived_salt(login: str) -> bytes:
    """Return the salt for a password that the inventory holds: the same in every run, another for every login."""
    return hashlib.sha256(b"postseal credential " + login.encode()).digest()[:_SALT_BYTES]


def check_hash(written: str) -> Secret:
    """Return a hash that both Dovecot 2.3 and 2.4 check fast; raises :class:`Invalid`."""
    scheme = _SCHEME.match(written)
    name = scheme[1].upper() if scheme else ""
    if not scheme:
        raise Invalid(f"must begin with its scheme, {{SSHA512}} or {{SHA512-CRYPT}}; {_FIX}")
    if name in _SLOW:
        raise Invalid(
            f"is slow on purpose ({name}): a few wrong logins a second keep a host busy, and random passwords "
            f"need no slow hash; {_FIX}"
        )
    if name not in ("SSHA512", "SHA512-CRYPT"):
        raise Invalid(f"has a scheme that is not accepted; it must be {{SSHA512}} or {{SHA512-CRYPT}}; {_FIX}")
    if name == "SHA512-CRYPT":
        match = _SHA512_CRYPT.fullmatch(written)
        if not match:
            raise Invalid(f'must be "{{SHA512-CRYPT}}$6$<salt>$<hash>", whole; {_FIX}')
        if int(match[1] or _DEFAULT_ROUNDS) > _DEFAULT_ROUNDS:
            raise Invalid(f"has more than {_DEFAULT_ROUNDS} rounds, which keeps a host busy at every login; {_FIX}")
    elif not _SSHA512.fullmatch(written) or not _salted(written):
        raise Invalid(f'must be "{{SSHA512}}<base64 of digest and salt>", whole; {_FIX}')
    return Secret(written)


def _salted(written: str) -> bool:
    encoded = written.partition("}")[2]
    return len(encoded) % 4 == 0 and len(encoded) * 3 // 4 - encoded.count("=") > _DIGEST_BYTES


def check_strength(written: str, *names: str) -> Secret:
    """Return ``written`` as a secret; raises :class:`Invalid` where somebody who knows ``names`` could guess it."""
    if not written.isascii() or not written.isprintable() or " " in written:
        # RFC 4616 and clients' settings agree on ASCII only.
        raise Invalid(f"must be visible ASCII characters without blanks; {_FIX}")
    rest = written
    for name in names:
        rest = re.sub(re.escape(name), "", rest, flags=re.IGNORECASE)
    if strength(rest) < MIN_BITS:
        raise Invalid(f"is too easy to guess; {_FIX}, or make one with: openssl rand -base64 24")
    return Secret(written)


def strength(password: str) -> int:
    """Return an estimate of how many bits a guesser has to try, on the low side.

    What could be a word counts as one, what comes again or lies in a row on a keyboard counts next to nothing, and all
    else by the size of its alphabet.
    """
    choice = math.log2(sum(size for pattern, size in _ALPHABETS if re.search(pattern, password)) or 1)
    bits, seen = 0.0, set[str]()
    for part in _PARTS.findall(password):
        if part in seen:
            bits += 1
            continue
        seen.add(part)
        # A long number is a year or a day more often than not, so only its digits count.
        one = math.log2(10) if part.isdigit() and len(part) > 2 else choice  # noqa: PLR2004
        each = one
        for before, after in pairwise(part):
            pair = (before + after).lower()
            each += 0 if pair in seen else 1 if before == after or pair in _ROWS else one
            seen.add(pair)
        bits += min(each, _WORD_BITS) if _WORD.fullmatch(part) else each
    return int(bits)


_ALPHABETS = ((r"[a-z]", 26), (r"[A-Z]", 26), (r"[0-9]", 10), (r"[^a-zA-Z0-9]", 8))
# A run of letters, capitalised or in one case, a number, one other character.
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^a-zA-Z0-9]")
# It has a vowel, and no five consonants in a row.
_WORD = re.compile(r"(?=.*[aeiouy])(?!.*[bcdfghjklmnpqrstvwxz]{5})[a-z]+", re.IGNORECASE)
_ROWS = "qwertyuiop asdfghjkl zxcvbnm abcdefghijklmnopqrstuvwxyz 01234567890"
_ROWS += " " + _ROWS[::-1]
