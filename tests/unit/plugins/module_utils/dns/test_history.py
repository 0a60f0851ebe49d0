# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.base import Capabilities
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.dns.store import Store

from tests.contract.history import ENVIRONMENTS, History

from .memory import Memory, fresh

KINDS = {
    "registry": {},
    "marks beside the records": {"caps": Capabilities("zone", registry=False), "echo": True},
    "set by set": {"by_set": True},
    "one call a name": {"caps": Capabilities("none")},
    "a long registry, set by set": {"by_set": True, "caps": Capabilities("zone", registry_room=300)},
    "a long registry, one call a name": {"caps": Capabilities("none", registry_room=300)},
    "batches": {"caps": Capabilities("batch", registry_room=300)},
}


class World:
    zone = "shop.test"

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def provider(self) -> Memory:
        return self.memory

    def put(self, name: str, rrtype: str, ttl: int, values: Sequence[Value]) -> None:
        self.memory.put(name, rrtype, ttl, values)

    def drop(self, name: str, rrtype: str, value: Value) -> None:
        self.memory.drop(name, rrtype, value)


class Clock:
    """Runs are told apart by the second."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


# Fourteen lives of a hundred cycles each: 1,400 cycles, spread over every kind of provider.
@pytest.mark.parametrize("seed", range(14))
def test_what_others_wrote_survives_any_history(seed: int, tmp_path: Path) -> None:
    how = list(KINDS.values())[seed % len(KINDS)]
    memory = Memory({World.zone: fresh(World.zone)}, **how)  # type: ignore[arg-type]
    clock = Clock()
    stores = {owner: Store(tmp_path / owner, clock) for owner in ENVIRONMENTS}
    history = History(World(memory), stores, Random(seed))  # noqa: S311  # the same life every time
    for _ in range(100):
        history.step()
    assert min(history.counts["apply"], history.counts["edit"], history.counts["rollback"]) > 10, history.counts
    assert history.counts["exact"] > 0, history.counts
