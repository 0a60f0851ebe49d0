# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The machine's apt sources, asked for another release."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.postseal.mail.lab import sources
from ansible_collections.postseal.mail.lab.run import LabError
from ansible_collections.postseal.mail.lab.sources import Source
from hypothesis import given
from hypothesis import strategies as st

RELEASES = ("bookworm", "stable")
SOURCES = """
# a comment
Types: deb
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
 bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: http://disabled.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://vendor.example/packages
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/vendor.gpg
"""
LINES = """
# deb http://comment.example/debian bookworm main
deb http://mirror.example/debian/ bookworm main non-free # trailing
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian stable-updates main
deb [signed-by=/usr/share/keyrings/vendor.gpg] http://vendor.example/packages bookworm main
deb http://vendor.example/docker bookworm stable
deb-src http://source.example/debian bookworm main
"""


def test_deb822_entries_that_are_debians() -> None:
    assert list(sources.from_deb822(SOURCES, RELEASES)) == [
        Source("http://mirror.example/debian", ""),
        Source("http://mirror.example/debian", "-updates"),
        Source("http://security.example/debian-security", "-security"),
    ]


def test_one_line_entries_that_are_debians() -> None:
    assert list(sources.from_lines(LINES, RELEASES)) == [
        Source("http://mirror.example/debian", ""),
        Source("http://mirror.example/debian", "-updates"),
    ]


@given(st.text())
def test_any_text_is_read_without_an_exception(text: str) -> None:
    assert list(sources.from_deb822(text, RELEASES)) == list(sources.from_lines(text, RELEASES)) == []


def test_another_release_is_asked_of_the_same_mirror() -> None:
    text = sources.for_release([Source("http://security.example/debian-security", "-security")], "trixie")
    assert list(sources.from_deb822(text, ["trixie"])) == [
        Source("http://security.example/debian-security", "-security")
    ]


def test_a_machine_without_debian_sources_is_told(tmp_path: Path) -> None:
    (tmp_path / "apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "apt/sources.list").write_text("deb http://vendor.example/docker bookworm stable\n")
    with pytest.raises(LabError, match="no Debian mirror"):
        sources.machine_sources(tmp_path)
