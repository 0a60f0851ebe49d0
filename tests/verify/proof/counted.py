# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""How many connections and questions a run has cost others: it is told in the report."""

from __future__ import annotations

from collections import Counter
from threading import Lock

_LOCK = Lock()
_COUNTS: Counter[str] = Counter()


def count(kind: str, number: int = 1) -> None:
    """Add to what was made of one kind: ``smtp`` connections, ``ssh`` sessions, ``dns`` questions, ``scan``."""
    with _LOCK:
        _COUNTS[kind] += number


def totals() -> dict[str, int]:
    """Return how many there were of each kind so far."""
    with _LOCK:
        return dict(_COUNTS)
