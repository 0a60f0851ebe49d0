# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Servers that live as long as the test run. Every test gets a zone that no other test has written to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import powerdns
from .knot import PLAIN, SIGNED, Pair


@pytest.fixture(scope="session")
def knots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("knot"))
    try:
        pair.start()
        yield pair
    finally:
        pair.stop()


@pytest.fixture(scope="session")
def plain_zones() -> Iterator[str]:
    return iter(PLAIN)


@pytest.fixture(scope="session")
def signed_zones() -> Iterator[str]:
    return iter(SIGNED)


@pytest.fixture(scope="session")
def pdns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[powerdns.Server]:
    running = powerdns.Server(tmp_path_factory.mktemp("pdns"))
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def pdns_zones() -> Iterator[str]:
    return iter(powerdns.ZONES)
