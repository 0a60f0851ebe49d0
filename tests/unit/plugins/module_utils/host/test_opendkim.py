# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""OpenDKIM's tables as its manual describes them and as people write them."""

from __future__ import annotations

import contextlib

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host.opendkim import (
    Entry,
    OpenDkimError,
    configuration,
    entries,
    table_file,
)
from hypothesis import given
from hypothesis import strategies as st

LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
DOMAIN = st.lists(LABEL, min_size=2, max_size=3).map(".".join)
ENTRY = st.builds(Entry, DOMAIN, LABEL, LABEL.map("/etc/opendkim/keys/{}.private".format))
NOISE = st.sampled_from(["", "# a comment", "   ", "\t# another"])


@given(st.lists(ENTRY, unique=True, max_size=6), NOISE, st.sampled_from([" ", "\t", "   "]))
def test_every_key_of_the_table_is_read(written: list[Entry], noise: str, blank: str) -> None:
    lines = [f"key{number}{blank}{':'.join(entry)}  # why" for number, entry in enumerate(written)]
    assert list(entries("\n".join([noise, *lines, noise]), None)) == written


@given(st.lists(ENTRY, unique=True, min_size=1, max_size=6), st.data())
def test_with_a_signing_table_only_what_signs_is_read(written: list[Entry], data: st.DataObject) -> None:
    table = "\n".join(f"key{number} {':'.join(entry)}" for number, entry in enumerate(written))
    used = data.draw(st.lists(st.integers(0, len(written) - 1), max_size=6))
    signing = "\n".join(f"*@{written[number].domain} key{number}" for number in used)
    assert list(entries(table, signing)) == [written[number] for number in dict.fromkeys(used)]


@given(st.text(max_size=200), st.text(max_size=200))
def test_whatever_a_table_holds_there_is_an_answer(table: str, signing: str) -> None:
    with contextlib.suppress(OpenDkimError):
        assert all(all(entry) for entry in entries(table, signing))


@pytest.mark.parametrize("pattern", ["example.com", "*@example.com", "shop@Example.COM"])
def test_the_senders_domain_is_filled_in(pattern: str) -> None:
    found = entries("k %:mail:/keys/%/mail.private", f"{pattern} k\n{pattern} k")
    assert list(found) == [Entry("example.com", "mail", "/keys/example.com/mail.private")]


def test_one_sender_may_have_several_signatures() -> None:
    table = "a example.com:s1:/a\nb example.com:s2:/b"
    assert [entry.selector for entry in entries(table, "*@example.com a,b")] == ["s1", "s2"]


@pytest.mark.parametrize(
    ("table", "signing", "words"),
    [
        ("k example.com:mail", None, "not domain:selector:file"),
        ("k example.com::/a", None, "not domain:selector:file"),
        ("k example.com:mail:MIIEow==", None, "holds the key itself"),
        ("k %:mail:/a", None, "says % for the domain"),
        ("k %:mail:/a", "* k", "says % for the domain"),
        ("k %:mail:/a", "*@*.example.com k", "says % for the domain"),
        ("k example.com:mail:/a", "*@example.com other", "'other', which is not in the KeyTable"),
    ],
)
def test_what_cannot_be_told_is_named(table: str, signing: str | None, words: str) -> None:
    with pytest.raises(OpenDkimError, match=words):
        list(entries(table, signing))


def test_a_configuration_and_its_data_sets() -> None:
    lines = ("# x", "Domain example.com", "Selector\tmail # here", "KEYTABLE refile:/etc/opendkim/KeyTable", "Mode")
    said = configuration("\n".join(lines))
    assert said == {"domain": "example.com", "selector": "mail", "keytable": "refile:/etc/opendkim/KeyTable"}
    assert [table_file(one) for one in ("/a", "file:/a", "refile:/a")] == ["/a", "/a", "/a"]
    with pytest.raises(OpenDkimError, match="dsn:mysql://x is not a file"):
        table_file("dsn:mysql://x")
