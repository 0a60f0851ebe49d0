# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Files that survive a power cut whole. Standard library, Python 3.9."""

from __future__ import annotations

import os


def write_durably(path: str, content: bytes) -> None:
    """Write a root-only file so that after a power cut it is there whole, or not there at all."""
    draft = f"{path}.new"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(draft, path)
    sync_directory(os.path.dirname(path))


def sync_directory(path: str) -> None:
    """Make renames in ``path`` durable (fsync(2): the directory needs its own)."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
