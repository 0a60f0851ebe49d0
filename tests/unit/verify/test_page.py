# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The page shows everything, loads nothing, and takes nothing that a server says for markup; JSON keeps its schema."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from ansible_collections.postseal.mail.tests.samples import HOSTILE, results, run
from ansible_collections.postseal.mail.tests.verify.proof.document import SCHEMA, SCHEMA_FILE, document
from ansible_collections.postseal.mail.tests.verify.proof.outcome import Result, Results, Status
from ansible_collections.postseal.mail.tests.verify.proof.page import page
from ansible_collections.postseal.mail.tests.verify.proof.run import Run
from ansible_collections.postseal.mail.tests.verify.proof.text import lines, one_line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

# What would fetch or run something. A link does so only when somebody follows it.
LOADING = {"script", "link", "img", "iframe", "object", "embed", "svg", "video", "audio", "base", "form", "input"}


class Reader(HTMLParser):
    """Collects the elements, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def _shape(html: str) -> list[str]:
    return Reader(html).elements


def _with(text: str) -> tuple[Results, Run]:
    one = Result("PORT-1", "mail-a.example.com 192.0.2.1:587", Status.FAILED, text, text)
    return Results([one]), Run(text, 0.0, 1.0, ("mail-a.example.com", text), (text,))


def test_the_page_loads_and_runs_nothing() -> None:
    read = Reader(page(results(), run()))
    assert not LOADING & set(read.elements)
    assert not [name for name, _ in read.attributes if name.startswith("on") or name in ("src", "srcset", "action")]
    assert {value for name, value in read.attributes if name == "href"} >= {
        "https://support.google.com/mail/answer/81126"
    }
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in read.attributes


def test_hostile_evidence_is_shown_as_it_is() -> None:
    shown = Reader(page(results(), run())).text
    for text in HOSTILE:
        assert one_line(text) in shown


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text(min_size=1) | st.sampled_from(HOSTILE))
def test_no_text_changes_the_structure_of_the_page(text: str) -> None:
    assert _shape(page(*_with(text))) == _shape(page(*_with("harmless")))


@settings(deadline=None)
@given(st.text() | st.sampled_from(HOSTILE))
def test_no_text_writes_lines_or_steers_the_terminal(text: str) -> None:
    said = lines(*_with(text))
    assert len(said) == len(lines(*_with("harmless")))
    assert all(line.isprintable() for line in said[1:])


def test_every_problem_is_on_the_page_with_its_remedy() -> None:
    shown = Reader(page(results(), run())).text
    for result in results().having(Status.FAILED, Status.WARNED, Status.NOT_TESTED):
        assert one_line(result.observed) in shown
        assert one_line(result.remedy) in shown


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (Status.PASSED, "Everything that applies passed"),
        (Status.FAILED, "Something is wrong"),
        (Status.NOT_TESTED, "Nothing failed, but not everything could be tested"),
        (Status.WARNED, "Everything that applies passed"),
    ],
)
def test_the_verdict_is_that_of_the_exit_code(status: Status, verdict: str) -> None:
    found = Results([Result("PORT-1", "a", Status.PASSED), Result("SPF-1", "b", status, "seen", "do")])
    assert f"<strong>{verdict}.</strong>" in page(found, Run("x", 0.0, 1.0, ("a",), ("b",)))


def _validator() -> Draft202012Validator:
    schema = json.loads(SCHEMA_FILE.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_json_report_keeps_its_schema() -> None:
    for found, about in ((results(), run()), (Results([]), Run("x", 0.0, 1.0, (), ()))):
        # As it is read back: what JSON cannot hold would not survive.
        assert list(_validator().iter_errors(json.loads(json.dumps(document(found, about))))) == []


def test_the_schema_notices_what_is_missing_or_unknown() -> None:
    good = document(results(), run())
    assert good["schema"] == SCHEMA
    for broken in (
        {key: value for key, value in good.items() if key != "results"},
        {**good, "schema": SCHEMA + 1},
        {**good, "exit_code": 4},
        {**good, "results": [{**good["results"][0], "status": "fine"}]},
        {**good, "summary": {**good["summary"], "fine": 1}},
    ):
        assert not _validator().is_valid(broken)
