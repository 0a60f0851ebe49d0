# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A Cloudflare of the test's own, in front of one Knot for all. Every test gets zones that no other has written to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from ..suite import Bench
from .backend import Cloudflare
from .mirror import Mirror
from .server import FakeCloudflare
from .store import Store

SCHEMA = jsonschema.Draft202012Validator(json.loads(Path(__file__).with_name("batch.schema.json").read_text("utf-8")))
ZONES = [f"cf{number:03d}.test" for number in range(160)]


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    server = Mirror(tmp_path_factory.mktemp("cloudflare"), ZONES)
    try:
        server.start()
        yield server
    finally:
        server.knot.stop()


@pytest.fixture(scope="session")
def unused_zones() -> Iterator[str]:
    return iter(ZONES)


@pytest.fixture
def cloudflare(mirror: Mirror, unused_zones: Iterator[str]) -> Iterator[Cloudflare]:
    """Return an account with one zone and a token that may edit it."""
    mirror.deaf.clear()
    invalid: list[str] = []
    with FakeCloudflare(Store(mirror)) as fake:
        account = Cloudflare(fake, mirror, next(unused_zones))
        fake.check = lambda body: invalid.extend(error.message for error in SCHEMA.iter_errors(body))
        yield account
    assert invalid == []  # every body that was sent is a documented one


@pytest.fixture
def bench(cloudflare: Cloudflare) -> Bench:
    """Return the zone with the provider as the product uses it: a fresh listing is good enough to add on."""
    return Bench(cloudflare, cloudflare.provider(fresh=300.0))
