# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A readiness view is never better than the worst of its checks, and says what nobody can see from here."""

from __future__ import annotations

import pytest
from ansible_collections.postseal.mail.tests.verify.proof.catalogue import catalogue
from ansible_collections.postseal.mail.tests.verify.proof.outcome import Result, Results, Status
from ansible_collections.postseal.mail.tests.verify.proof.views import READY, UNKNOWN, UNREADY, readiness, views

ASKED = sorted({check for view in views() for asked in view.requirements for check in asked.checks})


def _all(status: Status, **other: Status) -> Results:
    return Results([Result(check, "x", other.get(check.replace("-", "_"), status)) for check in catalogue()])


def test_every_view_asks_for_checks_and_names_its_source() -> None:
    assert len({view.id for view in views()}) == len(views()) >= 5
    for view in views():
        assert view.source.startswith("https://")
        assert any(asked.checks for asked in view.requirements)


def test_a_good_system_is_ready_and_a_run_without_results_is_not() -> None:
    assert {found.verdict for found in readiness(_all(Status.PASSED))} == {READY}
    assert {found.verdict for found in readiness(Results([]))} == {UNKNOWN}


@pytest.mark.parametrize("check", ASKED)
def test_one_failure_makes_exactly_the_views_that_ask_for_it_unready(check: str) -> None:
    found = readiness(_all(Status.PASSED, **{check.replace("-", "_"): Status.FAILED}))
    asking = {view.id for view in views() for asked in view.requirements if check in asked.checks}
    assert {one.view.id for one in found if one.verdict == UNREADY} == asking


@pytest.mark.parametrize("check", ASKED)
def test_what_was_not_tested_is_unknown_not_ready(check: str) -> None:
    found = readiness(_all(Status.PASSED, **{check.replace("-", "_"): Status.NOT_TESTED}))
    asking = {view.id for view in views() for asked in view.requirements if check in asked.checks}
    assert {one.view.id for one in found if one.verdict == UNKNOWN} == asking
