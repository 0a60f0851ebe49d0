# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Plans as zone-file text: what stands there, what will stand there, and which lines are ours."""

from __future__ import annotations

from collections.abc import Mapping

from .ownership import digest
from .plan import ZonePlan
from .records import Key, RRset, lines
from .registry import is_registry
from .snapshot import Mark


def before_and_after(plan: ZonePlan) -> tuple[str, str]:
    """Return the touched record sets as valid zone-file text, before and after ``plan``.

    Values that the environment owns carry its name as a comment, so that foreign ones can be told apart.
    """
    sides: tuple[list[str], list[str]] = ([], [])
    for change in plan.changes:
        sides[0].extend(_lines(plan, change.before, plan.held))
        sides[1].extend(_lines(plan, change.after, plan.marks))
    before, after = ("".join(f"{line}\n" for line in side) for side in sides)
    return before, after


def _lines(plan: ZonePlan, rrset: RRset | None, marks: Mapping[Key, Mark]) -> list[str]:
    if rrset is None or is_registry(rrset.key, plan.zone):
        return lines(rrset)
    mark = marks.get(rrset.key)
    ours = [bool(mark and digest(rrset.key, value) in mark.digests) for value in rrset.values]
    return [f"{line} ; {plan.owner}" if mine else line for line, mine in zip(lines(rrset), ours, strict=True)]
