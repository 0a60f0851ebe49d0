# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A note holds as long as the host is as it was when the note was written, and not a moment longer."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import settled
from ansible_collections.postseal.mail.plugins.module_utils.host.journal import journal_path
from ansible_collections.postseal.mail.plugins.module_utils.host.request import Paths, Probe

PLACE, LINKED, ABSENT, FOLDER = "/etc/x.conf", "/etc/live.pem", "/etc/not-there", "/etc/x.d"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "etc/x.d").mkdir(parents=True)
    (tmp_path / "etc/x.conf").write_text("as wanted")
    (tmp_path / "etc/live-1.pem").write_text("certificate")
    (tmp_path / "etc/live.pem").symlink_to("live-1.pem")
    return Paths(root=str(tmp_path), state=str(tmp_path / "state"), run=str(tmp_path / "run"))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A mail server that greets."""
    server = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        while True:
            try:
                link, _ = server.accept()
            except OSError:
                return
            with link:
                link.sendall(b"220 here\r\n")
                link.recv(64)

    threading.Thread(target=greet, daemon=True).start()
    yield server
    server.close()


@pytest.fixture
def noted(paths: Paths, listener: socket.socket) -> Paths:
    """A host with one note, which holds."""
    settled.keep(
        "x",
        "request-1",
        paths,
        places=[PLACE, ABSENT, FOLDER],
        contents=[LINKED],
        probes=[Probe(port=listener.getsockname()[1])],
        until=time.time() + 60,
    )
    assert settled.settled(paths) == {"x": "request-1"}
    return paths


def _edit(root: Path) -> None:
    (root / "etc/x.conf").write_text("otherwise")


def _open_up(root: Path) -> None:
    (root / "etc/x.conf").chmod(0o666)


def _give_away(root: Path) -> None:
    os.chown(root / "etc/x.conf", 12345, -1)


def _remove(root: Path) -> None:
    (root / "etc/x.conf").unlink()


def _appear(root: Path) -> None:
    (root / "etc/not-there").write_text("")


def _renew(root: Path) -> None:
    (root / "etc/live-2.pem").write_text("renewed")
    (root / "etc/live.pem").unlink()
    (root / "etc/live.pem").symlink_to("live-2.pem")


def _shut(root: Path) -> None:
    (root / "etc/x.d").chmod(0o700)


def _cut_off(root: Path) -> None:
    Path(journal_path("x", Paths(state=str(root / "state")))).write_text("{}")


def _age(root: Path) -> None:
    _rewrite(root, until=time.time() - 1)


def _garble(root: Path) -> None:
    (root / "state/settled/x.json").write_text('{"request": "request-1"}')


def _truncate(root: Path) -> None:
    (root / "state/settled/x.json").write_text('{"request')


def _unknown_unit(root: Path) -> None:
    _rewrite(root, active=["postseal-no-such-unit.service"])


def _rewrite(root: Path, **parts: object) -> None:
    path = root / "state/settled/x.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **parts}))


@pytest.mark.parametrize(
    "happens",
    [
        _edit, _open_up, _give_away, _remove, _appear, _renew, _shut, _cut_off, _age, _garble, _truncate, _unknown_unit,
    ],
)  # fmt: skip
def test_a_note_that_is_not_true_any_more_does_not_count(
    noted: Paths, tmp_path: Path, happens: Callable[[Path], None]
) -> None:
    if happens is _give_away and os.geteuid():
        os.chmod(tmp_path / "etc/x.conf", 0o600)  # without root nothing can be given away
    else:
        happens(tmp_path)
    assert settled.settled(noted) == {}


def test_a_service_that_does_not_answer_is_not_settled(noted: Paths, listener: socket.socket) -> None:
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    assert settled.settled(noted) == {}


def test_a_note_is_for_root_alone_and_written_once(noted: Paths, tmp_path: Path) -> None:
    note = tmp_path / "state/settled/x.json"
    assert (note.stat().st_mode & 0o777, note.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    kept = json.loads(note.read_text())
    before = note.stat().st_mtime_ns
    again = {"places": [PLACE, ABSENT, FOLDER], "contents": [LINKED], "until": kept["until"]}
    settled.keep("x", "request-1", noted, probes=[Probe(**kept["probes"][0])], **again)
    assert note.stat().st_mtime_ns == before


def test_nothing_is_noted_for_nobody(paths: Paths, tmp_path: Path) -> None:
    settled.keep("x", None, paths, places=[PLACE])
    assert settled.settled(paths) == {}
    assert not (tmp_path / "state").exists()
