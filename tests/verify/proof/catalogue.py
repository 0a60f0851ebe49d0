# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The catalogue of checks: data in ``catalogue.yml``, and the decorator that ties a test function to its entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, TypeVar

import yaml

FILE = Path(__file__).resolve().parent.parent / "catalogue.yml"
CATEGORIES = ("names", "submission", "tls", "authentication", "message", "host")
LEVELS = ("fail", "warn", "info")
VANTAGES = ("controller", "outside", "message", "host")
Test = TypeVar("Test", bound=Callable[..., None])


@dataclass(frozen=True)
class Check:
    """One entry: what is checked, why it matters, what to do about a finding, and which documents ask for it.

    ``level`` is what a finding counts as. ``remedy`` may hold fields in braces; they are filled in from the target of
    the check and from what was seen. ``vantage`` says from where it is seen: by the controller in the DNS, from outside
    at the ports, in a message that was received, on the host itself.
    """

    id: str
    title: str
    category: str
    level: str
    vantage: str
    why: str
    remedy: str
    sources: tuple[str, ...]


class CatalogueError(Exception):
    """The catalogue and the checks do not belong together."""


@cache
def catalogue() -> dict[str, Check]:
    """Return every check by its id, in the order of the file; raises :class:`CatalogueError` for a bad entry."""
    names = {field.name for field in fields(Check)}
    found: dict[str, Check] = {}
    for entry in yaml.safe_load(FILE.read_text("utf-8")):
        sources = entry.pop("sources", None)
        texts = [*entry.values(), *(sources if isinstance(sources, list) else [None])]
        if {*entry, "sources"} != names or not all(isinstance(value, str) and value for value in texts) or not sources:
            raise CatalogueError(f"{FILE.name}: {entry.get('id', entry)}: needs exactly {', '.join(sorted(names))}")
        check = Check(**entry, sources=tuple(sources))
        if check.id in found:
            raise CatalogueError(f"{FILE.name}: {check.id} stands there twice")
        if check.category not in CATEGORIES or check.level not in LEVELS or check.vantage not in VANTAGES:
            raise CatalogueError(f"{FILE.name}: {check.id}: unknown category, level or vantage")
        found[check.id] = check
    return found


def check(identifier: str) -> Callable[[Test], Test]:
    """Mark a test function as the check ``identifier``; raises :class:`CatalogueError` for an id without an entry."""
    if identifier not in catalogue():
        raise CatalogueError(f"{identifier} is not in {FILE.name}")

    def mark(function: Test) -> Test:
        function.check_id = identifier  # type: ignore[attr-defined]
        return function

    return mark


class _Blank(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return f"<{key}>"


def remedy(identifier: str, context: dict[str, str]) -> str:
    """Return the remedy of ``identifier`` as one line, with ``context`` filled in; an unknown field stays visible."""
    return Formatter().vformat(" ".join(catalogue()[identifier].remedy.split()), (), _Blank(context))
