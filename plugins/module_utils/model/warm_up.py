# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A new address begins with few messages a day: how many on which day, and what is done with the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property


@dataclass(frozen=True)
class WarmUp:
    """How many messages each host sends directly on each day (UTC).

    :param growth: by which the number of one day is multiplied for the next
    :param until: the first number that is no limit any more
    :param hosts: the mail hosts with a new address; empty: all
    """

    start: date
    first_day: int = 50
    growth: float = 1.5
    until: int = 20000
    hosts: tuple[str, ...] = ()

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of all days, from the first to the last that has a limit."""
        found: list[int] = []
        number = float(self.first_day)
        while number < self.until:
            found.append(int(number))
            number *= self.growth
        return tuple(found)

    def on(self, day: date) -> int | None:
        """Return the number of ``day``: 0 before the first, ``None`` when there is no limit any more."""
        passed = (day - self.start).days
        if passed < 0:
            return 0
        return self.numbers[passed] if passed < len(self.numbers) else None

    @property
    def over(self) -> date:
        """The first day without a limit."""
        return self.start + timedelta(days=len(self.numbers))

    def concerns(self, host: str) -> bool:
        """Whether the mail host called ``host`` has a new address."""
        return not self.hosts or host in self.hosts
