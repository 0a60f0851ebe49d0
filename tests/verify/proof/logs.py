# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Judgements about a mail host's log: pure functions over what :func:`host.logwatch.observe` returned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Files go a thirtieth before their first line is too old (postseal-log-expire.service).
PARTS = 30
DAY = 86400


def kept_otherwise(log: Mapping[str, Any], retention: int) -> list[str]:
    """Return why lines may be kept longer, or elsewhere, than ``retention`` (seconds) allows."""
    found = []
    if not log["expires"]:
        found.append("nothing removes old lines: postseal-log-expire.timer is not active")
    if log["vacuum"] != retention - retention // PARTS:
        found.append(f"lines are kept for {_days((log['vacuum'] or 0) * PARTS / (PARTS - 1))}, not {_days(retention)}")
    if log["oldest"] is not None and log["oldest"] > retention:
        found.append(f"the oldest line is {_days(log['oldest'])} old, more than {_days(retention)}")
    for unit, service in log["services"].items():
        if not service["writes"]:
            found.append(f"{unit} does not write to the journal postseal")
        found += [f"lines of {unit} are also in {place}" for place in service["copies"]]
    return found


def read_by_others(log: Mapping[str, Any], readers: str) -> list[str]:
    """Return who else than ``readers`` may read the log."""
    other = [] if log["group"] == readers else [f"group {log['group'] or 'none'} may read, not {readers}"]
    return other + list(log["loose"])


def addresses_in_clear(log: Mapping[str, Any], declared: str) -> list[str]:
    """Return which services' lines hold addresses although ``declared`` is not ``keep``."""
    return [
        f"{service['clear']} lines of {unit} hold addresses in clear"
        for unit, service in log["services"].items()
        if declared != "keep" and service["clear"]
    ]


def _days(seconds: float) -> str:
    return f"{seconds / DAY:.3g} days"
