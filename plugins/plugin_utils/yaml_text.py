# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Where things stand in YAML text, and how to cut it without touching the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Splice = tuple[int, int, str]
"""Replace the characters from one place to another by a text."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def compose(text: str) -> Node:
    """Return the nodes of one YAML document, with the places where they stand; raises :class:`yaml.YAMLError`."""
    return yaml.compose(text, Loader=yaml.SafeLoader) or ScalarNode("tag:yaml.org,2002:null", "")


def tree(node: Node) -> Any:
    """Return what ``node`` says, without where and how it is written."""
    if isinstance(node, MappingNode):
        return ("mapping", {repr(tree(key)) if key.id != "scalar" else key.value: tree(v) for key, v in node.value})
    if isinstance(node, SequenceNode):
        return ("sequence", [tree(element) for element in node.value])
    return (node.tag, node.value)


def shared(root: Node, wanted: MappingNode) -> bool:
    """Tell whether the node at the place of ``wanted`` is used twice, so that one change would show at two places."""
    uses, seen, nodes = 0, set[int](), [root]
    while nodes:
        node = nodes.pop()
        uses += node.start_mark.index == wanted.start_mark.index and isinstance(node, MappingNode)
        if id(node) in seen or isinstance(node, ScalarNode):
            continue
        seen.add(id(node))
        nodes.extend(node.value if isinstance(node, SequenceNode) else [part for pair in node.value for part in pair])
    return uses > 1


def span(text: str, node: Node) -> tuple[int, int]:
    """Return where a value stands, without the line breaks that the parser counts to it."""
    start, end = node.start_mark.index, node.end_mark.index
    return start, start + len(text[start:end].rstrip())


def end_of(text: str, node: Node) -> int:
    """Return where the last character of ``node`` stands; block collections end with their last element."""
    if isinstance(node, (MappingNode, SequenceNode)) and node.value and not node.flow_style:
        last = node.value[-1]
        return end_of(text, last[1] if isinstance(last, tuple) else last)
    return span(text, node)[1]


def line_end(text: str, at: int) -> int:
    """Return the start of the line behind ``at``, or the end of the text."""
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def behind_comments(text: str, at: int, column: int) -> int:
    """Return the start of the first line behind ``at`` that is no comment of the last element."""
    at = line_end(text, at)
    while match := re.compile(r"( +)#[^\n]*(\n|$)").match(text, at):
        if len(match[1]) <= column:
            break
        at = match.end()
    return at


def newline(text: str) -> str:
    """Return how lines of ``text`` end."""
    return "\r\n" if "\r\n" in text else "\n"


def lines_at(text: str, at: int, lines: Sequence[str]) -> str:
    """Return what to put in at ``at`` to have ``lines`` there, each a line of its own."""
    ending = newline(text)
    started = at == 0 or text[at - 1] == "\n"
    return ("" if started else ending) + ending.join(lines) + ending


def written(value: str | bool) -> str:
    """Return ``value`` as YAML; hashes and whatever else could be misread are quoted."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if _PLAIN.fullmatch(value) else f'"{value}"'


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """Return ``text`` after ``splices``, whose places are those of ``text`` itself."""
    for start, end, new in sorted(splices, key=lambda splice: splice[:2], reverse=True):
        text = text[:start] + new + text[end:]
    return text
