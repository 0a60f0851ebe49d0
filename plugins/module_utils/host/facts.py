# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Say what a host is and has, in one call: release, packages, keys, what is settled. Standard library, Python 3.9."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from . import firewall, keys, policies, settled
from .errors import HostError
from .request import Paths
from .session import ssh_session

SUPPORTED = {"debian": ("12", "13")}


def gather(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return ``{"release", "python", "packages": {name: version}, "ssh", "keys", "settled": {thing: request},
    "firewall", "policies": {domain: mode}}``.

    ``packages`` in the result holds only those of the ``packages`` asked about that are fully installed (dpkg state
    ``installed``); ``ssh`` is how the controller comes in (:class:`.session.Session`); ``keys`` is what
    :func:`keys.read` returns, or null where it cannot be told yet; ``firewall`` is whether ours is there; ``policies``
    are the MTA-STS policies that are served. Raises :class:`HostError` without root and on a release that is not
    supported.
    """
    if os.geteuid() != 0:
        raise HostError("this needs root on the host; set become: true or connect as root (ansible_become)")
    return {
        "release": release(),
        "python": platform.python_version(),
        "packages": installed(arguments.get("packages", [])),
        "ssh": ssh_session()._asdict(),
        "keys": _keys(),
        "settled": settled.settled(Paths()),
        "firewall": firewall.there(),
        "policies": policies.served(),
    }


def _keys() -> dict[str, Any] | None:
    try:
        return keys.read({})
    except HostError:  # whoever needs them asks again, and is told why
        return None


def release() -> str:
    """Return the release number, ``12`` or ``13``; raises :class:`HostError` for any other system."""
    fields = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text("utf-8").splitlines() if "=" in line)
    system, number = fields.get("ID", "").strip('"'), fields.get("VERSION_ID", "").strip('"')
    if number not in SUPPORTED.get(system, ()):
        known = ", ".join(f"{name} {version}" for name, versions in SUPPORTED.items() for version in versions)
        raise HostError(f"this host runs {system} {number}; supported are {known}")
    return number


def installed(names: list[str]) -> dict[str, str]:
    """Return name -> version of those of ``names`` that dpkg has fully installed (dpkg-query(1))."""
    if not names:
        return {}
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status} ${Version}\n", *names]
    answer = subprocess.run(query, capture_output=True, text=True, check=False)
    rows = (line.split() for line in answer.stdout.splitlines())
    return {row[0]: row[2] for row in rows if len(row) == 3 and row[1] == "installed"}  # noqa: PLR2004
