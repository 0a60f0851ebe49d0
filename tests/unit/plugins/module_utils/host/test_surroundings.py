# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a host says of its SSH server, its resolver and the notes of its services, whatever stands there."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import surroundings
from ansible_collections.postseal.mail.plugins.module_utils.host.errors import HostError

VALIDATED, PLAIN = b"\x81\xa0", b"\x81\x80"


@contextmanager
def _resolver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Callable[[bytes], bytes]
) -> Iterator[list[bytes]]:
    """Be the host's resolver; yield the questions."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind(("127.0.0.1", 0))
        link.settimeout(5)

        def serve() -> None:
            while True:
                data, peer = link.recvfrom(4096)
                if data == b"end":
                    return
                asked.append(data)
                if reply := answer(data):
                    link.sendto(reply, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        (tmp_path / "resolv.conf").write_text("# none here\nnameserver 127.0.0.1\nnameserver 192.0.2.1\n")
        monkeypatch.setattr(surroundings, "RESOLVERS", tmp_path / "resolv.conf")
        monkeypatch.setattr(surroundings, "DNS_PORT", link.getsockname()[1])
        monkeypatch.setattr(surroundings, "SECONDS", 0.3)
        yield asked
        link.sendto(b"end", link.getsockname())
        thread.join(5)


def _flags(flags: bytes) -> Callable[[bytes], bytes]:
    return lambda question: question[:2] + flags + question[4:]


@pytest.mark.parametrize(("flags", "validates"), [(VALIDATED, True), (PLAIN, False)])
def test_a_resolver_validates_if_it_vouches_for_one_answer(
    flags: bytes, validates: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(question: bytes) -> bytes:
        return _flags(flags if b"\4shop\4test\0" in question else PLAIN)(question)

    with _resolver(tmp_path, monkeypatch, answer) as asked:
        assert surroundings.resolver(["shop.test"]) == {"server": "127.0.0.1", "validates": validates}
    assert b"\4shop\4test\0\0\6\0\1" in asked[-1]


@pytest.mark.parametrize(
    "said", [b"", b"\0\0\x81", b"\xff\xff" + VALIDATED + b"\0" * 20], ids=["silent", "short", "id"]
)
def test_a_resolver_that_says_nothing_of_use_is_no_answer(
    said: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        _resolver(tmp_path, monkeypatch, lambda _: said),
        pytest.raises(OSError, match=r"the resolver 127\.0\.0\.1 does not answer"),
    ):
        surroundings.resolver(["shop.test"])


def test_notes_tell_what_services_were_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "NOTES", tmp_path / "none")
    assert surroundings.made_of() is None
    monkeypatch.setattr(surroundings, "NOTES", tmp_path)
    for name, text in (
        ("postfix", json.dumps({"request": "ab12-cd34"})),
        ("http01", json.dumps({"request": "ab12"})),
        ("dovecot", "{"),
        ("rspamd", "[]"),
    ):
        (tmp_path / f"{name}.json").write_text(text)
    assert surroundings.made_of() == {"postfix": "cd34", "http01": ""}


def test_sshd_tells_how_people_log_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "sshd"
    monkeypatch.setattr(surroundings, "SSHD", str(program))
    assert surroundings.ssh() is None
    program.write_text("#!/bin/sh\necho port 22\necho passwordauthentication no\necho authenticationmethods any\n")
    program.chmod(0o755)
    assert surroundings.ssh() == {
        "passwordauthentication": "no",
        "kbdinteractiveauthentication": "",
        "authenticationmethods": "any",
    }
    program.write_text("#!/bin/sh\necho no hostkeys available >&2\nexit 1\n")
    with pytest.raises(HostError, match="no hostkeys available"):
        surroundings.ssh()
