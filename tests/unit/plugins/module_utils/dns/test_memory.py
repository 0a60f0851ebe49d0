# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The provider that other tests rely on keeps the same contract as real ones."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.base import Capabilities
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value

from tests.contract.suite import ProviderContract

from .memory import Memory, fresh


class InMemory:
    zone = "shop.test"

    def __init__(self, **how: object) -> None:
        self.memory = Memory({self.zone: fresh(self.zone)}, **how)  # type: ignore[arg-type]

    def provider(self) -> Memory:
        return self.memory

    def put(self, name: str, rrtype: str, ttl: int, values: Sequence[Value]) -> None:
        self.memory.put(name, rrtype, ttl, values)

    def remove(self, name: str, rrtype: str) -> None:
        del self.memory.zones[self.zone].rrsets[name, rrtype]


class TestWithRegistry(ProviderContract):
    @pytest.fixture
    def backend(self) -> InMemory:
        return InMemory()


class TestWithMarksBesideTheRecords(ProviderContract):
    @pytest.fixture
    def backend(self) -> InMemory:
        return InMemory(caps=Capabilities("zone", registry=False), echo=True)


class TestSetBySet(ProviderContract):
    @pytest.fixture
    def backend(self) -> InMemory:
        return InMemory(by_set=True)
