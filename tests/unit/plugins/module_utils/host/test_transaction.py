# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A change is made whole, or refused, or undone."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import checkers, findings
from ansible_collections.postseal.mail.plugins.module_utils.host.errors import HostError
from ansible_collections.postseal.mail.plugins.module_utils.host.journal import journal_path, locked
from ansible_collections.postseal.mail.plugins.module_utils.host.request import parse

from .daemon import GROUP, USER, Host, check


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(checkers, "check", check)
    playing = Host(tmp_path)
    yield playing
    playing.daemon.end()


def test_first_run_installs_enables_and_starts(host: Host) -> None:
    result = host.apply("one")
    assert (result["changed"], result["action"], result["phase"]) == (True, "start", "done")
    assert host.content() == ["one", "one"]
    assert (host.daemon.running, host.daemon.enabled) == ("one", True)
    assert (host.root / "etc/daemon/first").stat().st_mode & 0o7777 == 0o640
    assert host.settled()


def test_a_second_run_does_nothing(host: Host) -> None:
    host.apply("one")
    host.daemon.deeds.clear()
    result = host.apply("one")
    assert (result["changed"], result["action"], result["files"]) == (
        False,
        "none",
        {"/etc/daemon/first": False, "/etc/daemon/second": False},
    )
    assert host.daemon.deeds == []


def test_a_change_is_reloaded_and_the_old_session_goes_on(host: Host) -> None:
    host.apply("one")
    host.daemon.deeds.clear()
    assert host.apply("two")["action"] == "reload"
    assert (host.daemon.deeds, host.daemon.running) == (["reload"], "two")


@pytest.mark.parametrize("damage", ["mode", "content", "missing", "link"])
def test_any_difference_is_repaired(host: Host, damage: str) -> None:
    host.apply("one")
    path = host.root / "etc/daemon/first"
    if damage == "mode":
        path.chmod(0o644)
    elif damage == "content":
        path.write_text("other")
    else:
        path.unlink()
    if damage == "link":
        path.symlink_to("second")
    assert host.apply("one")["files"] == {"/etc/daemon/first": True, "/etc/daemon/second": False}
    assert (path.is_symlink(), path.read_text(), path.stat().st_mode & 0o7777) == (False, "one", 0o640)


@pytest.mark.parametrize("damage", ["stopped", "disabled", "deaf"])
def test_an_unchanged_but_unhealthy_service_is_brought_back(host: Host, damage: str) -> None:
    host.apply("one")
    if damage == "stopped":
        host.daemon.end()
    elif damage == "disabled":
        host.daemon.enabled = False
    else:
        host.daemon.server, gone = None, host.daemon.server
        assert gone is not None
        gone.shutdown(socket.SHUT_RDWR)
        gone.close()
        (host.root / "socket").unlink()
    assert host.apply("one")["changed"] is True
    assert (host.daemon.running, host.daemon.enabled) == ("one", True)
    assert host.apply("one")["changed"] is False


def test_refused_files_are_not_installed(host: Host) -> None:
    host.apply("one")
    host.daemon.deeds.clear()
    with pytest.raises(HostError, match=r"nothing was changed.*no such setting") as caught:
        host.apply("refused")
    assert caught.value.details["phase"] == "validate"
    assert caught.value.details["findings"][0]["line"] == 1
    assert (host.content(), host.daemon.deeds, host.settled()) == (["one", "one"], [], True)


@pytest.mark.parametrize("fault", ["unreadable", "deaf"])
def test_what_does_not_work_is_undone(host: Host, fault: str) -> None:
    host.apply("one")
    with pytest.raises(HostError, match="old configuration is back and works") as caught:
        host.apply(fault)
    assert (caught.value.details["rolled_back"], caught.value.details["changed"]) == (True, False)
    assert caught.value.details["phase"] == "smoke"
    assert (host.content(), host.daemon.running, host.settled()) == (["one", "one"], "one", True)
    assert host.apply("one")["changed"] is False
    assert host.apply("two")["changed"] is True


def test_a_first_installation_that_does_not_work_leaves_nothing(host: Host) -> None:
    with pytest.raises(HostError, match="the old state is back"):
        host.apply("deaf")
    assert (host.content(), host.daemon.running, host.daemon.enabled) == ([], None, False)
    assert host.settled()


def test_check_mode_changes_nothing_and_tells_the_truth(host: Host) -> None:
    assert host.apply("one", check_mode=True)["changed"] is True
    assert (host.content(), host.daemon.deeds) == ([], [])
    with pytest.raises(HostError):
        host.apply("refused", check_mode=True)
    host.apply("one")
    assert host.apply("one", check_mode=True)["changed"] is False


def test_check_mode_on_a_host_without_the_service_says_so(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.daemon, "installed", lambda: False)
    result = host.apply("refused", check_mode=True)
    assert result["changed"] is True
    assert "not installed yet" in result["notes"][-1]
    with pytest.raises(HostError, match="Install its packages first"):
        host.apply("one")


def test_an_unknown_owner_is_named(host: Host) -> None:
    files = [{"dest": "/etc/daemon/first", "content": "x", "owner": "nobody-has-this-name", "group": GROUP}]
    assert "nobody-has-this-name" in host.apply("", files=files, check_mode=True)["notes"][-1]
    with pytest.raises(HostError, match="nobody-has-this-name"):
        host.apply("", files=files)


def test_a_watched_file_asks_for_one_reload(host: Host) -> None:
    certificate = host.root / "certificate"
    certificate.write_text("first")
    watch = {"watch": ["/certificate"]}
    host.apply("one", **watch)
    assert host.apply("one", **watch)["changed"] is False
    certificate.write_text("second")
    assert host.apply("one", **watch)["action"] == "reload"
    assert host.apply("one", **watch)["changed"] is False


def test_a_watched_file_that_could_not_be_taken_over_is_tried_again(host: Host) -> None:
    certificate = host.root / "certificate"
    certificate.write_text("first")
    host.apply("one", watch=["/certificate"])
    certificate.write_text("second")
    with pytest.raises(HostError):
        host.apply("deaf", watch=["/certificate"])
    assert host.apply("one", watch=["/certificate"])["action"] == "reload"


def test_files_and_directories_go_and_come(host: Host) -> None:
    host.apply("one")
    (host.root / "etc/stale").write_text("old")
    files = [
        {"dest": f"/etc/daemon/{name}", "content": "one", "owner": USER, "group": GROUP, "mode": "0640"}
        for name in ("first", "second")
    ]
    extra = [{"dest": "/etc/stale", "state": "absent", "owner": USER, "group": GROUP}]
    directories = [{"path": "/var/made", "owner": USER, "group": GROUP, "mode": "0750"}]
    # A whiteout needs privileges that tests need not have.
    if os.getuid() == 0:
        host.apply("one", files=files + extra, directories=directories)
        assert not (host.root / "etc/stale").exists()
    else:
        host.apply("one", directories=directories)
    assert (host.root / "var/made").stat().st_mode & 0o7777 == 0o750


def test_created_directories_go_with_a_change_that_is_undone(host: Host) -> None:
    host.apply("one")
    with pytest.raises(HostError):
        host.apply("deaf", directories=[{"path": "/var/made/deep", "owner": USER, "group": GROUP}])
    assert not (host.root / "var").exists()


def test_secrets_are_neither_in_the_difference_nor_in_findings(host: Host) -> None:
    def files(word: str) -> list[dict[str, Any]]:
        return [
            {"dest": f"/etc/daemon/{name}", "content": word, "owner": USER, "group": GROUP, "secret": True}
            for name in ("first", "second")
        ]

    host.apply("", files=files("the-old-password"))
    result = host.apply("", files=files("the-new-password"), diff=True)
    assert "password" not in str(result)
    assert "/etc/daemon/first: secret file differs" in str(result["diff"])
    quoted = findings.Finding("doveconf", "cannot parse the-new-password here")
    specs = parse({"service": "dovecot", "files": files("x = the-new-password")}).files
    assert checkers.redacted([quoted], specs)[0].text == "cannot parse ******** here"


def test_a_difference_shows_owner_mode_and_content(host: Host) -> None:
    host.apply("one\n")
    entry = host.apply("two\n", check_mode=True, diff=True)["diff"][0]
    assert entry["before"] == f"[{USER}:{GROUP} 0640]\none\n"
    assert entry["after"] == f"[{USER}:{GROUP} 0640]\ntwo\n"


def test_two_runs_at_once_do_not_mix(host: Host) -> None:
    with (
        locked("dovecot", host.paths),
        pytest.raises(HostError, match="another run"),
        locked("dovecot", host.paths, wait=0.1),
    ):
        pass
    host.apply("one")


def test_a_damaged_journal_is_not_guessed_at(host: Host) -> None:
    host.apply("one")
    Path(journal_path("dovecot", host.paths)).write_text("{")
    with pytest.raises(HostError, match="damaged"):
        host.apply("two")
    assert host.content() == ["one", "one"]
