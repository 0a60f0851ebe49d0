# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The report as lines of text: the whole for a terminal, and what is new for a mail or a webhook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .catalogue import CATEGORIES, catalogue
from .changes import Changes, Kind
from .outcome import FINDINGS, Result, Results, Status
from .run import Run

WORDS = {Status.FAILED: "FAILED", Status.WARNED: "WARNING", Status.NOTED: "info"}


def lines(results: Results, run: Run) -> list[str]:
    """Return the terminal report: a line per category, one per finding with its remedy, one per gap, and the sum."""
    said = [f"Proof of {run.environment}: {', '.join(run.hosts)}; {', '.join(run.domains)}"]
    by_category: dict[str, Counter[Status]] = {category: Counter() for category in CATEGORIES}
    for result in results.items:
        by_category[catalogue()[result.check].category][result.status] += 1
    said += [f"  {category:<15} {counts(count)}" for category, count in by_category.items() if count]
    for status in FINDINGS:
        said += [finding(result) for result in results.having(status)]
    for status, word in ((Status.NOT_TESTED, "NOT TESTED"), (Status.NOT_APPLICABLE, "not applicable")):
        # One cause, such as a host that is down, leaves many checks open: it is said once for each target.
        gaps: dict[tuple[str, str], list[str]] = {}
        for result in results.having(status):
            gaps.setdefault((result.target, result.observed), []).append(result.check)
        said += [
            f"{word} {target}: {one_line(reason)} ({', '.join(checks)})" for (target, reason), checks in gaps.items()
        ]
    count = Counter(result.status for result in results.items)
    said.append(f"{len(results.items)} checks in {run.seconds:.1f} s: {counts(count)}")
    if run.connections:
        cost = ", ".join(f"{number} {kind}" for kind, number in sorted(run.connections.items()))
        said.append(f"connections and questions: {cost}")
    return said


def finding(result: Result) -> str:
    """Return one line: what is wrong where, what was seen, and what to do."""
    seen = one_line(f"{result.check}, {result.target}: {result.observed}")
    return f"{WORDS[result.status]} {seen}. Remedy: {one_line(result.remedy)}"


def counts(count: Counter[Status]) -> str:
    """Return how many results have which status."""
    return ", ".join(f"{count[status]} {status.value}" for status in Status if count[status]) or "nothing checked"


def news(changes: Changes | None, results: Results, run: Run) -> list[str]:
    """Return what changed, each with its remedy, ready for a mail; nothing if nothing did.

    Without a run to compare with, every problem is new.
    """
    if changes is None:
        problems = results.having(Status.FAILED, Status.WARNED, Status.NOT_TESTED)
        said = [_problem("NEW", result) for result in problems]
        return [f"Proof of {run.environment}: {len(problems)} problems, first report", *said] if said else []
    if not changes.items:
        return []
    count = Counter(change.kind for change in changes.items)
    numbers = [f"{count[kind]} {kind.value}" for kind in Kind if count[kind]]
    said = [
        f"Proof of {run.environment}: {', '.join(numbers)}, {changes.remaining} as before; since {changes.since}",
    ]
    for change in changes.items:
        result = change.result
        if change.kind is Kind.REPAIRED:
            why = f" ({result.observed})" if result.observed else ""
            said.append(one_line(f"REPAIRED {result.check}, {result.target}: {catalogue()[result.check].title}{why}"))
        else:
            was = f" (was: {change.before.value})" if change.before else ""
            said.append(_problem(f"{change.kind.value.upper()}{was}", result))
    return said


def _problem(word: str, result: Result) -> str:
    if result.status is Status.NOT_TESTED:
        return one_line(f"{word} NOT TESTED {result.check}, {result.target}: {result.observed}")
    return f"{word} {finding(result)}"


def one_line(text: str) -> str:
    """Return ``text`` without line ends and control characters: evidence must not write lines of its own."""
    return "".join(character if character.isprintable() else "?" for character in text)


def coloured(said: Iterable[str]) -> Iterable[tuple[str, dict[str, bool]]]:
    """Return lines with how pytest's terminal is to show them."""
    colours = {"FAILED": "red", "WARNING": "yellow", "NOT TESTED": "yellow"}
    for line in said:
        yield line, {colour: True for word, colour in colours.items() if line.startswith(word)}
