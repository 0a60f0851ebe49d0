# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What ``postfix check`` says of mail that moves on while it looks. Standard library, Python 3.9."""

from __future__ import annotations

import re

# Files of the queue are named in hexadecimal, or in base 52 with enable_long_queue_ids. One that is still being written
# is named microseconds.pid; a daemon that was killed then leaves it behind for MAX_TEMP_AGE, seven days (postsuper(1)).
_ENTRY = re.compile(
    r"(?:^|[/ ])(?:active|bounce|defer|deferred|flush|hold|incoming|maildrop|trace)"
    r"/(?:[0-9A-F]/)*(?:[0-9A-Za-z]{6,}|[0-9]+\.[0-9]+)\b"
)


def in_motion(complaint: str) -> bool:
    """Tell whether a complaint is about one file in the queue: mail moves on, and configuration is not its cause."""
    return bool(_ENTRY.search(complaint))
