# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The one type that holds passwords, tokens and keys."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Secret:
    """A value that must never be printed; ``reveal()`` is the only way to read it."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        """Return the plain value; the caller takes over the duty not to print it."""
        return self._value

    def __str__(self) -> str:
        return "********"
