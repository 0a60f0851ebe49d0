# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The report says everything once, hides secrets, and its exit code is never better than its worst result."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from ansible_collections.postseal.mail.tests.verify.proof.catalogue import catalogue
from ansible_collections.postseal.mail.tests.verify.proof.junit import junit
from ansible_collections.postseal.mail.tests.verify.proof.outcome import Result, Results, Status
from ansible_collections.postseal.mail.tests.verify.proof.report import write
from ansible_collections.postseal.mail.tests.verify.proof.run import Run
from ansible_collections.postseal.mail.tests.verify.proof.text import lines
from hypothesis import given
from hypothesis import strategies as st

RUN = Run("staging", 1000.0, 1002.5, ("mail-a.example",), ("shop.example",))
PASS = Result("PORT-1", "mail-a.example 192.0.2.1:587", Status.PASSED)
FAIL = Result("SPF-1", "shop.example", Status.FAILED, "ns1 has nothing\x00", "publish <it>")
WARN = Result("SPF-2", "shop.example", Status.WARNED, "it ends in ?all", "end it in -all")
NOTE = Result("CRT-2", "shop.example", Status.NOTED, "an old kind of key", "make a new one")
GAP = Result("MSG-1", "mail-a.example 192.0.2.1:587", Status.NOT_TESTED, "421 busy")
NONE = Result("MX-1", "shop.example", Status.NOT_APPLICABLE, "the inventory names no mx")


@pytest.mark.parametrize(
    ("items", "code"),
    [([PASS], 0), ([PASS, NONE], 0), ([PASS, GAP], 2), ([PASS, GAP, FAIL], 1), ([FAIL], 1), ([NONE], 2), ([], 2)],
)
def test_exit_code(items: list[Result], code: int) -> None:
    assert Results(items).exit_code == code


@pytest.mark.parametrize(
    ("items", "code"), [([PASS, WARN], 3), ([WARN, NOTE], 3), ([PASS, NOTE], 0), ([WARN, GAP], 2), ([WARN, FAIL], 1)]
)
def test_warnings_count_when_asked_for_and_not_otherwise(items: list[Result], code: int) -> None:
    assert Results(items, strict=True).exit_code == code
    assert Results(items).exit_code == (0 if code == 3 else code)
    failures = junit(Results(items, strict=True), RUN).getroot().findall(".//failure")
    assert len(failures) == sum(one in (WARN, FAIL) for one in items)
    assert len(junit(Results(items), RUN).getroot().findall(".//failure")) == items.count(FAIL)


@given(st.lists(st.sampled_from([PASS, FAIL, GAP, NONE])))
def test_only_a_run_with_passes_and_neither_failures_nor_gaps_ends_with_0(items: list[Result]) -> None:
    assert (Results(items).exit_code == 0) == (PASS in items and FAIL not in items and GAP not in items)


def test_a_warning_has_a_line_with_its_remedy_after_the_failures() -> None:
    said = lines(Results([WARN, FAIL, NOTE]), RUN)
    assert [line.partition(":")[0] for line in said if "Remedy" in line] == [
        "FAILED SPF-1, shop.example",
        "WARNING SPF-2, shop.example",
        "info CRT-2, shop.example",
    ]


def test_terminal_has_a_line_for_each_failure_with_its_remedy_and_one_for_each_gap() -> None:
    said = lines(Results([PASS, FAIL, GAP, NONE, PASS]), RUN)
    assert [line for line in said if line.startswith("FAILED")] == [
        "FAILED SPF-1, shop.example: ns1 has nothing?. Remedy: publish <it>"
    ]
    assert "NOT TESTED mail-a.example 192.0.2.1:587: 421 busy (MSG-1)" in said
    assert "not applicable shop.example: the inventory names no mx (MX-1)" in said
    assert said[-1] == "5 checks in 2.5 s: 2 passed, 1 failed, 1 not tested, 1 not applicable"


def test_one_cause_is_said_once_for_all_its_checks() -> None:
    also = Result("MSG-2", GAP.target, Status.NOT_TESTED, GAP.observed)
    assert "NOT TESTED mail-a.example 192.0.2.1:587: 421 busy (MSG-1, MSG-2)" in lines(Results([GAP, also]), RUN)


def test_files_hold_every_result_and_can_be_read_by_machines(tmp_path: Path) -> None:
    data, xml, html, news = write(Results([PASS, FAIL, GAP, NONE]), RUN, tmp_path / "new")
    report = json.loads(data.read_text())
    assert report["exit_code"] == 1
    assert {status: count for status, count in report["summary"].items() if count} == dict.fromkeys(
        ("passed", "failed", "not tested", "not applicable"), 1
    )
    assert [entry["status"] for entry in report["results"]] == ["passed", "failed", "not tested", "not applicable"]
    assert report["results"][1]["why"] == catalogue()["SPF-1"].why
    root = ET.parse(xml).getroot()  # noqa: S314  # our own file
    names = root.find("testsuite[@name='names']")
    assert names is not None
    assert (names.get("tests"), names.get("failures"), names.get("skipped")) == ("2", "1", "1")
    message = root.find("testsuite[@name='message']")
    assert message is not None
    assert message.get("errors") == "1"
    assert {path.name for path in data.parent.iterdir()} == {path.name for path in (data, xml, html, news)}
