# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Waiting for a host to be empty: as long as something moves, not longer than asked, and open sessions end."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.action import drain

HOST = "mail-a.example.com"


class Clock:
    """Time that passes only by sleeping."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


class Action(drain.ActionModule):
    """The action on a host whose queue is a list of answers; the last of them stays."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers, self.asked = list(answers), []  # type: list[dict[str, Any]], list[dict[str, Any]]

    def call(self, function: str, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        assert function == "drain.step"
        self.asked.append(arguments)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def state(sessions: int = 0, **queues: int) -> dict[str, Any]:
    return {"queues": queues, "sessions": sessions, "fitting": sum(queues.values())}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(drain, "time", found)
    return found


def wait(first: dict[str, Any], *answers: dict[str, Any], seconds: float = 600) -> tuple[dict[str, Any], Action]:
    action = Action(*answers or (first,))
    return action._wait({"ports": [465]}, first, seconds, {"inventory_hostname": HOST}), action


def test_an_empty_host_is_not_waited_for(clock: Clock) -> None:
    assert wait(state())[1].asked == []
    assert wait(state(hold=3))[1].asked == []
    assert clock.now == 1000.0


def test_it_waits_until_nothing_moves(clock: Clock) -> None:
    left, action = wait(state(active=2), state(deferred=1), state(incoming=1), state(hold=1))
    assert left == state(hold=1)
    assert len(action.asked) == 3
    assert clock.now <= 1004.0


def test_it_ends_in_time_and_flushes_now_and_then(clock: Clock) -> None:
    left, action = wait(state(deferred=1), seconds=600)
    assert left == state(deferred=1)
    assert 1600.0 <= clock.now < 1600.2
    assert sum(one["flush"] for one in action.asked) == 4
    assert not any(one["cut"] for one in action.asked)


@pytest.mark.parametrize(("seconds", "grace"), [(600, 30.0), (10, 5.0)])
def test_open_sessions_are_cut_once_and_then_count_no_more(clock: Clock, seconds: float, grace: float) -> None:
    left, action = wait(state(sessions=1), seconds=seconds)
    assert left["sessions"] == 0
    assert [one["cut"] for one in action.asked].count(True) == 1
    assert grace + drain.SETTLED <= clock.now - 1000 < grace + 20


def test_a_session_that_ends_by_itself_is_not_cut(clock: Clock) -> None:
    left, action = wait(state(sessions=1), state(sessions=1, active=1), state())
    assert left == state()
    assert not any(one["cut"] for one in action.asked)
