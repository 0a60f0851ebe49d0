# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The programs of this machine that the lab needs."""

from __future__ import annotations

import shutil
from pathlib import Path

from . import sources
from .run import LabError, attempt, run, step

# What has to be there, and the Debian package that brings it.
PROGRAMS = {
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "openssl": "openssl",
    "ssh": "openssh-client",
    "systemd-nspawn": "systemd-container",
}
FILES = {Path(sources.KEYRING): "debian-archive-keyring"}

INSTALL = ["apt-get", "-q", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", "install"]


def missing() -> list[str]:
    """The packages that have to be installed."""
    programs = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    return sorted({*programs, *(package for path, package in FILES.items() if not path.exists())})


def ensure() -> None:
    """Install what is missing."""
    packages = missing()
    if not packages:
        return
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"installing {' '.join(packages)} on this machine"):
        if attempt([*INSTALL, *packages], environment=environment).returncode:
            run(["apt-get", "-q", "update"], environment=environment)
            run([*INSTALL, *packages], environment=environment)
    if left := missing():
        raise LabError(f"installed {' '.join(packages)}, but {' '.join(left)} is still not usable")
