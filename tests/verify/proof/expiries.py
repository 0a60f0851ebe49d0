# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What ends by itself, and when: certificates and DNSSEC signatures, for the report's timeline."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from .observe import Observer
from .outcome import NotTestedError
from .report import Expiry


def expiries(observed: Observer) -> Iterator[Expiry]:
    """Yield every end that was seen; what could not be looked at has none."""
    certificates = {}
    for endpoint, seen in observed.secured.items():
        try:
            leaf = seen.result().certificate
        except NotTestedError:
            continue
        certificates[endpoint.host, leaf.sha256] = leaf.not_after
    for (host, _), at in certificates.items():
        yield Expiry("certificate", host, at)
    for name, signatures in observed.signed.items():
        try:
            until = signatures.result().until
        except NotTestedError:
            continue
        if until:
            yield Expiry("DNSSEC signatures", name, datetime.fromtimestamp(until, UTC))
