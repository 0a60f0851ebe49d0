# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A random history on a real server; the long one is among the unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.dns.store import Store
from ansible_collections.postseal.mail.plugins.module_utils.dns.wire import rdata_of

from .history import ENVIRONMENTS, History
from .knot import Pair
from .test_rfc2136 import KnotBackend


class KnotWorld(KnotBackend):
    def drop(self, name: str, rrtype: str, value: Value) -> None:
        message = self.knots.edit(self.zone)
        message.delete(f"{name}.", rdata_of(rrtype, value))
        self.knots.send(message)


@pytest.mark.parametrize("key", ["postseal", "writer"])
def test_what_others_wrote_survives_on_knot(key: str, knots: Pair, plain_zones: Iterator[str], tmp_path: Path) -> None:
    stores = {owner: Store(tmp_path / owner) for owner in ENVIRONMENTS}
    history = History(KnotWorld(knots, next(plain_zones), key), stores, Random(7))  # noqa: S311  # the same life each time
    for _ in range(30):
        history.step()
    assert min(history.counts.values()) > 0, history.counts
