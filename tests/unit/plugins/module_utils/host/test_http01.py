# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The program on port 80 gives out tokens, sends on what it does not have, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import http01
from ansible_collections.postseal.mail.plugins.module_utils.host.http01 import PREFIX, answer
from hypothesis import given
from hypothesis import strategies as st

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"  # the example of RFC 8555 8.3


@pytest.fixture
def webroot(tmp_path: Path) -> Path:
    folder = tmp_path / PREFIX.strip("/")
    folder.mkdir(parents=True)
    (folder / TOKEN).write_text(f"{TOKEN}.thumbprint")
    (tmp_path / "secret").write_text("secret")
    return tmp_path


def _line(path: str, method: str = "GET") -> str:
    return f"{method} {path} HTTP/1.1\r\n"


def test_a_token_of_this_host_is_given_out(webroot: Path) -> None:
    found = answer(_line(PREFIX + TOKEN), webroot, "mail-b.example.com", 1)
    assert (found.status, found.body) == ("200 OK", f"{TOKEN}.thumbprint".encode())


def test_a_token_of_another_host_goes_round_once(webroot: Path) -> None:
    other = "x" * 43
    path, seen = PREFIX + other, []
    for _ in range(10):
        found = answer(_line(path), webroot, "mail-b.example.com", 2)
        if not found.location:
            break
        assert found.status == "302 Found"
        seen.append(found.location)
        path = found.location.removeprefix("http://mail-b.example.com")
    assert seen == [f"http://mail-b.example.com{PREFIX}{other}?hop={hop}" for hop in (1, 2)]
    assert found.status == "404 Not Found"


def test_a_host_that_stands_alone_sends_nobody_anywhere(webroot: Path) -> None:
    assert answer(_line(PREFIX + "x" * 43), webroot) == http01.Answer("404 Not Found")


@pytest.mark.parametrize(
    "line",
    [
        _line("/"),
        _line("/secret"),
        _line(PREFIX),
        _line(PREFIX + "../../secret"),
        _line(PREFIX + "%2e%2e/secret"),
        _line(PREFIX + TOKEN + "/"),
        _line(PREFIX + TOKEN + "?hop=1&x=2"),
        _line(PREFIX + TOKEN, "POST"),
        _line(PREFIX + TOKEN).replace("1.1", "2"),
        _line(PREFIX + "x" * 43 + "\r\nLocation: http://evil.example/"),
        "",
    ],
)
def test_anything_else_is_not_found(webroot: Path, line: str) -> None:
    assert answer(line, webroot, "mail-b.example.com", 1) == http01.Answer("404 Not Found")


@given(st.text(max_size=200))
def test_no_request_line_reaches_another_file_or_breaks_the_header(line: str) -> None:
    found = answer(line, Path("/nonexistent"), "mail-b.example.com", 1)
    assert found.status in ("302 Found", "404 Not Found")
    assert found.wire(body=True).count(b"\r\n\r\n") == 1


@pytest.mark.parametrize(("method", "body"), [("GET", f"{TOKEN}.thumbprint"), ("HEAD", "")])
def test_the_program_serves_one_connection(webroot: Path, method: str, body: str) -> None:
    request = f"{_line(PREFIX + TOKEN, method)}Host: mail.example.com\r\nUser-Agent: test\r\n\r\n"
    program = [sys.executable, "-I", str(http01.__file__), str(webroot), "mail-b.example.com", "1"]
    served = subprocess.run(program, input=request.encode(), capture_output=True, check=True, timeout=20)
    head, _, rest = served.stdout.decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert "Content-Length: 54\r\n" in head
    assert rest == body


def test_the_program_ends_when_the_client_says_nothing(webroot: Path) -> None:
    program = [sys.executable, "-I", str(http01.__file__), str(webroot)]
    served = subprocess.run(program, input=b"", capture_output=True, check=True, timeout=20)
    assert served.stdout.startswith(b"HTTP/1.1 404 ")
