# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import StoreError
from ansible_collections.postseal.mail.plugins.module_utils.dns.ownership import digest
from ansible_collections.postseal.mail.plugins.module_utils.dns.plan import ZonePlan
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import RRset
from ansible_collections.postseal.mail.plugins.module_utils.dns.restore import SavedSet
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Change, Mark
from ansible_collections.postseal.mail.plugins.module_utils.dns.store import Store
from hypothesis import given, settings
from hypothesis import strategies as st

from .zones import ZONE

KEY = (ZONE, "TXT")


def plan(*changes: Change, held: Mark | None = None) -> ZonePlan:
    return ZonePlan(ZONE, "production", changes, {}, 0, {held.key: held} if held else {}, {})


def texts(*values: bytes) -> RRset:
    return RRset.of(*KEY, 300, values)


def load(store: Store, run: str) -> tuple[SavedSet, ...]:
    return store.load(run)[1]["knot", ZONE]


@settings(deadline=None)  # it waits for the disk
@given(
    before=st.none() | st.sets(st.binary(max_size=600), min_size=1, max_size=4),
    share=st.none() | st.binary(max_size=50),
)
def test_what_is_saved_comes_back(
    tmp_path_factory: pytest.TempPathFactory, before: set[bytes] | None, share: bytes | None
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    had = texts(*before) if before is not None else None
    held = Mark("production", KEY, frozenset(digest(KEY, value) for value in before), share) if before else None
    run = store.run("ab" * 32)
    run.keep("knot", plan(Change(KEY, had, texts(b"new")), held=held))
    assert load(store, run.id) == (SavedSet(KEY, had, texts(b"new"), held),)


def test_only_their_owner_reads_them(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "store")
    run = store.run("ab" * 32)
    run.keep("knot", plan(Change(KEY, None, texts(b"x"))))
    store.see(ZONE, "knot", 1)
    store.keep_plan({"plan": "cd" * 32})
    found = list(store.folder.rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in found if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (store.folder, *found) if path.is_dir()} == {0o700}
    assert len([path for path in found if path.is_file()]) == 3, "no temporary file stays behind"
    loose = store.folder / "runs"
    loose.chmod(0o755)
    store.run("ab" * 32).keep("knot", plan(Change(KEY, None, texts(b"x"))))
    assert loose.stat().st_mode & 0o777 == 0o700


def test_runs_of_one_second_have_ids_of_their_own(tmp_path: Path) -> None:
    store = Store(tmp_path, clock=lambda: datetime(2026, 11, 22, 1, 2, 3, 4999, tzinfo=UTC))
    ids = []
    for _ in range(3):
        run = store.run("ab" * 32)
        run.keep("knot", plan(Change(KEY, None, texts(b"x"))))
        ids.append(run.id)
    assert ids == [f"20261122T010203.004Z-abababab{more}" for more in ("", "-2", "-3")]
    assert store.load("last")[0] == ids[-1]


def test_a_second_attempt_keeps_what_was_there_before_the_first(tmp_path: Path) -> None:
    other = ("a." + ZONE, "TXT")
    store = Store(tmp_path)
    run = store.run("ab" * 32)
    run.keep("knot", plan(Change(KEY, texts(b"old"), texts(b"new")), Change(other, None, texts(b"x"))))
    # Of the first attempt only KEY was written; meanwhile somebody wrote to the other set.
    theirs = RRset.of(*other, 60, [b"theirs"])
    run.keep("knot", plan(Change(KEY, texts(b"new"), texts(b"newer")), Change(other, theirs, theirs)))
    saved = {item.key: item for item in load(store, run.id)}
    assert (saved[KEY].before, saved[KEY].after) == (texts(b"old"), texts(b"newer"))
    assert saved[other].before == theirs


def test_the_registry_is_not_saved(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = store.run("ab" * 32)
    run.keep("knot", plan(Change(("_postseal-owner." + ZONE, "TXT"), None, texts(b"x"), guarded=False)))
    assert load(store, run.id) == ()


def test_zones_with_odd_names_stay_in_the_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.see("0/25.2.0.192.in-addr.arpa", "knot", 3)
    store.see("../../outside", "knot", 4)
    assert store.owned() == {"0/25.2.0.192.in-addr.arpa": 3, "../../outside": 4}
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_damage_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = store.run("ab" * 32)
    run.keep("knot", plan(Change(KEY, None, texts(b"x"))))
    (file,) = (tmp_path / "runs" / run.id).iterdir()
    file.write_text('{"format": 1, "zone": "shop.test"}')
    with pytest.raises(StoreError, match=f"run {run.id} .* is damaged"):
        store.load("last")
    file.write_text("{")
    with pytest.raises(StoreError, match="is not JSON"):
        store.load("last")
    store.see(ZONE, "knot", 1)
    (tmp_path / "zones" / f"{ZONE}.json").write_text("[]")
    with pytest.raises(StoreError, match="zones is damaged"):
        store.owned()


def test_a_fingerprint_is_not_a_path(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.keep_plan({"plan": "ab" * 32})
    (tmp_path / "plans" / "x.json").write_text("{}")
    assert store.plan("ab" * 32) == {"plan": "ab" * 32}
    assert store.plan("x") is None
    assert store.plan("../plans/x") is None


def saved_runs(store: Store, count: int) -> list[str]:
    for number in range(count):
        store.run("ab" * 32).keep("knot", plan(Change(KEY, None, texts(b"%d" % number))))
    return store.runs()


@pytest.mark.parametrize(("keep", "stay"), [(3, 3), (1, 1), (0, 1), (50, 5)])
def test_the_latest_runs_and_plans_stay(tmp_path: Path, keep: int, stay: int) -> None:
    store = Store(tmp_path)
    runs = saved_runs(store, 5)
    for number in range(5):
        path = store.keep_plan({"plan": f"{4 - number:02d}" * 32})
        os.utime(path, ns=(number, number))
    (tmp_path / "plans" / "mine.json").write_text("{}")
    (tmp_path / "runs" / "mine").mkdir()
    store.tidy(keep)
    assert store.runs() == runs[-stay:]
    assert store.load("last")[0] == runs[-1]
    assert [number for number in range(5) if store.plan(f"{number:02d}" * 32)] == list(range(stay))
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"mine", *runs[-stay:]}
    assert (tmp_path / "plans" / "mine.json").exists()


def test_a_run_that_was_half_removed_is_none_and_goes_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    runs = saved_runs(store, 3)

    def broken(path: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", broken)
        with pytest.raises(StoreError, match=r"cannot tidy up .*: Input/output error"):
            store.tidy(1)
    assert store.runs() == runs[-1:]
    assert len(list((tmp_path / "runs").iterdir())) > 1
    store.tidy(1)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == runs[-1:]


def test_nothing_is_there_to_tidy_up(tmp_path: Path) -> None:
    Store(tmp_path / "none").tidy()
    assert not (tmp_path / "none").exists()
