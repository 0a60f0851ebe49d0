# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ask no provider more often than it allows. What counts is the credential: its zones and providers share one limit."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

from .errors import RateLimited

R = TypeVar("R")

# Longer than this nobody waits in front of a terminal; Cloudflare's block is 300 s.
PATIENCE = 600.0
# For a refusal that does not say how long to wait.
FIRST_PAUSE = 1.0


@dataclass
class Throttle:
    """A token bucket (``rate`` calls a second, ``burst`` at once) that also obeys what the provider says.

    Safe to use from several threads. ``clock`` and ``sleep`` are in seconds.
    """

    rate: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    patience: float = PATIENCE
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)
    _free_at: float = field(default=0.0, init=False)

    def run(self, call: Callable[[], R]) -> R:
        """Return what ``call`` returns, waiting for its turn before.

        A call that raises :class:`~.errors.RateLimited` did nothing: all callers pause for as long as it says, and it
        is made again, until ``patience`` is over. Any other error is the caller's.
        """
        deadline, pause = self.clock() + self.patience, FIRST_PAUSE
        while True:
            self._wait_for_turn()
            try:
                return call()
            except RateLimited as error:
                wait = error.retry_after or pause
                if self.clock() + wait > deadline:
                    raise
                self.hold(wait)
                pause *= 2

    def hold(self, seconds: float) -> None:
        """Let nobody call before ``seconds`` from now, and then one after the other, without a burst."""
        with self._lock:
            self._free_at = max(self._free_at, self.clock() + seconds + (self.burst - 1) / self.rate)

    def _wait_for_turn(self) -> None:
        """Take the next free place. ``_free_at`` is when the bucket would be full again plus what was taken of it."""
        with self._lock:
            now = self.clock()
            spread = (self.burst - 1) / self.rate
            at = max(now, self._free_at - spread)
            self._free_at = max(self._free_at, now) + 1 / self.rate
        if at > now:
            self.sleep(at - now)


_shared: dict[str, Throttle] = {}
_shared_lock = Lock()


def shared(credential: str, rate: float, burst: int) -> Throttle:
    """Return the throttle of ``credential``, the same one for everybody who uses it in this process."""
    key = hashlib.sha256(credential.encode()).hexdigest()
    with _shared_lock:
        return _shared.setdefault(key, Throttle(rate, burst))
