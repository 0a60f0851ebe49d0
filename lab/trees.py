# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Debian trees: built once by mmdebstrap, kept under a key that changes with what they contain."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import config, sources
from .run import LabError, run, say

RECIPE = 1  # raise it when build() changes what a tree contains


@dataclass(frozen=True)
class Tree:
    """What a tree is made of."""

    release: str
    packages: tuple[str, ...]
    sources: str
    apt: tuple[str, ...]

    @property
    def key(self) -> str:
        """The name of its directory: release and a digest of its contents."""
        parts = [RECIPE, self.release, sorted(self.packages), self.sources, self.apt, sorted(authorities())]
        return f"{self.release}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}"

    @property
    def path(self) -> Path:
        """Where it is, once built."""
        return config.TREES / self.key


def authorities() -> dict[str, str]:
    """The machine's own certificate authorities, by file name: a mirror behind HTTPS may need them."""
    return {path.name: path.read_text() for path in Path("/usr/local/share/ca-certificates").glob("*.crt")}


def tree_of(lab: config.Lab, host: config.Host) -> Tree:
    """The tree that HOST is booted from."""
    return Tree(
        release=host.release,
        packages=tuple(sorted({*lab.base, *host.packages})),
        sources=sources.for_release(sources.machine_sources(), host.release),
        apt=sources.apt_options(),
    )


def ensure(lab: config.Lab) -> dict[str, Path]:
    """Build the trees that are missing, two at a time, and return the tree of each host by its name."""
    wanted = {host.name: tree_of(lab, host) for host in lab.hosts}
    config.TREES.mkdir(parents=True, exist_ok=True)
    for leftover in config.TREES.glob("*.partial"):
        say(f"removing the half-built tree {leftover.name}")
        shutil.rmtree(leftover)
    missing = sorted({tree for tree in wanted.values() if not tree.path.is_dir()}, key=lambda tree: tree.key)
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(build, missing))
    for tree in wanted.values():
        os.utime(tree.path)
    return {name: tree.path for name, tree in wanted.items()}


def build(tree: Tree) -> None:
    """Build TREE under a temporary name and rename it when it is complete."""
    start = time.monotonic()
    say(f"building the tree {tree.key} ({len(tree.packages)} packages and what they need) ...")
    partial = tree.path.with_suffix(".partial")
    scratch = config.CACHE / f"{tree.key}.sources"
    scratch.write_text(tree.sources)
    options = [f"--aptopt={line.rstrip(';')}" for line in tree.apt]
    try:
        # A mount namespace of its own: a build that is killed leaves no mount behind.
        run(
            [
                "unshare", "--mount",
                "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--skip=cleanup/apt/lists",
                *options,
                # The tree is thrown away after a crash anyway, and hosts are too: no fsync after each file.
                "--dpkgopt=force-unsafe-io",
                f"--include={','.join(tree.packages)}",
                tree.release, str(partial), str(scratch),
            ]
        )  # fmt: skip
    except LabError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise LabError(
            f"building the Debian tree {tree.key} failed; does `apt-get update` work on this machine?\n  {error}"
        ) from error
    finally:
        scratch.unlink()
    neutral(partial)
    partial.rename(tree.path)
    say(f"built the tree {tree.key} in {time.monotonic() - start:.0f} s")


def neutral(root: Path) -> None:
    """Take out of a fresh tree what must not be the same on two hosts."""
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name in ("etc/machine-id", "etc/resolv.conf", "etc/hostname", "var/lib/dbus/machine-id"):
        (root / name).unlink(missing_ok=True)
    # Empty means "not initialised yet": see machine-id(5).
    (root / "etc/machine-id").touch()
    for name, text in authorities().items():
        (root / "usr/local/share/ca-certificates" / name).write_text(text)
    if authorities():
        run(["chroot", str(root), "update-ca-certificates"])
