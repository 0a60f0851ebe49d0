# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Running commands and telling the person at the terminal what goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager


class LabError(Exception):
    """Something the operator has to know: the cause, and the way out of it."""


def say(text: str) -> None:
    """One line of progress."""
    # One write: hosts are made at the same time, and each speaks for itself.
    sys.stderr.write(f"lab: {text}\n")
    sys.stderr.flush()


@contextmanager
def step(text: str) -> Iterator[None]:
    """Announce a step, then say how long it took; a failure names the step."""
    say(f"{text} ...")
    start = time.monotonic()
    try:
        yield
    except LabError as error:
        raise LabError(f"{text}: {error}") from error
    say(f"{text}: {time.monotonic() - start:.1f} s")


def run(
    command: Sequence[str], *, stdin: str = "", environment: Mapping[str, str] | None = None, timeout: float = 900
) -> str:
    """Run COMMAND and return what it wrote to stdout; LabError with its last words when it fails."""
    done = attempt(command, stdin=stdin, environment=environment, timeout=timeout)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-12:]
        raise LabError("\n  ".join([f"`{' '.join(command)}` ended with {done.returncode}", *words]))
    return done.stdout


def attempt(
    command: Sequence[str], *, stdin: str = "", environment: Mapping[str, str] | None = None, timeout: float = 900
) -> subprocess.CompletedProcess[str]:
    """Run COMMAND and return how it ended, whatever that is; LabError only if it cannot run or never ends."""
    try:
        return subprocess.run(
            list(command),
            input=stdin,
            text=True,
            errors="replace",
            capture_output=True,
            check=False,
            timeout=timeout,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
        )
    except FileNotFoundError as error:
        raise LabError(f"`{command[0]}` is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{' '.join(command)}` did not end within {timeout:.0f} s") from error
