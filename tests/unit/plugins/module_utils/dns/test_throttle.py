# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import ProviderError, RateLimited
from ansible_collections.postseal.mail.plugins.module_utils.dns.throttle import Throttle, shared


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.lock = Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        with self.lock:
            self.now += seconds


def throttle(rate: float = 4, burst: int = 3, **more: float) -> tuple[Throttle, Time]:
    time = Time()
    return Throttle(rate, burst, clock=time, sleep=time.sleep, **more), time


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    limiter, time = throttle()
    moments = [limiter.run(lambda: time.now) for _ in range(7)]
    assert moments == [0, 0, 0, 0.25, 0.5, 0.75, 1.0]
    time.now += 100
    assert [limiter.run(lambda: time.now - 101) for _ in range(4)] == [0, 0, 0, 0.25]


def test_many_threads_keep_to_the_rate_together() -> None:
    limiter, time = throttle(rate=10, burst=1)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: limiter.run(lambda: None), range(40)))
    assert time.now >= 39 / 10


def test_what_the_provider_says_is_obeyed_in_full() -> None:
    limiter, time = throttle()
    answers = iter([RateLimited("cf", "", "slow down", retry_after=120.0), None])
    made: list[float] = []

    def call() -> str:
        made.append(time.now)
        answer = next(answers)
        if answer:
            raise answer
        return "done"

    assert limiter.run(call) == "done"
    assert made == [0, 120]
    assert [limiter.run(lambda: time.now) for _ in range(2)] == [120.25, 120.5], "no burst after a block"


def test_a_pause_holds_for_everybody_with_the_credential() -> None:
    limiter, time = throttle()
    limiter.hold(60)
    assert limiter.run(lambda: time.now) == 60


def test_without_a_word_the_pause_doubles_and_patience_ends() -> None:
    limiter, time = throttle(patience=20)
    made: list[float] = []

    def call() -> None:
        made.append(time.now)
        raise RateLimited("cf", "", "slow down")

    with pytest.raises(RateLimited):
        limiter.run(call)
    assert made == [0, 1, 3, 7, 15]


def test_a_wait_longer_than_patience_is_told_at_once() -> None:
    limiter, time = throttle(patience=20)

    def call() -> None:
        raise RateLimited("cf", "", "slow down", retry_after=300.0)

    with pytest.raises(RateLimited):
        limiter.run(call)
    assert time.now == 0


def test_other_errors_are_not_repeated() -> None:
    limiter, _ = throttle()
    made: list[int] = []

    def call() -> None:
        made.append(1)
        raise ProviderError("cf", "", "broken")

    with pytest.raises(ProviderError):
        limiter.run(call)
    assert made == [1]


def test_one_credential_has_one_throttle() -> None:
    assert shared("token-a", 4, 200) is shared("token-a", 4, 200)
    assert shared("token-a", 4, 200) is not shared("token-b", 4, 200)
