# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Change one credential in the text of a variables file; every other character stays as it is.

The YAML parser tells where each key and value stands, and only there the text is cut. What comes out is parsed again
and compared with what was meant. Decision 0015 says why so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from .yaml_text import (
    Splice,
    behind_comments,
    compose,
    end_of,
    line_end,
    lines_at,
    newline,
    shared,
    span,
    spliced,
    tree,
    written,
)

VARIABLE = "postseal_credentials"
# The new key stands behind the first of these that is there.
_BEHIND = ("previous_until", "previous_hash", "secret_hash", "domain", "name")


class EditError(Exception):
    """The file cannot be changed safely; the text says why and what to do."""


@dataclass(frozen=True)
class Change:
    """What becomes of a credential's keys: first ``rename``, then ``remove``, then ``put``.

    Keys in ``remove`` that are not there are no error. A value in ``put`` is text, or ``True``.
    """

    put: dict[str, str | bool] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    rename: dict[str, str] = field(default_factory=dict)

    def applied(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return what becomes of ``entry``."""
        kept = {self.rename.get(key, key): value for key, value in entry.items() if key not in self.remove}
        return {**kept, **self.put}


def entries(text: str) -> list[dict[str, Any]] | None:
    """Return what each credential in ``text`` says: text, true, false or ``None``, ``...`` for what is not a scalar.

    ``None`` stands for a text that does not define the list.

    Raises :class:`EditError` for text that is not one YAML mapping, or whose list is not written out.
    """
    found = _list(text)
    if found is None:
        return None
    items = found.value if isinstance(found, SequenceNode) else []
    return [_scalars(item) if isinstance(item, MappingNode) else {} for item in items]


def change(text: str, index: int, wanted: Change) -> str:
    """Return ``text`` with the credential at ``index`` changed; raises :class:`EditError`."""
    found = _list(text)
    if not isinstance(found, SequenceNode) or not isinstance(found.value[index], MappingNode):
        raise EditError(f"{VARIABLE}[{index}] is not written out as a mapping; change it by hand")
    entry = found.value[index]
    if shared(_root(text), entry):
        raise EditError(f"{VARIABLE}[{index}] is an anchor or an alias (& or *); write it out or change it by hand")
    new = spliced(text, _changes(text, entry, wanted))
    expected = tree(found)
    expected[1][index] = ("mapping", _expected(entry, wanted))
    return _proven(text, new, expected)


def append(text: str, entry: dict[str, str]) -> str:
    """Return ``text`` with a new credential at the end of the list; raises :class:`EditError`."""
    found = _list(text)
    if found is None:
        raise EditError(f"it does not define {VARIABLE}; write {VARIABLE}: [] into it first")
    column = 2 if isinstance(found, ScalarNode) or found.flow_style else found.start_mark.column
    block = [f"{' ' * column}{'- ' if not i else '  '}{k}: {written(v)}" for i, (k, v) in enumerate(entry.items())]
    if isinstance(found, SequenceNode) and found.value and found.flow_style:
        flow = ", ".join(f"{key}: {written(value)}" for key, value in entry.items())
        new = spliced(text, [(found.value[-1].end_mark.index, found.value[-1].end_mark.index, f", {{{flow}}}")])
    elif isinstance(found, SequenceNode) and found.value:
        at = behind_comments(text, end_of(text, found), column)
        new = spliced(text, [(at, at, lines_at(text, at, block))])
    else:
        start, end = found.start_mark.index, found.end_mark.index
        at = line_end(text, end)
        new = spliced(text, [(start, end, ""), (at, at, lines_at(text, at, block))])
    expected = tree(found) if isinstance(found, SequenceNode) else ("sequence", [])
    expected[1].append(("mapping", {key: ("tag:yaml.org,2002:str", value) for key, value in entry.items()}))
    return _proven(text, new, expected)


def _root(text: str) -> MappingNode:
    try:
        root = compose(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise EditError(f"it is not one document of valid YAML{where}; correct it first") from None
    if not isinstance(root, MappingNode):
        raise EditError("it does not hold variables; give the file that does")
    return root


def _list(text: str) -> SequenceNode | ScalarNode | None:
    root = _root(text)
    try:
        tree(root)
    except RecursionError:
        raise EditError("an anchor in it contains itself; change it by hand") from None
    found = [value for key, value in root.value if key.value == VARIABLE]
    if not found:
        return None
    if len(found) > 1:
        raise EditError(f"it defines {VARIABLE} twice; remove one")
    (value,) = found
    if isinstance(value, SequenceNode) or (isinstance(value, ScalarNode) and value.tag.endswith(":null")):
        return value
    raise EditError(f"{VARIABLE} is not a list written out there but a template or something else; change it by hand")


def _scalars(entry: MappingNode) -> dict[str, Any]:
    return {key.value: _said(value) for key, value in entry.value if isinstance(key, ScalarNode)}


def _said(value: Node) -> Any:
    if not isinstance(value, ScalarNode):
        return ...
    if value.tag.endswith(":null"):
        return None
    return value.value.lower() in ("true", "yes", "on") if value.tag.endswith(":bool") else value.value


def _pair(entry: MappingNode, name: str) -> tuple[int, Node, Node] | None:
    return next(((i, key, value) for i, (key, value) in enumerate(entry.value) if key.value == name), None)


def _changes(text: str, entry: MappingNode, wanted: Change) -> list[Splice]:
    found: list[Splice] = []
    put = dict(wanted.put)
    for name in wanted.remove:
        pair = _pair(entry, name)
        if pair is not None and name not in put:
            found.append(_removal(text, entry, *pair))
    first: list[str] = []
    for name, other in wanted.rename.items():
        pair = _pair(entry, name)
        if pair is None:
            raise EditError(f"the credential has no {name}; change it by hand")
        start, end = pair[1].start_mark.index, pair[1].end_mark.index
        renamed = text[start:end].replace(name, other)
        if name in put:
            # The new value takes the place of the old one, which moves behind it.
            renamed = _separated(text, entry, [f"{name}: {written(put.pop(name))}"], renamed)
        found.append((start, end, renamed))
    for name, value in put.items():
        pair = _pair(entry, name)
        if pair is None or name in wanted.rename.values():
            first.append(f"{name}: {written(value)}")
        else:
            found.append((*span(text, pair[2]), written(value)))
    if first:
        found.append(_insertion(text, entry, first, {*wanted.remove} - {*wanted.put}))
    return found


def _separated(text: str, entry: MappingNode, pairs: Sequence[str], behind: str) -> str:
    """Return new pairs and what stands behind them, in the entry's own style."""
    if entry.flow_style:
        return ", ".join([*pairs, behind])
    column: int = entry.value[0][0].start_mark.column
    indent = newline(text) + " " * column
    return indent.join([*pairs, behind])


def _insertion(text: str, entry: MappingNode, pairs: Sequence[str], removed: Iterable[str]) -> Splice:
    """Return where and how to put new pairs: behind the keys that say who the credential is."""
    gone = set(removed)
    behind = next((pair for name in _BEHIND if name not in gone and (pair := _pair(entry, name)) is not None), None)
    if behind is None or not isinstance(behind[2], ScalarNode):
        raise EditError("the credential has no name that is written out; change it by hand")
    _, end = span(text, behind[2])
    if entry.flow_style:
        return (end, end, "".join(f", {pair}" for pair in pairs))
    column = entry.value[0][0].start_mark.column
    at = line_end(text, end)
    return (at, at, lines_at(text, at, [" " * column + pair for pair in pairs]))


def _removal(text: str, entry: MappingNode, index: int, key: Node, value: Node) -> Splice:
    _, end = span(text, value)
    if index == 0:
        # What stands before it, a dash or a brace, is the next key's then.
        after = entry.value[1][0].start_mark.index if len(entry.value) > 1 else end
        return (key.start_mark.index, after, "")
    if entry.flow_style:
        return (span(text, entry.value[index - 1][1])[1], end, "")
    start = text.rfind("\n", 0, key.start_mark.index) + 1
    return (start, line_end(text, end), "")


def _expected(entry: MappingNode, wanted: Change) -> dict[str, Any]:
    tags = {True: ("tag:yaml.org,2002:bool", "true"), False: ("tag:yaml.org,2002:bool", "false")}
    put = {
        key: tags[value] if isinstance(value, bool) else tree(compose(written(value)))
        for key, value in wanted.put.items()
    }
    return {**replace(wanted, put={}).applied(tree(entry)[1]), **put}


def _proven(old: str, new: str, expected: Any) -> str:
    """Return ``new`` if it says what was meant and differs from ``old`` in nothing else."""
    try:
        same = tree(_root(new))[1] == {**tree(_root(old))[1], VARIABLE: expected}
    except EditError:
        same = False
    if not same:
        raise EditError("it is written in a way that cannot be changed safely; change it by hand")
    return new
