# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""That a domain has an MTA-STS policy (RFC 8461 3.1): build and parse. The policy itself is served over HTTPS."""

from __future__ import annotations

import re

from . import tags

VERSION = "STSv1"
_ID = re.compile(r"[A-Za-z0-9]{1,32}")


def record_name(domain: str) -> str:
    """Return where the record of ``domain`` is published."""
    return f"_mta-sts.{domain}"


def policy_host(domain: str) -> str:
    """Return the name that the policy is fetched from (RFC 8461 3.2)."""
    return f"mta-sts.{domain}"


def is_sts(data: bytes) -> bool:
    """Tell whether TXT data is such a record; the others at its name are discarded by senders (RFC 8461 3.1)."""
    return tags.begins_with(data, VERSION)


def build(policy: str) -> bytes:
    """Return the record as TXT data; raises :class:`ValueError` for an id that RFC 8461 does not allow."""
    if not _ID.fullmatch(policy):
        raise ValueError(f"{policy!r} is not 1 to 32 letters and digits (RFC 8461 3.1)")
    return tags.build([("v", VERSION), ("id", policy)])


def parse(data: bytes) -> str:
    """Return the id in the record in TXT data; raises :class:`ValueError` for one that senders discard."""
    found = tags.parse(data)
    if not is_sts(data):
        raise ValueError("v=STSv1 must come first (RFC 8461 3.1)")
    if not _ID.fullmatch(found.get("id", "")):
        raise ValueError("id= must be 1 to 32 letters and digits (RFC 8461 3.1)")
    return found["id"]
