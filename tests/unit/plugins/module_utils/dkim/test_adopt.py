# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which keys of other signers are taken over, and what is then known of them."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dkim.adopt import (
    Adoption,
    AdoptionError,
    Found,
    adopt,
    belongs,
)
from ansible_collections.postseal.mail.plugins.module_utils.dkim.states import (
    PLANNED,
    PUBLISHED,
    REMOVED,
    RETIRING,
    REVOKED,
    SIGNING,
    KeyState,
    Lifecycle,
    from_document,
    to_document,
)
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import dkim
from ansible_collections.postseal.mail.plugins.module_utils.model.keys import DkimPublicKey, HostKeys
from ansible_collections.postseal.mail.plugins.module_utils.model.types import (
    Dns,
    Domain,
    MailHost,
    Model,
    Submission,
    Tls,
)
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
THEN = datetime(2026, 1, 1, tzinfo=UTC)
A, B = "mail-a.example.com", "mail-b.example.com"
MODEL = Model(
    environment="production",
    hosts=(MailHost(A, ("192.0.2.1",), ()), MailHost(B, ("192.0.2.2",), ())),
    submission=Submission(),
    tls=Tls("https://acme.test/dir", None),
    dns=Dns(()),
    domains=(Domain("example.com"), Domain("example.org"), Domain("parked.example", parked=True)),
    credentials=(),
)
_RSA = rsa.generate_private_key(65537, 2048).public_key()
SPKI = base64.b64encode(_RSA.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
PKCS1 = base64.b64encode(_RSA.public_bytes(Encoding.DER, PublicFormat.PKCS1)).decode()
KEY = Found("example.com", "mail", "rsa2048", 2048, SPKI, "/keys/example.com/mail.private")
RECORD = f"v=DKIM1; k=rsa; p={SPKI}".encode()
HELD = (HostKeys(A, (), ()), HostKeys(B, (), ()))
ED = DkimPublicKey("example.org", "production-20260101-ed25519", "ed25519", base64.b64encode(b"e" * 32).decode())


def _adopt(*found: Found, held: tuple[HostKeys, ...] = HELD, record: Any = RECORD, **more: Any) -> Adoption:
    records = (record,) if isinstance(record, bytes) else record
    return adopt(MODEL, held, found, {key.name: records for key in found}, NOW, **more)


def _refusal(*found: Found, **more: Any) -> str:
    with pytest.raises(AdoptionError) as caught:
        _adopt(*found, **more)
    return str(caught.value)


@pytest.mark.parametrize("public", [SPKI, PKCS1], ids=["SubjectPublicKeyInfo", "RSAPublicKey"])
def test_the_published_key_signs_with_the_record_it_has(public: str) -> None:
    record = f"v=DKIM1; n=old; p={public}"
    adoption = _adopt(KEY, record=record.encode())
    assert adoption.keys == (KEY,)
    assert adoption.known.keys == (KeyState("example.com", "mail", "rsa2048", SIGNING, NOW, record),)
    assert adoption.notes == ()


def test_the_record_survives_the_state_file() -> None:
    known = _adopt(KEY, record=f"v=DKIM1; n=by hand; p={SPKI}".encode()).known
    document = json.loads(json.dumps(to_document(known, "production")))
    assert from_document(document, "production") == known
    assert "record" not in to_document(Lifecycle((replace(known.keys[0], record=""),)), "production")["keys"][0]


def test_the_other_half_must_be_the_one_that_is_published() -> None:
    other = Found("example.com", "mail", "ed25519", 256, ED.public, "/e")
    assert belongs(other, dkim.parse(f"v=DKIM1; k=ed25519; p={ED.public}".encode()))
    for record in (RECORD, b"v=DKIM1; k=ed25519; p=" + base64.b64encode(b"x" * 32)):
        assert "does not belong to the key that is published" in _refusal(other, record=record)
    tail = base64.b64encode(base64.b64decode(SPKI)[-32:])
    assert "does not belong" in _refusal(KEY, record=b"v=DKIM1; p=" + tail), "an end of a key is no key"


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ((RECORD, RECORD + b"; n=2"), "2 records are published"),
        (b"v=DKIM2; p=x", "cannot be read"),
        (f"v=DKIM1; h=sha1; p={SPKI}".encode(), "allows sha1 only"),
        (TimeoutError("no answer"), "cannot be compared with what is published: no answer"),
        ((), "nothing is published for it"),
        (b"v=DKIM1; p=", "it is revoked"),
    ],
)
def test_what_the_world_sees_decides(record: Any, words: str) -> None:
    assert words in _refusal(KEY, record=record)


def test_one_key_that_is_refused_stops_all_and_one_that_is_left_out_none() -> None:
    stranger = replace(KEY, domain="example.net", path="/keys/example.net/mail.private")
    parked = replace(KEY, domain="parked.example")
    adoption = _adopt(KEY, stranger, parked)
    assert adoption.keys == (KEY,)
    assert len(adoption.notes) == 2
    assert "sends as example.net" in adoption.notes[0]
    short = replace(KEY, selector="old", algorithm="rsa1024", bits=1024)
    wrong = replace(KEY, selector="x", public=ED.public)
    problems = _refusal(KEY, short, wrong)
    assert "old._domainkey.example.com" in problems
    assert "x._domainkey.example.com" in problems


def test_a_weak_key_is_taken_over_when_that_is_said() -> None:
    short = replace(KEY, algorithm="rsa1024", bits=1024)
    assert "has 1024 bits" in _refusal(short)
    (note,) = _adopt(short, weak=True).notes
    assert "retires once a key that is named signs" in note


def test_a_selector_that_is_taken_is_nobody_elses() -> None:
    other = DkimPublicKey("example.com", "mail", "rsa2048", PKCS1)
    assert f"{B} holds another key" in _refusal(KEY, held=(HELD[0], HostKeys(B, (other,), ())))
    for state in (REVOKED, REMOVED):
        used = Lifecycle((KeyState("example.com", "mail", "rsa2048", state, THEN),))
        assert f"was {state} on 2026-01-01" in _refusal(KEY, held=(HostKeys(A, (), (), used), HELD[1]))
    twice = replace(KEY, path="/copy")
    assert _adopt(KEY, twice).keys == (twice,)


def test_keys_that_come_back_from_a_backup_go_on_where_they_were() -> None:
    known = Lifecycle((KeyState("example.com", "mail", "rsa2048", RETIRING, THEN),))
    adoption = _adopt(KEY, held=(HostKeys(A, (), (), known), HELD[1]))
    assert (adoption.known, adoption.keys) == (known, (KEY,))


@pytest.mark.parametrize("state", [PLANNED, PUBLISHED])
def test_a_key_that_was_made_meanwhile_gives_way(state: str) -> None:
    meanwhile = KeyState("example.com", "new", "rsa2048", state, THEN)
    others = (replace(meanwhile, selector="e", algorithm="ed25519"), replace(meanwhile, domain="example.org"))
    known = _adopt(KEY, held=(HostKeys(A, (), (), Lifecycle((meanwhile, *others))), HELD[1])).known
    assert {known.find(*key.name) for key in others} == set(others)
    assert known.find(*meanwhile.name) == replace(meanwhile, state=REMOVED, since=NOW)


def test_what_signed_before_there_were_states_goes_on_signing() -> None:
    adoption = _adopt(KEY, held=(HostKeys(A, (ED,), ()), HostKeys(B, (ED,), ())))
    assert {(key.selector, key.state) for key in adoption.known.keys} == {("mail", SIGNING), (ED.selector, SIGNING)}
