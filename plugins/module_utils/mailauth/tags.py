# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Tag lists, ``tag=value; tag=value``: the form of most mail records (RFC 6376 3.2, RFC 9989 4.7, RFC 8460 3)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def build(tags: Iterable[tuple[str, str]]) -> bytes:
    """Return the list as TXT data, in the order given."""
    return "; ".join(f"{name}={value}" for name, value in tags).encode("ascii")


def encoded_uri(uri: str) -> str:
    """Return ``uri`` fit for a list in a tag: a comma ends one there, a semicolon the tag, and ``!`` began a size in
    RFC 7489 (RFC 9989 4.7, RFC 8460 3)."""
    return uri.replace(",", "%2C").replace("!", "%21").replace(";", "%3B")


def begins_with(data: bytes, version: str) -> bool:
    """Tell whether the first tag of TXT data is ``v=version``, white space around it allowed."""
    name, _, value = data.partition(b";")[0].partition(b"=")
    return name.strip() == b"v" and value.strip() == version.encode()


def parse(data: bytes) -> dict[str, str]:
    """Return the tags in the order of the record; white space around names and values is not theirs.

    Raises :class:`ValueError` for text that is no tag list or has a tag twice (RFC 6376 3.2: such a list is invalid).
    """
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise ValueError("a tag list is ASCII (RFC 6376 3.2)") from None
    found: dict[str, str] = {}
    parts = text.split(";")
    if not parts[-1].strip():
        parts.pop()
    for part in parts:
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or not _NAME.fullmatch(name):
            raise ValueError(f"{part.strip()!r} is not tag=value")
        if name in found:
            raise ValueError(f"tag {name} stands twice")
        found[name] = value.strip()
    return found
