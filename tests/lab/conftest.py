# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A lab for the tests that need one: found as it is, or made and taken away again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from .site import ROOT

LAB = ROOT / "script/lab"


@pytest.fixture(scope="session", autouse=True)
def standing_lab() -> Iterator[None]:
    """Bring the lab up, or repair it; afterwards take it down, unless it stood before."""
    before = subprocess.run([LAB, "status"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    subprocess.run([LAB, "up"], check=True, stdin=subprocess.DEVNULL)
    yield
    if "The lab is down." in before.stdout:
        subprocess.run([LAB, "down"], check=True, stdin=subprocess.DEVNULL)
