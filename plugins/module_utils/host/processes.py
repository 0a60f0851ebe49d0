# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Processes of this host by their parent. Standard library, Python 3.9."""

from __future__ import annotations

import os


def children(parent: int, title: str = "") -> frozenset[int]:
    """Return the processes whose parent is ``parent`` and whose title contains ``title`` (proc(5))."""
    found = set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as handle:
                above = int(handle.read().rpartition(b")")[2].split()[1])
            if above != parent:
                continue
            with open(f"/proc/{entry}/cmdline", "rb") as handle:
                if title.encode() in handle.read():
                    found.add(int(entry))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
    return frozenset(found)
