# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A credential changes in the text of a file, and nothing else does."""

from __future__ import annotations

import difflib
from typing import Any

import pytest
import yaml
from ansible_collections.postseal.mail.plugins.plugin_utils.credential_text import (
    VARIABLE,
    Change,
    EditError,
    append,
    change,
    entries,
)
from hypothesis import given, settings
from hypothesis import strategies as st

BLOCK = """\
---
# Applications of the shop
other: {a: 1}   # kept

postseal_credentials:
  # the web shop
  - name: shop          # never change
    domain: example.com
    secret_hash: "{SSHA512}OLD"   # issued in May
    senders: [shop@example.com,
              orders@example.com]

  - {name: blog, domain: example.com, secret_hash: "{SSHA512}BLOG", rate: {messages: 5/h}}  # a flow
  - name: cron
    domain: example.com
    networks:
      - 192.0.2.0/24   # office
      # more to come
# the end
last: true
"""
FLOW = 'x: 1\npostseal_credentials: [{name: shop, domain: example.com, secret_hash: "{SSHA512}OLD"}]  # one\ny: 2\n'
ROTATE = Change(
    put={"secret_hash": "{SSHA512}NEW", "previous_until": "2026-11-29"}, rename={"secret_hash": "previous_hash"}
)
NEW = {"name": "news", "domain": "example.org", "secret_hash": "{SSHA512}NEW"}


def _value(text: str) -> Any:
    return yaml.safe_load(text)[VARIABLE]


def _difference(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line[0] in "+-"]


def test_a_rotation_in_a_block_adds_lines_and_keeps_the_rest() -> None:
    after = change(BLOCK, 0, ROTATE)
    assert _difference(BLOCK, after) == [
        '+     secret_hash: "{SSHA512}NEW"',
        '-     secret_hash: "{SSHA512}OLD"   # issued in May',
        '+     previous_hash: "{SSHA512}OLD"   # issued in May',
        "+     previous_until: 2026-11-29",
    ]


def test_a_rotation_in_a_flow_changes_one_line() -> None:
    after = change(BLOCK, 1, ROTATE)
    (old,) = [line for line in BLOCK.splitlines() if "blog" in line]
    assert after == BLOCK.replace(
        old,
        '  - {name: blog, domain: example.com, secret_hash: "{SSHA512}NEW", previous_hash: "{SSHA512}BLOG", '
        "previous_until: 2026-11-29, rate: {messages: 5/h}}  # a flow",
    )


@pytest.mark.parametrize("index", [0, 1])
def test_the_next_rotation_replaces_what_the_last_one_left(index: int) -> None:
    again = Change(
        put={"secret_hash": "{SSHA512}NEWER", "previous_until": "2026-12-31"},
        remove=("previous_hash",),
        rename={"secret_hash": "previous_hash"},
    )
    after = _value(change(change(BLOCK, index, ROTATE), index, again))[index]
    assert after["secret_hash"] == "{SSHA512}NEWER"
    assert after["previous_hash"] == "{SSHA512}NEW"
    assert str(after["previous_until"]) == "2026-12-31"


@pytest.mark.parametrize("index", [0, 1, 2])
def test_what_is_put_and_removed_again_leaves_no_trace(index: int) -> None:
    put = change(BLOCK, index, Change(put={"suspended": True, "revoked": "2026-11-22"}))
    assert _value(put)[index]["suspended"] is True
    assert change(put, index, Change(remove=("suspended", "revoked", "absent"))) == BLOCK


def test_an_entry_without_a_password_gets_one() -> None:
    after = change(BLOCK, 2, Change(put={"secret_hash": "{SSHA512}NEW"}))
    assert _difference(BLOCK, after) == ['+     secret_hash: "{SSHA512}NEW"']


def test_a_value_from_the_vault_moves_as_it_is_written() -> None:
    text = (
        "postseal_credentials:\n- secret_hash: !vault |\n    $ANSIBLE_VAULT;1.1;AES256\n    6162\n"
        '  name: shop\n  domain: "{{ domain }}"\n'
    )
    after = change(text, 0, ROTATE)
    assert (
        after
        == (
            'postseal_credentials:\n- secret_hash: "{SSHA512}NEW"\n  previous_hash: !vault |\n'
            "    $ANSIBLE_VAULT;1.1;AES256\n    6162\n"
            '  name: shop\n  domain: "{{ domain }}"\n  previous_until: 2026-11-29\n'
        )
        or "previous_until: 2026-11-29" in after
    )
    assert after.replace("previous_hash", "secret_hash", 1).count("secret_hash") == 2


def test_a_new_entry_comes_last_behind_its_neighbours_comments() -> None:
    assert _difference(BLOCK, append(BLOCK, NEW)) == [
        "+   - name: news", "+     domain: example.org", '+     secret_hash: "{SSHA512}NEW"',
    ]  # fmt: skip
    assert append(BLOCK, NEW).index("more to come") < append(BLOCK, NEW).index("news") < BLOCK.index("# the end") + 80


@pytest.mark.parametrize(
    "text",
    [
        "postseal_credentials: []\n", "postseal_credentials: []", "postseal_credentials: []  # none yet\nx: 1\n",
        "postseal_credentials:\n", "postseal_credentials:", "postseal_credentials: null # none\n", FLOW,
        "postseal_credentials:\n- name: a\n  domain: b.c",
        "postseal_credentials:\n- name: a\n  senders:\n  - x@y.z\n\n\nx: 1\n",
        "'postseal_credentials':\r\n  - name: a\r\n    domain: b.c\r\nx: 1\r\n", "\ufeffpostseal_credentials: []\n",
    ],
)  # fmt: skip
def test_a_new_entry_goes_into_every_form_of_list(text: str) -> None:
    after = append(text, NEW)
    assert _value(after) == [*(_value(text) or []), NEW]
    kept = [line for line in _difference(text, after) if line[0] == "-" and "postseal_credentials" not in line]
    assert [line for line in kept if not any(line[2:] in other for other in after.splitlines())] == []
    assert "\r\n" not in text or after.count("\n") == after.count("\r\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "line 1"), ("- a", "does not hold variables"), ("postseal_credentials: '{{ x }}'\n", "template"),
        ("postseal_credentials: []\npostseal_credentials: []\n", "twice"), ("---\na: 1\n---\nb: 2\n", "one document"),
        ("postseal_credentials: {a: 1}\n", "not a list"), ("a: &a [*a]\npostseal_credentials: []\n", "contains itself"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_changed_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(EditError, match=says):
        append(text, NEW)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {name: shop, secret_hash: x}\npostseal_credentials: [*a]\n",
        "postseal_credentials:\n- &a {name: shop, secret_hash: x}\n- *a\n",
        "h: &h OLD\npostseal_credentials:\n- {name: shop, secret_hash: *h}\n",
        "b: &b {secret_hash: x}\npostseal_credentials:\n- {name: shop, <<: *b}\n",
        "postseal_credentials: [shop]\n",
    ],
)
def test_what_is_written_elsewhere_is_not_changed_from_here(text: str) -> None:
    wanted = Change(put={"secret_hash": "NEW", "suspended": True}, rename={"secret_hash": "previous_hash"})
    try:
        after = change(text, 0, wanted)
    except EditError:
        return
    assert _value(after)[0]["previous_hash"] == "OLD"
    assert yaml.safe_load(after)["h"] == "OLD"


def test_entries_are_told_as_they_are_written() -> None:
    found = entries(BLOCK)
    assert found is not None
    assert [entry["name"] for entry in found] == ["shop", "blog", "cron"]
    assert found[0]["senders"] is ...
    assert entries("x: 1\n") is None
    assert entries("postseal_credentials:\n- {name: a, suspended: yes, revoked: null}\n") == [
        {"name": "a", "suspended": True, "revoked": None}
    ]


WORD = st.text(alphabet="abcdefgh", min_size=1, max_size=6)
LISTED = st.lists(
    st.fixed_dictionaries(
        {"name": WORD, "domain": WORD, "secret_hash": WORD},
        optional={
            "senders": st.lists(WORD, max_size=3),
            "rate": st.dictionaries(WORD, WORD, max_size=2),
            "stream": st.text(max_size=20),
            "previous_hash": WORD,
            "previous_until": st.just("2026-11-01"),
        },
    ),
    min_size=1,
    max_size=4,
)


# The parser in Python is slow enough for a busy machine to miss the usual deadline.
@settings(deadline=None)
@given(
    listed=LISTED,
    before=st.dictionaries(WORD, WORD, max_size=2),
    style=st.sampled_from([None, True, False]),
    indent=st.integers(2, 4),
    data=st.data(),
)
def test_whatever_is_written_comes_out_changed_in_one_place(
    listed: list[dict[str, Any]], before: dict[str, str], style: bool | None, indent: int, data: st.DataObject
) -> None:
    said = {**before, VARIABLE: listed, "last": 1}
    text = yaml.safe_dump(said, default_flow_style=style, indent=indent, sort_keys=False, allow_unicode=True)
    index = data.draw(st.integers(0, len(listed) - 1))
    wanted = Change(ROTATE.put, ("previous_hash",), ROTATE.rename)
    after = yaml.load(change(text, index, wanted), Loader=yaml.BaseLoader)  # noqa: S506
    entry = yaml.load(text, Loader=yaml.BaseLoader)[VARIABLE][index]  # noqa: S506
    assert after[VARIABLE][index] == wanted.applied(entry)
    assert append(text, NEW).startswith(text[: text.index(VARIABLE)])
