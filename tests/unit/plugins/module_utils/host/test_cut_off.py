# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A change ends old or new, never between, wherever it is cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import checkers
from ansible_collections.postseal.mail.plugins.module_utils.host.errors import HostError
from ansible_collections.postseal.mail.plugins.module_utils.host.journal import journal_path

from .daemon import Host, KilledError, Reaper, check


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(checkers, "check", check)
    playing = Host(tmp_path)
    yield playing
    playing.daemon.end()


def _at_every_step(attempt: Callable[[int], bool]) -> int:
    """Call ``attempt`` with 1, 2, 3... until it was not killed any more; return how many kills there were."""
    step = 1
    while attempt(step):
        step += 1
        assert step < 500
    return step - 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("start", ["", "one"], ids=["first", "later"])
@pytest.mark.parametrize("target", ["two", "deaf"], ids=["good", "bad"])
@pytest.mark.parametrize("following", ["old", "new"])
def test_a_run_cut_off_anywhere_is_repaired_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, start: str, target: str, following: str, after: bool
) -> None:
    monkeypatch.setattr(checkers, "check", lambda *_: [])

    def attempt(step: int) -> bool:
        folder = tmp_path / str(step)
        folder.mkdir()
        host = Host(folder)
        with pytest.MonkeyPatch.context() as patch:
            if start:
                host.apply(start)
            reaper = Reaper(host, patch)
            reaper.kill_at(step, after=after)
            killed = False
            try:
                host.apply(target)
            except HostError:
                assert target == "deaf"
            except KilledError:
                killed = True
            reaper.spare()
            wanted = "three" if following == "new" else start or "one"
            host.apply(wanted)
            assert host.content() == [wanted, wanted]
            assert host.daemon.running == wanted
            assert host.daemon.enabled
            assert host.settled()
            assert host.apply(wanted)["changed"] is False
            host.daemon.end()
        return killed

    kills = _at_every_step(attempt)
    assert kills > 15, "the reaper saw too few steps"


def test_a_repair_cut_off_anywhere_is_repaired_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkers, "check", lambda *_: [])

    def attempt(step: int) -> bool:
        folder = tmp_path / str(step)
        folder.mkdir()
        host = Host(folder)
        host.apply("one")
        with pytest.MonkeyPatch.context() as patch:
            reaper = Reaper(host, patch)
            patch.setattr(host.daemon, "reload", _dies)
            with pytest.raises(KilledError):
                host.apply("two")
        assert Path(journal_path("dovecot", host.paths)).exists()
        with pytest.MonkeyPatch.context() as patch:
            reaper = Reaper(host, patch)
            reaper.kill_at(step, after=False)
            killed = False
            try:
                host.apply("one")
            except KilledError:
                killed = True
            reaper.spare()
            result = host.apply("one")
            assert (host.content(), host.daemon.running) == (["one", "one"], "one")
            assert host.settled()
            assert killed or result["changed"] is False
        host.daemon.end()
        return killed

    assert _at_every_step(attempt) > 5


def _dies() -> None:
    raise KilledError


def test_after_a_cut_the_old_files_come_back_even_if_the_next_input_is_bad(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.apply("one")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host.daemon, "reload", _dies)
        with pytest.raises(KilledError):
            host.apply("two")
    assert host.content() == ["two", "two"]
    with pytest.raises(HostError):
        host.apply("refused")
    assert (host.content(), host.daemon.running, host.settled()) == (["one", "one"], "one", True)


def test_check_mode_does_not_repair_but_says_that_a_run_will(host: Host) -> None:
    host.apply("one")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host.daemon, "reload", _dies)
        with pytest.raises(KilledError):
            host.apply("two")
    result = host.apply("two", check_mode=True)
    assert result["changed"] is True
    assert "cut off" in result["notes"][0]
    assert host.content() == ["two", "two"]
