# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a checker objects to. Standard library, Python 3.9."""

from __future__ import annotations

from typing import Any, NamedTuple


class Finding(NamedTuple):
    """A reason why the staged files must not be installed. ``file`` and ``line`` are empty and 0 where unknown."""

    check: str
    text: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        place = "" if not self.file or self.file in self.text else place
        return f"{self.check}: {place}{self.text}"

    def as_dict(self) -> dict[str, Any]:
        """Return the finding in the shape a task's result has."""
        return self._asdict()
