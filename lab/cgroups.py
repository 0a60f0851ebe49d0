# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Control groups (version 2): one per host. Killing a host's group is pulling its plug."""

from __future__ import annotations

import os
import time
from pathlib import Path

from . import config
from .run import LabError, run

NAME = "postseal-lab"
OWN_MOUNT = Path("/run/postseal-lab-cgroup")


def root() -> Path:
    """Where cgroup2 is mounted on this machine: alone, or beside the old hierarchies. Mounted if it is nowhere."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _device, place, kind, *_rest = line.split()
        # The file: a mount that another one hides is listed too.
        if kind == "cgroup2" and (Path(place) / "cgroup.procs").exists():
            return Path(place) / NAME
    OWN_MOUNT.mkdir(exist_ok=True)
    run(["mount", "-t", "cgroup2", "none", str(OWN_MOUNT)])
    return OWN_MOUNT / NAME


def release() -> None:
    """Unmount what root() had to mount."""
    if OWN_MOUNT.is_dir():
        run(["umount", str(OWN_MOUNT)])
        OWN_MOUNT.rmdir()


def of(host: config.Host) -> Path:
    """The cgroup of HOST."""
    return root() / host.name


def is_populated(host: config.Host) -> bool:
    """Whether any process of HOST is alive."""
    try:
        return "populated 1" in (of(host) / "cgroup.events").read_text()
    except FileNotFoundError:
        return False


def kill(group: Path) -> None:
    """Kill every process of a cgroup and remove it; LabError if one does not go."""
    if not group.is_dir():
        return
    (group / "cgroup.kill").write_text("1")
    deadline = time.monotonic() + 10
    while "populated 1" in (group / "cgroup.events").read_text():
        if time.monotonic() > deadline:
            raise LabError(f"processes of {group} do not end; see {group}/cgroup.procs")
        time.sleep(0.01)
    for directory, _names, _files in os.walk(group, topdown=False):
        Path(directory).rmdir()
