# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Values of the example vaults, which everybody knows: whoever copied one has to put a secret of their own there."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from collections.abc import Iterator, Mapping
from typing import Any

from .problems import Collector

# Stands in every value of inventories/*/group_vars/all/vault.yml.example, as it is or in base64.
MARK = "EXAMPLE-REPLACE-THIS"
_FIX = (
    "is still the value of vault.yml.example, which everybody knows; put your own into vault.yml beside it: "
    "ansible-vault edit inventories/<environment>/group_vars/all/vault.yml"
)


def refuse_placeholders(variables: Mapping[str, Any], collector: Collector) -> None:
    """Note every text in ``variables``, however deep, that holds :data:`MARK`."""
    for path in _marked("", variables):
        collector.add(path, _FIX)


def _marked(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _marked(f"{path}.{key}" if path else str(key), inner)
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _marked(f"{path}[{index}]", inner)
    elif isinstance(value, str) and (MARK in value or MARK in _decoded(value)):
        yield path


def _decoded(value: str) -> str:
    try:
        return b64decode(value, validate=True).decode("ascii", "replace")
    except (Error, ValueError):
        return ""
