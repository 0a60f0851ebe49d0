# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an operator reads when apt-get or dpkg failed. Real installations: tests/lab/test_site.py."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import packages

REFUSED = """\
Err:1 http://mirror.example/debian bookworm InRelease
  Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)
Reading package lists...
E: Failed to fetch http://mirror.example/debian/dists/bookworm/InRelease  Could not connect to 127.0.0.1:9
E: Some index files failed to download. They have been ignored, or old ones used instead.
"""
HELD = """\
Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 415 (apt-get)...
E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 415 (apt-get)
"""
BROKEN = """\
Setting up postfix (3.7.11-0+deb12u1) ...
dpkg: error processing package postfix (--configure):
 installed postfix package post-installation script subprocess returned error exit status 1
E: Sub-process /usr/bin/dpkg returned an error code (1)
"""


@pytest.mark.parametrize(
    ("call", "output", "cause", "remedy"),
    [
        (
            "apt-get update",
            REFUSED,
            "E: Failed to fetch http://mirror.example",
            "reaches the package mirror of /etc/apt",
        ),
        ("apt-get install postfix", HELD, "held by process 415", "wait for it to end"),
        ("apt-get install postfix", BROKEN, "dpkg: error processing package postfix", "`apt-get install postfix`"),
        ("dpkg", "", "no reason given", "`dpkg`"),
    ],
)
def test_a_failure_names_step_cause_and_remedy(call: str, output: str, cause: str, remedy: str) -> None:
    message = packages.explain(call, output)
    assert message.startswith(f"Step keys, installing packages: {call} failed: ")
    assert cause in message
    assert remedy in message
    assert "nothing has been configured yet" in message


@pytest.mark.parametrize("configured", [True, False])
def test_the_generator_answers_at_once_without_main_cf_and_hands_over_with_it(tmp_path: Path, configured: bool) -> None:
    main, packaged = tmp_path / "main.cf", tmp_path / "packaged"
    packaged.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    packaged.chmod(0o755)
    if configured:
        main.touch()
    text = packages.QUICK_GENERATOR.replace("/etc/postfix/main.cf", str(main))
    program = tmp_path / "quick"
    program.write_text(text.replace(str(packages.PACKAGED_GENERATOR), str(packaged)))
    subprocess.run(["/bin/sh", program, "/run/normal", "/run/early"], check=True)
    assert (tmp_path / "asked").exists() == configured
    assert not configured or (tmp_path / "asked").read_text() == "/run/normal /run/early\n"
