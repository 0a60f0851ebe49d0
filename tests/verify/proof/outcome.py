# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a check can end with. A check that returns has passed; everything else is said by raising."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """The ends of a check. Only ``PASSED`` is good news; ``NOT_TESTED`` says that nobody knows.

    A finding ends as ``FAILED``, ``WARNED`` or ``NOTED``, as the level of its check says (:meth:`of`).
    """

    PASSED = "passed"
    FAILED = "failed"
    WARNED = "warning"
    NOTED = "info"
    NOT_TESTED = "not tested"
    NOT_APPLICABLE = "not applicable"

    @classmethod
    def of(cls, level: str) -> Status:
        """Return how a finding of a check with ``level`` ends."""
        return {"fail": cls.FAILED, "warn": cls.WARNED, "info": cls.NOTED}[level]


FINDINGS = (Status.FAILED, Status.WARNED, Status.NOTED)


class CheckFailedError(Exception):
    """The system is not as it should be; how bad that is, the level of the check says.

    ``observed`` is what was seen, in one line, without secrets.
    """

    def __init__(self, observed: str, **remedy: str) -> None:
        super().__init__(observed)
        self.observed = observed
        self.remedy = remedy


class NotTestedError(Exception):
    """The check could not be carried out; the text says why. It is never a pass."""


class NotApplicableError(Exception):
    """The inventory leaves nothing to check here; the text says which variable would change that."""


@dataclass(frozen=True)
class Result:
    """One check on one target.

    ``observed`` is one line, empty for a pass; ``remedy`` is set for a finding. ``evidence`` is what the judgement
    rests on, for a pass too. ``host`` and ``domain`` name what the target belongs to, where it belongs to one.
    """

    check: str
    target: str
    status: Status
    observed: str = ""
    remedy: str = ""
    seconds: float = 0.0
    evidence: tuple[str, ...] = ()
    host: str = ""
    domain: str = ""


@dataclass
class Results:
    """All results of a run, in the order they came. ``strict``: a warning is no good end either."""

    items: list[Result] = field(default_factory=list)
    strict: bool = False

    def having(self, *statuses: Status) -> list[Result]:
        """Return the results with one of ``statuses``."""
        return [result for result in self.items if result.status in statuses]

    @property
    def exit_code(self) -> int:
        """0: all that applies passed. 1: something failed. 2: not all could be tested. 3: warnings, if ``strict``."""
        if self.having(Status.FAILED):
            return 1
        looked = self.having(Status.PASSED, Status.WARNED, Status.NOTED)
        if self.having(Status.NOT_TESTED) or not looked:
            return 2
        return 3 if self.strict and self.having(Status.WARNED) else 0
