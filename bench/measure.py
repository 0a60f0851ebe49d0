# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""How figures are taken and shown: cases in turn, medians, one line each."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Case = Callable[[], float]


class BenchError(Exception):
    """A case could not be measured; the message says which, and shows the end of what it printed."""


def seconds(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> float:
    """Return how long ``command`` takes, in seconds of wall-clock time; raises :class:`BenchError` if it fails."""
    return finish([start(command, environment)])[0]


def together(commands: Sequence[Sequence[str | Path]]) -> float:
    """Return how long all of ``commands`` take, running at the same time; raises :class:`BenchError` if one fails."""
    return max(finish([start(command) for command in commands]))


def start(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> tuple[float, subprocess.Popen[str]]:
    """Start ``command``; return when, and the process."""
    began = time.monotonic()
    process = subprocess.Popen(
        [str(part) for part in command],
        env=None if environment is None else dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return began, process


def finish(started: Sequence[tuple[float, subprocess.Popen[str]]]) -> list[float]:
    """Return the seconds that processes of :func:`start` took; raises :class:`BenchError` for one that failed."""
    results = []
    for began, process in started:
        output, _ = process.communicate()
        results.append(time.monotonic() - began)
        if process.returncode:
            end = "\n".join(output.splitlines()[-30:])
            raise BenchError(f"{process.args!r} exited with {process.returncode}:\n{end}")
    return results


def interleave(cases: Mapping[str, Case], repetitions: int) -> dict[str, float]:
    """Return the median of each case. Cases take turns, so that a slow minute of the machine hits all of them."""
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repetitions):
        for name, case in cases.items():
            taken[name].append(case())
            progress(f"{name}: {taken[name][-1]:.2f} s")
    return {name: statistics.median(values) for name, values in taken.items()}


def progress(text: str) -> None:
    """Show what happens, apart from the figures."""
    print(f"    {text}", file=sys.stderr, flush=True)


def figure(name: str, value: float, goal: str = "-") -> None:
    """Print one figure: its name, its value, the goal it is measured against or ``-``."""
    print(f"{name} {value:.2f} {goal}", flush=True)
