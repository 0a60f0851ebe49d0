# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Judgements over what was observed: what passes, what fails, and what nobody can tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dkim.states import PUBLISHED, SIGNING, KeyState, Lifecycle
from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim, Slot
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import slots
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Dkim, Domain
from ansible_collections.postseal.mail.tests.verify.proof.authenticated import Smuggling
from ansible_collections.postseal.mail.tests.verify.proof.judge import (
    expect_claim,
    expect_no_relay,
    expect_one_message,
    listens_to_the_world,
    overdue,
)
from ansible_collections.postseal.mail.tests.verify.proof.names import Answer, Server
from ansible_collections.postseal.mail.tests.verify.proof.outcome import CheckFailedError, NotTestedError
from ansible_collections.postseal.mail.tests.verify.proof.smtp import Reply
from ansible_collections.postseal.mail.tests.verify.proof.submission import Attempt

NO, YES, LATER = Reply(554, ("no",)), Reply(250, ("ok",)), Reply(451, ("later",))
ONE, TWO = Server("ns1", "192.0.2.1"), Server("ns2", "192.0.2.2")


def _attempts(*replies: Reply) -> list[Attempt]:
    return [Attempt("f@a.example", f"t{number}@b.example", reply) for number, reply in enumerate(replies)]


def test_refusing_every_relay_passes() -> None:
    expect_no_relay(_attempts(NO, NO))


def test_one_accepted_relay_fails_and_is_named() -> None:
    with pytest.raises(CheckFailedError, match=r"t2@b\.example"):
        expect_no_relay(_attempts(NO, LATER, YES))


def test_a_temporary_refusal_leaves_the_question_open() -> None:
    with pytest.raises(NotTestedError, match="451 later"):
        expect_no_relay(_attempts(NO, LATER))


@pytest.mark.parametrize(
    ("message", "after", "raised"),
    [
        (NO, YES, None),
        (YES, YES, None),
        (NO, None, None),
        (Reply(521, ("bare LF",)), None, None),
        (NO, Reply(500, ("what?",)), CheckFailedError),
        (NO, NO, CheckFailedError),
        (LATER, YES, NotTestedError),
        (YES, None, NotTestedError),
    ],
)
def test_smuggling(message: Reply, after: Reply | None, raised: type[Exception] | None) -> None:
    attempt = Smuggling(b"\n.\n", message, after)
    if raised is None:
        expect_one_message(attempt)
    else:
        with pytest.raises(raised):
            expect_one_message(attempt)


def _claim(value: Value, slot: Slot = slots.SPF_MERGED, *, signed: bool = False) -> Claim:
    rrtype = "TXT" if isinstance(value, bytes) else "TLSA"
    return Claim("shop.example", rrtype, slot, value, 300, "shop.example", "domain", requires_dnssec=signed)


SPF = b"v=spf1 ip4:192.0.2.1 -all"


@pytest.mark.parametrize(
    "values",
    [
        (SPF,),
        (b"some-verification=1", SPF),
        (b"v=spf1 include:other.example ip4:192.0.2.1 -all",),
    ],
)
def test_a_served_claim_passes(values: tuple[bytes, ...]) -> None:
    expect_claim(_claim(SPF), [Answer(ONE, values), Answer(TWO, values)])


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ((), "nothing at shop.example TXT"),
        ((b"v=spf1 ip4:192.0.2.9 -all",), "192.0.2.9"),
        ((b"v=spf1 ip4:192.0.2.1 ~all",), "~all"),
        ((b"v=spf1 ip4:192.0.2.1 ?nonsense -all",), "nonsense"),
        ((SPF, b"v=spf1 -all"), "2 spf records"),
    ],
)
def test_one_server_that_says_otherwise_fails_and_is_named(values: tuple[bytes, ...], cause: str) -> None:
    with pytest.raises(CheckFailedError, match=cause) as caught:
        expect_claim(_claim(SPF), [Answer(ONE, (SPF,)), Answer(TWO, values)])
    assert "ns2 (192.0.2.2)" in caught.value.observed
    assert caught.value.remedy["record"].startswith("shop.example. TXT ")


def test_a_silent_server_leaves_the_question_open_but_hides_no_failure() -> None:
    silent = Answer(ONE, failure="does not answer")
    with pytest.raises(NotTestedError, match="ns1"):
        expect_claim(_claim(SPF), [silent, Answer(TWO, (SPF,))])
    with pytest.raises(CheckFailedError):
        expect_claim(_claim(SPF), [silent, Answer(TWO)])


def test_tlsa_without_a_signature_fails() -> None:
    value = "3 1 1 " + "ab" * 32
    claim = _claim(value, slots.TLSA, signed=True)
    expect_claim(claim, [Answer(ONE, (value,), signed=True)])
    with pytest.raises(CheckFailedError, match="without a signature"):
        expect_claim(claim, [Answer(ONE, (value,))])


OURS, MINE, FOREIGN = (f"3 1 1 {digits * 32}" for digits in ("ab", "cd", "ef"))


def test_what_other_claims_ask_for_may_stand_beside_and_nothing_else() -> None:
    claim = _claim(OURS, slots.TLSA)
    other_kind = "2 1 1 " + "ef" * 32
    expect_claim(claim, [Answer(ONE, (OURS, MINE, other_kind))], [OURS, MINE])
    with pytest.raises(CheckFailedError, match=f"also has {FOREIGN} at") as caught:
        expect_claim(claim, [Answer(ONE, (OURS, MINE)), Answer(TWO, (OURS, MINE, FOREIGN))], [OURS, MINE])
    assert caught.value.remedy["record"] == f"shop.example. TLSA {OURS}, {MINE}, and nothing beside it"


@pytest.mark.parametrize(
    ("address", "world"),
    [("0.0.0.0", True), ("[::]", True), ("*", True), ("192.0.2.1", True), ("127.0.0.1", False), ("[::1]", False),
     ("127.0.0.53%lo", False)],
)  # fmt: skip
def test_loopback_is_not_the_world(address: str, world: bool) -> None:
    assert listens_to_the_world({"address": address, "port": 25, "process": ""}) is world


NOW = datetime(2026, 7, 1, tzinfo=UTC)


def _signs(days: int, algorithm: str = "rsa2048") -> KeyState:
    return KeyState("shop.test", f"s-{algorithm}", algorithm, SIGNING, NOW - timedelta(days=days))


def test_a_key_is_overdue_by_the_inventorys_own_measure_and_its_successor_counts() -> None:
    quick, slow = (Domain("shop.test", dkim=Dkim(rotate_every=days * 86400)) for days in (30, 365))
    known = Lifecycle((_signs(100), _signs(10, "ed25519")))
    assert [line.partition(" ")[0] for line in overdue(known, quick, NOW)] == ["s-rsa2048"]
    assert overdue(known, slow, NOW) == []
    assert overdue(known, Domain("shop.test", dkim=Dkim(rotate_every=0)), NOW) == []
    under_way = known.put(KeyState("shop.test", "next", "rsa2048", PUBLISHED, NOW))
    assert overdue(under_way, quick, NOW) == []
