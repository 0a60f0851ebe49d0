# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""How a check ended, from what it raised."""

from __future__ import annotations

from collections.abc import Mapping

from .catalogue import catalogue, remedy
from .outcome import CheckFailedError, NotApplicableError, NotTestedError, Status


def verdict(identifier: str, error: BaseException | None, context: Mapping[str, str]) -> tuple[Status, str, str]:
    """Return how a check ended, what was seen and, for a finding, what to do."""
    if error is None:
        return Status.PASSED, "", ""
    if isinstance(error, CheckFailedError):
        advice = remedy(identifier, {**context, **error.remedy})
        return Status.of(catalogue()[identifier].level), error.observed, advice
    if isinstance(error, NotApplicableError):
        return Status.NOT_APPLICABLE, str(error), ""
    reason = str(error) if isinstance(error, NotTestedError) else f"the check itself is broken: {error!r}"
    return Status.NOT_TESTED, reason, ""
