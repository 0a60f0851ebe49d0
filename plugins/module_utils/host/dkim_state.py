# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The file in which a signing host keeps the states of the DKIM keys. What it says is the controller's business.

It holds no secret and is there for people to read. Standard library, Python 3.9.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Optional

from .durable import write_durably
from .errors import HostError

FOLDER = Path("/var/lib/postseal/dkim")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


def read() -> Optional[dict[str, Any]]:  # noqa: UP045  # Python 3.9
    """Return what the state file says, ``None`` if there is none.

    Raises :class:`HostError` naming the file where there are several or it is no JSON object: nothing is guessed, and
    nothing written over it.
    """
    paths = sorted(FOLDER.glob("*.json"))
    if not paths:
        return None
    if len(paths) > 1:
        raise HostError(f"{' and '.join(map(str, paths))}: a host belongs to one environment; move the other file away")
    remedy = "restore it from another mail host or a backup, or move it away: then all keys here count as signing"
    try:
        content = json.loads(paths[0].read_bytes())
    except (OSError, ValueError) as error:
        raise HostError(f"{paths[0]} cannot be read as JSON ({error}); {remedy}") from None
    if not isinstance(content, dict):
        raise HostError(f"{paths[0]} holds no JSON object; {remedy}")
    return content


def write(content: dict[str, Any]) -> None:
    """Write the state file of the environment that ``content`` names, whole or not at all."""
    environment = str(content["environment"])
    if not _NAME.fullmatch(environment):
        raise HostError(f"{environment!r} cannot be a file name")
    FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    path = FOLDER / f"{environment}.json"
    write_durably(str(path), (json.dumps(content, indent=1) + "\n").encode())
    os.chmod(path, 0o644)
