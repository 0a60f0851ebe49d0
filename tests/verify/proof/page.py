# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The report as one HTML page that needs nothing else: no script, no style sheet, no network.

Evidence may be hostile, since servers and senders write it: every value is escaped, and the page forbids itself to load
or run anything (Content-Security-Policy).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ansible_collections.postseal.mail.plugins.plugin_utils.replies import seen
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from .catalogue import CATEGORIES, Check, catalogue
from .changes import Kind
from .horizon import Expiry
from .outcome import Result, Results, Status
from .run import SERVICE, Run
from .text import counts, one_line
from .views import WORST, Readiness, readiness

TEMPLATES = Path(__file__).resolve().parents[3] / "templates"
LONGEST_DAYS = 180  # the width of the time line
SOON_DAYS = 14  # as CRT-3 has it
# In the order in which somebody should read them; classes of the style sheet by status.
SHOWN = (Status.FAILED, Status.NOT_TESTED, Status.WARNED, Status.NOTED)
CLASSES = {
    Status.PASSED: "pass",
    Status.FAILED: "fail",
    Status.WARNED: "warn",
    Status.NOTED: "info",
    Status.NOT_TESTED: "open",
    Status.NOT_APPLICABLE: "none",
}
VERDICTS = {
    0: ("pass", "Everything that applies passed"),
    1: ("fail", "Something is wrong"),
    2: ("open", "Nothing failed, but not everything could be tested"),
    3: ("warn", "Nothing failed, but there are warnings"),
}
VIEW_CLASSES = {"ready": "pass", "not ready": "fail", "unknown": "open"}


@dataclass(frozen=True)
class Finding:
    """What a page shows of one result that is no pass."""

    result: Result
    check: Check
    replies: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Subject:
    """A host or domain with its verdict: the worst status, and how many results have which."""

    name: str
    kind: str
    status: Status
    counts: str


@dataclass(frozen=True)
class Span:
    """A expiry on the time line: whole days left, and the part of the line they take, in per cent."""

    expiry: Expiry
    days: int
    percent: int
    style: str


@dataclass(frozen=True)
class Row:
    """A check of the catalogue with all its results."""

    check: Check
    status: Status
    results: tuple[Result, ...]


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # One line of evidence stays one line, and what steers terminals or turns text round is shown as a question mark.
    environment.filters["line"] = one_line
    return environment.get_template("verify-report.html.j2")


def page(results: Results, run: Run) -> str:
    """Return the page."""
    style, verdict = VERDICTS[results.exit_code]
    return _template().render(
        run=run,
        style=style,
        verdict=verdict,
        counts=counts(Counter(result.status for result in results.items)),
        total=len(results.items),
        subjects=list(_subjects(results, run)),
        findings=[_finding(result) for status in SHOWN for result in results.having(status)],
        spans=[_span(expiry, run) for expiry in run.expiries],
        longest=LONGEST_DAYS,
        views=readiness(results),
        view_summary=_view_summary,
        changes=run.changes,
        since=run.changes.since.replace("T", " ").replace("+00:00", " UTC") if run.changes else "",
        repaired=Kind.REPAIRED,
        categories=[(category, rows) for category in CATEGORIES if (rows := list(_rows(category, results)))],
        classes=CLASSES,
        view_classes=VIEW_CLASSES,
        titles={name: check.title for name, check in catalogue().items()},
        exit_code=results.exit_code,
    )


def _finding(result: Result) -> Finding:
    return Finding(result, catalogue()[result.check], seen(result.observed))


def _subjects(results: Results, run: Run) -> Iterable[Subject]:
    """Yield the hosts, the domains and what they share, each with its verdict; without a result there is none."""
    for name, kind in (
        *((host, "host") for host in run.hosts),
        *((one, "domain") for one in run.domains),
        (SERVICE, ""),
    ):
        about = [result.status for result in results.items if run.subject(result) == name]
        if about:
            yield Subject(name, kind, worst(about), counts(Counter(about)))


def worst(statuses: Iterable[Status]) -> Status:
    """Return the status that matters most among ``statuses``."""
    found = set(statuses)
    return next((status for status in WORST if status in found), Status.NOT_APPLICABLE)


def _span(expiry: Expiry, run: Run) -> Span:
    days = expiry.days(run.began)
    style = "fail" if days < 0 else "warn" if days < SOON_DAYS and expiry.what == "certificate" else "pass"
    return Span(expiry, int(days), max(1, min(100, round(100 * days / LONGEST_DAYS))), style)


def _rows(category: str, results: Results) -> Iterable[Row]:
    for check in catalogue().values():
        found = tuple(result for result in results.items if result.check == check.id)
        if check.category == category and found:
            yield Row(check, worst(result.status for result in found), found)


def _view_summary(found: Readiness) -> str:
    asked = [answer for answer in found.answers if answer.requirement.checks]
    passed = sum(answer.status not in (Status.FAILED, Status.NOT_TESTED, None) for answer in asked)
    beyond = len(found.answers) - len(asked)
    return f"{passed} of {len(asked)} fulfilled" + (f", {beyond} not seen from here" if beyond else "")
