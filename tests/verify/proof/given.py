# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The model and the connections, from whoever can read the inventory: a play through a pipe, or Ansible in a child."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.postseal.mail.plugins.module_utils.model.load import HostVariables, Inventory, load
from ansible_collections.postseal.mail.plugins.module_utils.model.problems import InventoryError
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Model

from .hosts import Connection

ROOT = Path(__file__).resolve().parents[3]
RESOLVE = Path(__file__).resolve().parent / "resolve.py"
SECONDS = 120


class GivenError(Exception):
    """There is no usable inventory; the text says why, one problem a line."""


@dataclass(frozen=True)
class Given:
    """What a verification works from."""

    model: Model
    connections: dict[str, Connection]
    command: str  # ansible-playbook with the inventory, as remedies shall name it


def from_descriptor(number: int) -> Given:
    """Read the hand-over from an inherited file descriptor; raises :class:`GivenError`."""
    with os.fdopen(number, "rb") as pipe:
        return _given(pipe.read())


class Resolving:
    """Ansible reading an inventory in a child process, so that the rest can start meanwhile."""

    def __init__(self, inventory: str | None, vault_password_file: str | None) -> None:
        vault = ["--vault-password-file", vault_password_file] if vault_password_file else []
        # ansible.cfg is ignored in a world-writable directory, which a checkout may well be; naming it is explicit.
        environment = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **os.environ, "ANSIBLE_FORCE_COLOR": "0"}
        self._child = subprocess.Popen(
            [sys.executable, str(RESOLVE), *vault, "--", *([inventory] if inventory else [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )

    def result(self) -> Given:
        """Wait for the child and return what it found; raises :class:`GivenError`."""
        try:
            answer, complaint = self._child.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.communicate()
            raise GivenError(f"Ansible did not read the inventory within {SECONDS} s") from None
        if self._child.returncode != 0:
            said = complaint.decode(errors="replace").strip().splitlines()
            raise GivenError("Ansible cannot read the inventory: " + "\n  ".join(said[-20:] or ["no reason given"]))
        return _given(answer)


def _given(text: bytes) -> Given:
    try:
        raw: dict[str, Any] = json.loads(text)
        said = raw["inventory"]
        hosts = {name: HostVariables(**variables) for name, variables in said["hosts"].items()}
        inventory = Inventory(said["folder"], said["variables"], hosts)
        connections = {name: Connection(**fields) for name, fields in raw["connections"].items()}
        command = str(raw.get("command", "ansible-playbook"))
    except (ValueError, KeyError, TypeError):
        raise GivenError("the inventory came in a form that this version does not know") from None
    try:
        model = load(inventory, datetime.now(tz=UTC).date())
    except InventoryError as error:
        raise GivenError("\n  ".join(["the inventory has problems:", *map(str, error.problems)])) from None
    # The model's names are canonical, the inventory's are as written.
    return Given(model, {name.lower().rstrip("."): connection for name, connection in connections.items()}, command)
