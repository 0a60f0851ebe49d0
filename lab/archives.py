# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Packages that one host has downloaded serve the next.

Each host has a package directory of its own, filled from the shared cache when the host is made and collected when it
goes: two hosts that install at the same time do not wait for each other's lock.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import config


def collect(host: config.Host) -> None:
    """Move what apt of HOST has downloaded into the shared cache (links where the file system allows)."""
    config.ARCHIVES.mkdir(parents=True, exist_ok=True)
    for path in (host.directory / "upper/var/cache/apt/archives").glob("*.deb"):
        link(path, config.ARCHIVES / path.name)


def offer(upper: Path) -> None:
    """Give a new host every package that a host has downloaded before. apt verifies each before it uses it."""
    archives = upper / "var/cache/apt/archives"
    archives.mkdir(parents=True)
    for path in config.ARCHIVES.glob("*.deb"):
        link(path, archives / path.name)


def link(source: Path, target: Path) -> None:
    """TARGET becomes SOURCE's content, unless it is there already."""
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        # Of this process alone, and no package by its name: another lab may be filling or reading the cache just now.
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        shutil.copy(source, partial)
        partial.rename(target)
