# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What became of a load of mail: lost, come twice, come unasked, come wrong."""

from __future__ import annotations

from typing import Any

from tests.lab.load import Outcome

GOOD = [
    {"algorithm": name, "domain": "a.test", "result": "pass", "selector": "s"}
    for name in ("rsa-sha256", "ed25519-sha256")
]


def _verdict(*signatures: dict[str, str]) -> dict[str, Any]:
    return {"dkim": list(signatures), "dmarc": "pass"}


def test_every_message_is_accounted_for() -> None:
    outcome = Outcome(accepted={1: "a", 2: "b", 3: "a"})
    outcome.add(1, "a.test", ("a", "ONE"), _verdict(*GOOD))
    outcome.add(2, "a.test", ("b", "TWO"), _verdict(*GOOD))
    outcome.add(2, "a.test", ("b", "TWO"), _verdict(*GOOD))
    outcome.add(4, "a.test", ("a", "FOUR"), _verdict(*GOOD))
    assert outcome.lost == {3}
    assert outcome.copies == {2: [("b", "TWO"), ("b", "TWO")]}
    assert outcome.unanswered == {4}
    assert outcome.verified == {1, 2, 4}
    assert outcome.wrong == []


def test_a_message_with_one_signature_too_few_is_wrong_and_not_lost() -> None:
    outcome = Outcome(accepted={1: "a"})
    outcome.add(1, "a.test", ("a", "ONE"), _verdict(GOOD[0]))
    assert outcome.wrong == [_verdict(GOOD[0])]
    assert outcome.lost == outcome.verified == set()
