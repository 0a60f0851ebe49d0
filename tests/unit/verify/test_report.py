# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The report says everything once, hides secrets, and its exit code is never better than its worst result."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from ansible_collections.postseal.mail.tests.verify.proof.catalogue import catalogue
from ansible_collections.postseal.mail.tests.verify.proof.outcome import Result, Results, Status
from ansible_collections.postseal.mail.tests.verify.proof.report import MASK, Run, lines, without, write
from hypothesis import given
from hypothesis import strategies as st

RUN = Run("staging", 1000.0, 1002.5, ("mail-a.example",), ("shop.example",))
PASS = Result("PORT-1", "mail-a.example 192.0.2.1:587", Status.PASSED)
FAIL = Result("SPF-1", "shop.example", Status.FAILED, "ns1 has nothing\x00", "publish <it>")
GAP = Result("MSG-1", "mail-a.example 192.0.2.1:587", Status.NOT_TESTED, "421 busy")
WARN = Result("CRT-3", "mail-a.example 192.0.2.1:587", Status.WARNED, "12 days left", "renew", evidence=("it ends",))
NONE = Result("MX-1", "shop.example", Status.NOT_APPLICABLE, "the inventory names no mx")


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ([PASS], 0),
        ([PASS, NONE], 0),
        ([PASS, GAP], 2),
        ([PASS, GAP, FAIL], 1),
        ([FAIL], 1),
        ([NONE], 2),
        ([], 2),
        ([PASS, WARN], 0),
    ],
)
def test_exit_code(items: list[Result], code: int) -> None:
    assert Results(items).exit_code == code


@given(st.lists(st.sampled_from([PASS, FAIL, GAP, NONE])))
def test_only_a_run_with_passes_and_neither_failures_nor_gaps_ends_with_0(items: list[Result]) -> None:
    assert (Results(items).exit_code == 0) == (PASS in items and FAIL not in items and GAP not in items)


def test_terminal_has_a_line_for_each_failure_with_its_remedy_and_one_for_each_gap() -> None:
    said = lines(Results([PASS, FAIL, GAP, NONE, PASS]), RUN)
    assert [line for line in said if line.startswith("FAILED")] == [
        "FAILED SPF-1, shop.example: ns1 has nothing\x00. Remedy: publish <it>"
    ]
    assert "NOT TESTED mail-a.example 192.0.2.1:587: 421 busy (MSG-1)" in said
    assert "not applicable shop.example: the inventory names no mx (MX-1)" in said
    assert said[-1] == "5 checks in 2.5 s: 2 passed, 1 failed, 1 not tested, 1 not applicable"


def test_one_cause_is_said_once_for_all_its_checks() -> None:
    also = Result("MSG-2", GAP.target, Status.NOT_TESTED, GAP.observed)
    assert "NOT TESTED mail-a.example 192.0.2.1:587: 421 busy (MSG-1, MSG-2)" in lines(Results([GAP, also]), RUN)


def test_files_hold_every_result_and_can_be_read_by_machines(tmp_path: Path) -> None:
    data, junit = write(Results([PASS, FAIL, GAP, NONE, WARN]), RUN, tmp_path / "new")
    report = json.loads(data.read_text())
    assert report["exit_code"] == 1
    assert report["summary"] == {
        "passed": 1, "failed": 1, "warning": 1, "info": 0, "not tested": 1, "not applicable": 1
    }  # fmt: skip
    ends = ["passed", "failed", "not tested", "not applicable", "warning"]
    assert [entry["status"] for entry in report["results"]] == ends
    assert report["results"][4]["evidence"] == ["it ends"]
    assert report["results"][1]["why"] == catalogue()["SPF-1"].why
    root = ET.parse(junit).getroot()  # noqa: S314  # our own file
    names = root.find("testsuite[@name='names']")
    assert names is not None
    assert (names.get("tests"), names.get("failures"), names.get("skipped")) == ("2", "1", "1")
    message = root.find("testsuite[@name='message']")
    assert message is not None
    assert message.get("errors") == "1"
    said = root.findtext("testsuite[@name='tls']/testcase/system-out")
    assert said is not None
    assert said.startswith("warning: 12 days left")
    assert sorted(path.name for path in data.parent.iterdir()) == ["verify.json", "verify.xml"]


def test_secrets_are_masked_wherever_they_stand() -> None:
    told = Result("MSG-1", "x", Status.FAILED, "sent top-secret-1", "use top-secret-1", evidence=("a", "top-secret-1"))
    hidden = without(told, ["top-secret-1"])
    assert (hidden.observed, hidden.remedy) == (f"sent {MASK}", f"use {MASK}")
    assert hidden.evidence == ("a", MASK)
