# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Read untrusted structures and collect every problem, each with the variable's path, its value and the fix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypeVar

T = TypeVar("T")

_SHOWN = 60


class Invalid(Exception):  # it marks a value, not a failure of the program
    """A value is not what it should be; the text says what it should be and how to write it."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an inventory. ``value`` is already fit to print: secrets are masked."""

    path: str
    value: str
    fix: str

    def __str__(self) -> str:
        return f"{self.path}: {self.value}: {self.fix}" if self.value else f"{self.path}: {self.fix}"


class InventoryError(Exception):
    """The inventory does not describe an environment. ``problems`` holds all of them, in the order of reading."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def nearest(written: str, known: Sequence[str]) -> str:
    """Return ``did you mean X?`` for the one of ``known`` that ``written`` is nearest to, else an empty string."""
    near = get_close_matches(written, known, n=1)
    return f"did you mean {near[0]}?" if near else ""


def printable(value: object) -> str:
    """Return a short one-line form of ``value`` for a message."""
    text = repr(value) if not isinstance(value, str) else repr(str(value))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


@dataclass
class Collector:
    """Where problems are gathered while reading goes on."""

    problems: list[Problem] = field(default_factory=list)

    def add(self, path: str, fix: str, value: object = None, *, secret: bool = False) -> None:
        """Note one problem; ``value`` is shown unless it is secret or ``None``."""
        shown = "" if value is None else "(hidden)" if secret else printable(value)
        self.problems.append(Problem(path, shown, fix))

    def parse(self, path: str, value: Any, parser: Callable[[Any], T], *, secret: bool = False) -> T | None:
        """Return ``parser(value)``, or note its complaint and return ``None``."""
        try:
            return parser(value)
        except Invalid as problem:
            self.add(path, str(problem), value, secret=secret)
            return None


class Section:
    """A mapping whose keys are all accounted for: what is not read by name is a misspelling.

    :param path: how an operator writes the place, ``postseal_domains[0].dkim``
    :param secret: there are secrets in it, so what stands in the place of the mapping is not shown
    """

    def __init__(
        self, value: Any, path: str, collector: Collector, keys: Sequence[str], *, secret: bool = False
    ) -> None:
        self.path, self.collector = path, collector
        self.values: Mapping[str, Any] = {}
        if value is None:
            return
        if not isinstance(value, Mapping):
            form = f"a mapping with the keys {', '.join(keys)}" if keys else "a mapping"
            collector.add(path, f"must be {form}", value, secret=secret)
            return
        self.values = value
        for key in value:
            if key not in keys:
                hint = nearest(str(key), keys) or f"the keys here are {', '.join(keys)}"
                collector.add(self.at(str(key)), f"is not a key that is known here; {hint}")

    def at(self, key: str) -> str:
        """Return the path of ``key``; at the top level that is the variable's own name."""
        return f"{self.path}.{key}" if self.path else key

    def has(self, key: str) -> bool:
        """Tell whether ``key`` is there with a value."""
        return self.values.get(key) is not None

    def get(self, key: str, parser: Callable[[Any], T], default: T, *, secret: bool = False) -> T:
        """Return the parsed value of ``key``; ``default`` if it is absent or wrong (then noted)."""
        if not self.has(key):
            return default
        parsed = self.collector.parse(self.at(key), self.values[key], parser, secret=secret)
        return default if parsed is None else parsed

    def require(self, key: str, parser: Callable[[Any], T], fix: str, *, secret: bool = False) -> T | None:
        """Return the parsed value of ``key``, or ``None`` after noting that it is missing or wrong."""
        if not self.has(key):
            self.collector.add(self.at(key), f"is missing; {fix}")
            return None
        return self.collector.parse(self.at(key), self.values[key], parser, secret=secret)

    def section(self, key: str, keys: Sequence[str], *, secret: bool = False) -> Section:
        """Return the mapping below ``key``; an absent one reads as empty."""
        return Section(self.values.get(key), self.at(key), self.collector, keys, secret=secret)

    def mapping(self, key: str, *, secret: bool = False) -> Section:
        """Return the mapping below ``key`` whose keys are the operator's own; an absent one reads as empty."""
        value = self.values.get(key)
        return self.section(key, tuple(value) if isinstance(value, Mapping) else (), secret=secret)

    def items(self, key: str) -> Iterator[tuple[str, Any]]:
        """Yield (path, element) of the list below ``key``; an absent list is empty, anything else is a problem."""
        yield from elements(self.values.get(key), self.at(key), self.collector)

    def each(self, key: str, parser: Callable[[Any], T]) -> tuple[T, ...]:
        """Return the parsed elements of the list below ``key`` that are valid; note the others and duplicates."""
        parsed: dict[T, None] = {}
        for path, element in self.items(key):
            value = self.collector.parse(path, element, parser)
            if value is None:
                continue
            if value in parsed:
                self.collector.add(path, "is listed twice; remove one", element)
            else:
                parsed[value] = None
        return tuple(parsed)


def elements(value: Any, path: str, collector: Collector) -> Iterator[tuple[str, Any]]:
    """Yield (path, element) of a list; ``None`` is an empty list, anything else is noted as a problem."""
    if value is None:
        return
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        collector.add(path, "must be a list", value)
        return
    for index, element in enumerate(value):
        yield f"{path}[{index}]", element
