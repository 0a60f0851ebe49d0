# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a rule has to say about records before they are published; the rules themselves know what records mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .records import Key, RRset

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Finding:
    """One rule that a record set breaks.

    :param rule: the rule's id, ``spf-lookups``; stable, so that it can be looked up
    :param severity: ``error`` (the plan is refused) or ``warning`` (it is told)
    :param fix: what to do, a sentence
    """

    rule: str
    severity: str
    name: str
    type: str
    message: str
    fix: str = ""

    def __str__(self) -> str:
        text = f"{self.severity}: {self.name} {self.type}: {self.message} [{self.rule}]"
        return f"{text}. {self.fix}" if self.fix else text


Lint = Callable[[str, Mapping[Key, RRset], frozenset[Key]], Iterable[Finding]]
"""``lint(zone, rrsets, ours)``: findings about the record sets in ``ours``, given all of the zone as it will be."""


def no_rules(_: str, __: Mapping[Key, RRset], ___: frozenset[Key]) -> Iterable[Finding]:
    """Find nothing."""
    return ()
