# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Files beside a service, and ports."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host.errors import HostError
from ansible_collections.postseal.mail.plugins.module_utils.host.system import SupportFile, command, port_user


def test_a_file_is_installed_once(tmp_path: Path) -> None:
    file = SupportFile(tmp_path / "a/b", "text", 0o750)
    assert not file.current()
    file.install()
    assert file.current()
    assert (tmp_path / "a/b").read_text() == "text"
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o750
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("x"), lambda path: path.chmod(0o644), Path.unlink])
def test_any_difference_is_noticed(tmp_path: Path, spoil: object) -> None:
    file = SupportFile(tmp_path / "a", "text", 0o600)
    file.install()
    spoil(file.path)  # type: ignore[operator]  # one of the callables above
    assert not file.current()


def test_a_file_that_must_not_be_there_goes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    file = SupportFile(tmp_path / "a", None)
    assert not file.current()
    file.install()
    file.install()
    assert file.current()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_taken_port_is_noticed_in_either_family(family: socket.AddressFamily) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        listener.listen()
        assert port_user(listener.getsockname()[1])


def test_a_free_port_has_no_user() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    assert port_user(port) is None


def test_a_program_that_fails_tells_why() -> None:
    with pytest.raises(HostError, match=r"ls /nonexistent failed: .*nonexistent"):
        command("ls", "/nonexistent")
    with pytest.raises(HostError, match="not installed"):
        command("postseal-no-such-program")
    assert command("postseal-no-such-program", check=False) == ""
