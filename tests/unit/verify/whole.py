# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs the whole proof on an inventory that a test makes up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SECRET = "correct-horse-battery-staple"
# Nothing listens on this address of the loopback network: every port refuses at once.
HOST = "127.0.0.9"
HASH = (
    "{SHA512-CRYPT}$6$abcdefgh$D7W7qyozKBT.t6FD3DVYHvADbIO0eSyI4.p20LaEUjro8PqTGYYo/EQcuNjhFbzo9Yg5ir1KIEqFY/yJpgFph0"
)
VARIABLES: dict[str, Any] = {
    "postseal_dns": {
        "resolvers": [HOST],
        "providers": {
            "main": {"type": "rfc2136", "server": HOST, "tsig": {"name": "k", "secret": "c2VjcmV0c2VjcmV0c2VjcmV0"}}
        },
    },
    "postseal_submission": {"ports": {"implicit_tls": 4651, "starttls": 5871}},
    "postseal_domains": [{"name": "shop.example"}],
    "postseal_credentials": [{"name": "shop", "domain": "shop.example", "secret_hash": HASH}],
    "postseal_probe": {"credential": "shop", "secret": SECRET, "recipient": "p@there.example", "mailbox": "/nowhere"},
}
NAME = "mail-a.example.com"
CONNECTION = {"plugin": "ssh", "address": HOST, "port": 221, "user": None, "key": None, "options": ""}
DEAD: dict[str, Any] = {
    "inventory": {"folder": "staging", "variables": VARIABLES, "hosts": {NAME: {"ansible_host": HOST}}},
    "connections": {NAME: {**CONNECTION, "python": "/usr/bin/python3"}},
    "command": "ansible-playbook -i elsewhere",
}


def run(given: bytes, report: Path, *more: str) -> subprocess.CompletedProcess[str]:
    reading, writing = os.pipe()
    os.write(writing, given)
    os.close(writing)
    command = [sys.executable, "-m", "pytest", "tests/verify", "-q", "-p", "no:cacheprovider"]
    command += [f"--handover-fd={reading}", f"--report-directory={report}", "--delivery-timeout=1", *more]
    try:
        return subprocess.run(
            command, cwd=ROOT, pass_fds=[reading], capture_output=True, text=True, check=False, timeout=120
        )
    finally:
        os.close(reading)
