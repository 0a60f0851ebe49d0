# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is different from the last run: for whoever reads a report every day, and wants to read only news."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from .outcome import Result, Status

LATEST, PREVIOUS = "verify.json", "verify.previous.json"
# What somebody has to look at; a note or a check that does not apply is no news.
TROUBLE = (Status.FAILED, Status.WARNED, Status.NOT_TESTED)


class Kind(StrEnum):
    """How a result differs: a problem that was not there, another one than before, or none any more."""

    NEW = "new"
    OTHER = "changed"
    REPAIRED = "repaired"


@dataclass(frozen=True)
class Change:
    """One check on one target that did not end as last time; ``before`` is its status then, if it had one.

    ``result`` is the present one; for a target that is gone, the old one as not applicable.
    """

    kind: Kind
    result: Result
    before: Status | None


@dataclass(frozen=True)
class Changes:
    """All changes since the run that began at ``since`` (ISO 8601); ``remaining`` problems are as they were."""

    since: str
    items: tuple[Change, ...]
    remaining: int


def rotate(directory: Path) -> Mapping[str, Any] | None:
    """Make the last report the previous one and return it; ``None`` if there is none that can be read."""
    latest, previous = directory / LATEST, directory / PREVIOUS
    try:
        if latest.exists():
            latest.replace(previous)
        found = json.loads(previous.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def compare(previous: Mapping[str, Any] | None, results: Iterable[Result]) -> Changes | None:
    """Return what changed since the document ``previous``; ``None`` if it is of no use.

    Checks that this run left out are not compared. Several results of a check on one target count as the worst.
    """
    try:
        old = _worst(_result(entry) for entry in (previous or {})["results"])
        since = str((previous or {})["started"])
    except (KeyError, TypeError, ValueError):
        return None
    new = _worst(results)
    ran = {check for check, _ in new}
    items, remaining = [], 0
    for key, result in new.items():
        before = old[key].status if key in old else None
        if result.status in TROUBLE:
            if result.status is before:
                remaining += 1
            else:
                items.append(Change(Kind.OTHER if before in TROUBLE else Kind.NEW, result, before))
        elif before in TROUBLE:
            items.append(Change(Kind.REPAIRED, result, before))
    for key, result in old.items():
        if key not in new and key[0] in ran and result.status in TROUBLE:
            gone = Result(result.check, result.target, Status.NOT_APPLICABLE, "it is no longer in the inventory")
            items.append(Change(Kind.REPAIRED, gone, result.status))
    order = list(Kind)
    return Changes(since, tuple(sorted(items, key=lambda change: order.index(change.kind))), remaining)


def _worst(results: Iterable[Result]) -> dict[tuple[str, str], Result]:
    found: dict[tuple[str, str], Result] = {}
    for result in results:
        key = (result.check, result.target)
        if key not in found or _rank(result.status) < _rank(found[key].status):
            found[key] = result
    return found


def _rank(status: Status) -> int:
    return TROUBLE.index(status) if status in TROUBLE else len(TROUBLE)


def _result(entry: Mapping[str, Any]) -> Result:
    return Result(str(entry["id"]), str(entry["target"]), Status(entry["status"]))
