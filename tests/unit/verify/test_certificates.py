# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""For how long a certificate may be issued depends on the day on which it was."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible_collections.postseal.mail.tests.verify.proof.tls import most_days


@pytest.mark.parametrize(
    ("issued", "days"),
    [
        ((2020, 8, 31), 825),
        ((2026, 3, 14), 398),
        ((2026, 3, 15), 200),
        ((2027, 3, 14), 200),
        ((2027, 3, 15), 100),
        ((2029, 3, 15), 47),
        ((2040, 1, 1), 47),
    ],
)
def test_the_day_of_issue_decides(issued: tuple[int, int, int], days: int) -> None:
    assert most_days(datetime(*issued, tzinfo=UTC)) == days
