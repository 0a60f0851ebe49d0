# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Readiness for what others ask: sender rules of large receivers and test sites, answered by the catalogue's checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from .catalogue import CatalogueError, catalogue
from .outcome import Results, Status

FILE = Path(__file__).resolve().parent.parent / "views.yml"
READY, UNREADY, UNKNOWN = "ready", "not ready", "unknown"
WORST = (Status.FAILED, Status.NOT_TESTED, Status.WARNED, Status.NOTED, Status.PASSED)


@dataclass(frozen=True)
class Requirement:
    """One thing asked for: the checks that answer it, or ``beyond``, which says who can see it."""

    title: str
    checks: tuple[str, ...] = ()
    beyond: str = ""


@dataclass(frozen=True)
class View:
    """What one party asks for, as its ``source`` (a URL) has it."""

    id: str
    title: str
    asks: str
    source: str
    requirements: tuple[Requirement, ...]


@dataclass(frozen=True)
class Answer:
    """A requirement and how it stands; ``None`` if nothing of it was looked at. ``missing`` are the checks at fault."""

    requirement: Requirement
    status: Status | None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Readiness:
    """A view, how each requirement stands, and the verdict: the worst of them, not an average."""

    view: View
    answers: tuple[Answer, ...]

    @property
    def verdict(self) -> str:
        """:data:`READY`, :data:`UNREADY`, or :data:`UNKNOWN` if something could not be tested or nothing was."""
        statuses = {answer.status for answer in self.answers if answer.requirement.checks}
        if Status.FAILED in statuses:
            return UNREADY
        return UNKNOWN if statuses & {Status.NOT_TESTED, None} else READY


@cache
def views() -> tuple[View, ...]:
    """Return all views; raises :class:`CatalogueError` for a bad entry or a check that does not exist."""
    found = []
    for entry in yaml.safe_load(FILE.read_text("utf-8")):
        requirements = [
            Requirement(asked["title"], tuple(asked.get("checks", ())), asked.get("beyond", ""))
            for asked in entry["requirements"]
        ]
        for asked in requirements:
            unknown = [check for check in asked.checks if check not in catalogue()]
            if unknown or bool(asked.checks) is bool(asked.beyond):
                raise CatalogueError(f"{FILE.name}: {entry['id']}: {asked.title}: checks {unknown or 'or beyond'}")
        found.append(View(**{**entry, "requirements": tuple(requirements)}))
    return tuple(found)


def readiness(results: Results) -> tuple[Readiness, ...]:
    """Return how far each view is satisfied by ``results``."""
    return tuple(Readiness(view, tuple(_answer(asked, results) for asked in view.requirements)) for view in views())


def _answer(asked: Requirement, results: Results) -> Answer:
    about = [result for result in results.items if result.check in asked.checks]
    # What does not apply to one target may apply to another; where it applies to none, nothing is missing.
    left_out = [check for check in asked.checks if check not in {result.check for result in about}]
    if left_out or not about:
        return Answer(asked, None, tuple(left_out))
    status = _worst(result.status for result in about)
    return Answer(asked, status, tuple(dict.fromkeys(one.check for one in about if one.status is status)))


def _worst(statuses: Iterable[Status]) -> Status:
    found = set(statuses)
    return next((status for status in WORST if status in found), Status.NOT_APPLICABLE)
