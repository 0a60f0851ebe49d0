# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The fake as the contract suite sees it: a zone, the provider, and the hand of somebody else who edits it too."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.base import Server
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.cloudflare import CloudflareProvider
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Snapshot
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.slots import SPF_MERGED
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Cloudflare as Settings
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Secret

from ..knot import HOST
from ..suite import Bench
from .mirror import Mirror
from .rules import Fields
from .server import FakeCloudflare, Token
from .store import Zone


def entry(name: str, rrtype: str, ttl: int, value: Value) -> Fields:
    """Return a record as the dashboard writes it: TXT bare where that is possible, types with parts as data."""
    head: Fields = {"name": name, "type": rrtype, "ttl": ttl}
    if isinstance(value, bytes):
        return {**head, "content": value.decode()}
    words = value.split(" ")
    if rrtype == "CAA":
        return {**head, "data": {"flags": int(words[0]), "tag": words[1], "value": words[2].strip('"')}}
    if rrtype == "MX":
        return {**head, "priority": int(words[0]), "content": words[1].rstrip(".")}
    return {**head, "content": value.rstrip(".")}


def spf(bench: Bench, value: bytes) -> Claim:
    """Return a claim on the apex's SPF record, which is united with other people's."""
    return bench.claim("", "TXT", SPF_MERGED, value)


class Cloudflare:
    """An account with one zone."""

    def __init__(self, fake: FakeCloudflare, mirror: Mirror, zone: str) -> None:
        self.fake, self.mirror, self.zone = fake, mirror, zone
        self.token = secrets.token_urlsafe(30)
        fake.tokens[self.token] = Token()
        self.stored = fake.store.add(Zone(zone))

    def settings(self, **changes: Any) -> Settings:
        return Settings(**{"name": "cf", "api_token": Secret(self.token), "api_url": self.fake.url, **changes})

    def provider(self, fresh: float = 0.0, **changes: Any) -> CloudflareProvider:
        """Return the provider. By default it looks again before every write, as it does later than ``fresh``."""
        return CloudflareProvider(self.settings(**changes), fresh=fresh, locate=self.locate)

    def locate(self, snapshot: Snapshot) -> Sequence[Server]:
        return [Server(f"ns1.{snapshot.zone}", HOST, self.mirror.knot.port)]

    def put(self, name: str, rrtype: str, ttl: int, values: Sequence[Value], **more: Any) -> None:
        """Add records by hand."""
        for value in values:
            self.fake.store.one(self.stored.id, "posts", {**entry(name, rrtype, ttl, value), **more})

    def remove(self, name: str, rrtype: str) -> None:
        for record in self.records(name, rrtype):
            self.fake.store.one(self.stored.id, "deletes", {"id": record["id"]})

    def records(self, name: str, rrtype: str) -> list[Fields]:
        """Return what the store holds."""
        return [each for each in self.stored.records.values() if (each["name"], each["type"]) == (name, rrtype)]

    def calls(self) -> list[str]:
        """Return the requests since the last look at them, ids left out."""
        told = [
            str(request).removeprefix("GET /client/v4").removeprefix("POST /client/v4")
            for request in self.fake.requests
        ]
        self.fake.requests.clear()
        self.fake.faults.clear()
        return told
