# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Read what OpenDKIM signs with: its configuration, KeyTable and SigningTable. Pure; standard library, Python 3.9.

Source: opendkim.conf(5), parameters Domain, KeyFile, KeyTable, Selector and SigningTable; opendkim(8), "DATA SETS".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional

_FILES = re.compile(r"(?:re)?file:", re.IGNORECASE)
_KIND = re.compile(r"[a-z]+:", re.IGNORECASE)
_MISSING = "is not in the KeyTable"


class OpenDkimError(ValueError):
    """A table cannot be understood; the text says which line and why."""


class Entry(NamedTuple):
    """One signature that OpenDKIM makes: ``d=``, ``s=``, and the file of the private key."""

    domain: str
    selector: str
    path: str


def configuration(text: str) -> dict[str, str]:
    """Return the parameters of an ``opendkim.conf`` by lower-case name, the last of several."""
    return {name.lower(): value for name, value in _pairs(text)}


def table_file(dataset: str) -> str:
    """Return the path of a data set that is a file; raises :class:`OpenDkimError` for any other kind."""
    found = _FILES.match(dataset)
    if not found and _KIND.match(dataset):
        raise OpenDkimError(f"{dataset} is not a file; write its entries into one, and give its folder")
    return dataset[found.end() :] if found else dataset


def entries(key_table: str, signing_table: Optional[str]) -> Iterator[Entry]:  # noqa: UP045  # Python 3.9
    """Yield what is signed with: every key of the KeyTable, or with a SigningTable those that it refers to.

    ``%`` for the sender's domain is filled in from the SigningTable. Raises :class:`OpenDkimError`.
    """
    keys = dict(_keys(key_table))
    if signing_table is None:
        wanted: Iterable[tuple[str, str]] = ((name, "") for name in keys)
    else:
        wanted = [(name, _domain(pattern)) for pattern, names in _pairs(signing_table) for name in names.split(",")]
    found: dict[Entry, None] = {}
    for name, sender in wanted:
        if name not in keys:
            raise OpenDkimError(f"the SigningTable names {name!r}, which {_MISSING}")
        if "%" in "".join(keys[name]) and not sender:
            raise OpenDkimError(
                f"the KeyTable says % for the domain of {name!r}, and no line of the SigningTable says which that is; "
                "write the domain into the table"
            )
        found[Entry(*(part.replace("%", sender) for part in keys[name]))] = None
    return iter(found)


def _keys(text: str) -> Iterator[tuple[str, Entry]]:
    for name, value in _pairs(text):
        parts = [part.strip() for part in value.split(":", 2)]
        if len(parts) != 3 or not all(parts):  # noqa: PLR2004  # domain, selector, key
            raise OpenDkimError(f"the KeyTable's entry {name!r} is not domain:selector:file")
        if not parts[2].startswith(("/", "./", "../")):
            raise OpenDkimError(f"the KeyTable's entry {name!r} holds the key itself; put it into a file")
        yield name, Entry(parts[0].lower().rstrip("."), parts[1].lower(), parts[2])


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        words = line.partition("#")[0].split(None, 1)
        if len(words) == 2:  # noqa: PLR2004  # name and value
            yield words[0], words[1].strip()


def _domain(pattern: str) -> str:
    """Return the domain that a pattern of the SigningTable is about, empty for one that is about many."""
    domain = pattern.rpartition("@")[2].lower().rstrip(".")
    return "" if not domain or domain.startswith(".") or "*" in domain else domain
