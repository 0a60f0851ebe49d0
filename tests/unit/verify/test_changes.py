# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A daily reader learns of each new problem and each repair once, and of nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.tests.verify.proof.changes import LATEST, Changes, Kind, compare, rotate
from ansible_collections.postseal.mail.tests.verify.proof.document import document
from ansible_collections.postseal.mail.tests.verify.proof.outcome import Result, Results, Status
from ansible_collections.postseal.mail.tests.verify.proof.run import Run
from ansible_collections.postseal.mail.tests.verify.proof.text import news
from hypothesis import given, settings
from hypothesis import strategies as st

RUN = Run("staging", 1000.0, 1002.5, ("mail-a.example",), ("shop.example",))
TROUBLE = {Status.FAILED, Status.WARNED, Status.NOT_TESTED}
PAIRS = st.dictionaries(
    st.tuples(st.sampled_from(["SPF-1", "MSG-1", "PTR-1"]), st.sampled_from(["a", "b"])), st.sampled_from(Status)
)


def _results(statuses: dict[tuple[str, str], Status]) -> Results:
    return Results([Result(check, target, status, "seen", "do") for (check, target), status in statuses.items()])


def _between(old: Results, new: Results) -> Changes:
    found = compare(document(old, RUN), new.items)
    assert found is not None
    return found


@settings(deadline=None)
@given(PAIRS)
def test_the_same_again_is_no_news(statuses: dict[tuple[str, str], Status]) -> None:
    found = _between(_results(statuses), _results(statuses))
    assert found.items == ()
    assert found.remaining == sum(status in TROUBLE for status in statuses.values())
    assert news(found, _results(statuses), RUN) == []


@settings(deadline=None)
@given(PAIRS, PAIRS)
def test_every_problem_is_new_or_remains_and_every_old_one_remains_or_is_repaired(
    old: dict[tuple[str, str], Status], new: dict[tuple[str, str], Status]
) -> None:
    found = _between(_results(old), _results(new))
    kinds = [change.kind for change in found.items]
    arrived = sum(kind is not Kind.REPAIRED for kind in kinds)
    assert arrived + found.remaining == sum(status in TROUBLE for status in new.values())
    left_out = sum(
        status in TROUBLE and key not in new and key[0] not in {check for check, _ in new}
        for key, status in old.items()
    )
    were = sum(status in TROUBLE for status in old.values()) - left_out
    assert kinds.count(Kind.REPAIRED) + kinds.count(Kind.OTHER) + found.remaining == were


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (Status.PASSED, Status.FAILED, "NEW (was: passed) FAILED SPF-1, a: seen. Remedy: do"),
        (Status.FAILED, Status.NOT_TESTED, "CHANGED (was: failed) NOT TESTED SPF-1, a: seen"),
        (
            Status.FAILED,
            Status.PASSED,
            "REPAIRED SPF-1, a: The domain has exactly one SPF record, and it allows the mail hosts (seen)",
        ),
    ],
)
def test_a_line_says_what_it_was_and_what_to_do(before: Status, after: Status, line: str) -> None:
    new = _results({("SPF-1", "a"): after})
    headline, *said = news(_between(_results({("SPF-1", "a"): before}), new), new, RUN)
    assert said == [line]
    assert headline.endswith("since 1970-01-01T00:16:40+00:00")


def test_a_host_that_was_taken_out_is_no_problem_any_more_but_a_check_left_out_is_not_repaired() -> None:
    old = _results({("SPF-1", "a"): Status.FAILED, ("PTR-1", "a"): Status.FAILED})
    found = _between(old, _results({("SPF-1", "b"): Status.PASSED}))
    assert [(change.kind, change.result.check, change.result.target) for change in found.items] == [
        (Kind.REPAIRED, "SPF-1", "a")
    ]


def test_the_first_report_tells_every_problem() -> None:
    new = _results({("SPF-1", "a"): Status.FAILED, ("PTR-1", "a"): Status.PASSED})
    assert news(compare(None, new.items), new, RUN) == [
        "Proof of staging: 1 problems, first report",
        "NEW FAILED SPF-1, a: seen. Remedy: do",
    ]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"results": 1}', '{"results": [{"id": "x"}], "started": "x"}'])
def test_an_old_report_that_cannot_be_read_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / LATEST).write_text(text)
    assert compare(rotate(tmp_path), []) is None


def test_the_report_before_is_kept_until_there_is_another_one(tmp_path: Path) -> None:
    (tmp_path / LATEST).write_text(json.dumps({"started": "then"}))
    assert rotate(tmp_path) == {"started": "then"}
    assert not (tmp_path / LATEST).exists()
    # That run was cut off before it wrote anything.
    assert rotate(tmp_path) == {"started": "then"}
