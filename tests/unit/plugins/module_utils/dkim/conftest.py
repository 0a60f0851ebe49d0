# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A world for keys to live in: hosts that sign, name servers that lag, runs that are cut off."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ansible_collections.postseal.mail.plugins.module_utils.dkim.begin import begin
from ansible_collections.postseal.mail.plugins.module_utils.dkim.lifecycle import NO_WISHES, Sight, Wishes
from ansible_collections.postseal.mail.plugins.module_utils.dkim.signing import seen, signing_keys, switched
from ansible_collections.postseal.mail.plugins.module_utils.dkim.states import (
    PRESENT,
    REMOVED,
    UNDER_WAY,
    Lifecycle,
    united,
)
from ansible_collections.postseal.mail.plugins.module_utils.model.keys import DkimPublicKey, HostKeys, TlsPublicKey
from ansible_collections.postseal.mail.plugins.module_utils.model.load import HostVariables, Inventory, load
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Model

START = datetime(2026, 1, 1, tzinfo=UTC)
HOSTS = ("mail-a.example.com", "mail-b.example.com")
DOMAINS = ("example.com", "example.net")
DAY = timedelta(days=1)
STALE = 3600
# Where a run may end, one after the other: nothing is done, states are written on the first host or on both...
CUTS = ("begun:1", "begun", "made", "handed", "published", "seen:1", "seen", "switched:1", "switched", "retired:1", "")


def model() -> Model:
    variables = {
        "postseal_dns": {"providers": {"cf": {"type": "cloudflare", "api_token": "token"}}},
        "postseal_domains": [{"name": name, "dkim": {"rotate_every": "30d", "grace": "7d"}} for name in DOMAINS],
        "postseal_credentials": [],
    }
    hosts = {name: HostVariables(f"192.0.2.{number}") for number, name in enumerate(HOSTS, 1)}
    return load(Inventory("production", variables, hosts), START.date())


class CutOffError(Exception):
    """The run ended here."""


@dataclass
class World:
    """What is on each host, what each of two name servers has of each key and since when, and what is signed with."""

    model: Model = field(default_factory=model)
    now: datetime = START
    states: dict[str, Lifecycle] = field(default_factory=lambda: dict.fromkeys(HOSTS, Lifecycle()))
    files: dict[str, set[DkimPublicKey]] = field(default_factory=lambda: {name: set() for name in HOSTS})
    signs: dict[str, tuple[DkimPublicKey, ...]] = field(default_factory=lambda: dict.fromkeys(HOSTS, ()))
    servers: tuple[dict[tuple[str, str], datetime], ...] = field(default_factory=lambda: ({}, {}))

    def held(self, hosts: tuple[str, ...] = HOSTS) -> list[HostKeys]:
        return [
            HostKeys(name, tuple(sorted(self.files[name], key=str)), (TlsPublicKey(name, ""),), self.states[name])
            for name in hosts
        ]

    def known(self) -> Lifecycle:
        return united(self.states.values())

    def run(
        self,
        cut: str = "",
        lagging: frozenset[int] = frozenset(),
        down: frozenset[str] = frozenset(),
        wishes: Wishes = NO_WISHES,
    ) -> None:
        """One run of rotate_dkim.yml, as far as it gets."""
        with suppress(CutOffError):
            self._run(cut, lagging, down, wishes)

    def _run(self, cut: str, lagging: frozenset[int], down: frozenset[str], wishes: Wishes) -> None:
        turn = begin(self.model, self.held(), self.now, wishes)
        self._write("begun", turn.known, cut)
        made = {DkimPublicKey(key.domain, key.selector, key.algorithm, key.selector) for key in turn.create}
        self.files[HOSTS[0]] |= made
        self._at("made", cut)
        over = {key.name for key in turn.known.keys if key.state == REMOVED}
        everything = {key for keys in self.files.values() for key in keys if (key.domain, key.selector) not in over}
        self.files = {name: set(everything) for name in HOSTS}
        self._at("handed", cut)
        known = self.known()
        for number, server in enumerate(self.servers):
            if number not in lagging:
                wanted = {key.name for key in known.keys if key.state in PRESENT}
                for name in wanted - set(server):
                    server[name] = self.now
                for name in set(server) - wanted:
                    del server[name]
        self._at("published", cut)
        turn = seen(self.model, known, self.sights())
        self._write("seen", turn.known, cut)
        for host in HOSTS:
            if host not in down:
                self.signs[host] = signing_keys(self.held()[HOSTS.index(host)])
            self._at(f"switched:{1 + HOSTS.index(host)}", cut)
        self._at("switched", cut)
        signing = {host: [(key.domain, key.selector) for key in self.signs[host]] for host in HOSTS if host not in down}
        self._write("retired", switched(self.model, self.known(), signing, self.now).known, cut)

    def sights(self) -> list[Sight]:
        return [
            Sight(
                key.domain,
                key.selector,
                self.now,
                all(key.name in server for server in self.servers),
                STALE,
                "a server lags",
            )
            for key in self.known().keys
            if key.state in UNDER_WAY
        ]

    def _write(self, step: str, known: Lifecycle, cut: str) -> None:
        for number, host in enumerate(HOSTS, 1):
            self.states[host] = known
            self._at(f"{step}:{number}", cut)
        self._at(step, cut)

    @staticmethod
    def _at(step: str, cut: str) -> None:
        if step == cut:
            raise CutOffError
