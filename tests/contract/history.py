# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A zone's life at random: the inventory changes, others edit, runs are taken back. What others wrote must survive."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol

from ansible_collections.postseal.mail.plugins.module_utils.dns.authority import WaitPolicy
from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim, Slot
from ansible_collections.postseal.mail.plugins.module_utils.dns.execute import Policy, execute
from ansible_collections.postseal.mail.plugins.module_utils.dns.limits import Limits
from ansible_collections.postseal.mail.plugins.module_utils.dns.prepare import (
    Options,
    Preparation,
    prepare,
    prepare_restore,
)
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.base import Provider
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Key, RRset, Value
from ansible_collections.postseal.mail.plugins.module_utils.dns.registry import is_registry
from ansible_collections.postseal.mail.plugins.module_utils.dns.store import Store
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import slots, spf

ANY = Limits(10_000, 100)
ENVIRONMENTS = ("production", "staging")


class World(Protocol):
    """A provider's zone, and the hand of somebody else who edits it too."""

    zone: str

    def provider(self) -> Provider: ...

    def put(self, name: str, rrtype: str, ttl: int, values: Sequence[Value]) -> None: ...

    def drop(self, name: str, rrtype: str, value: Value) -> None: ...


class History:
    """One zone, two environments that publish into it, and other people."""

    def __init__(self, world: World, stores: dict[str, Store], random: Random) -> None:
        self.world, self.stores, self.random, self.zone = world, stores, random, world.zone
        self.provider = world.provider()
        self.foreign: dict[Key, set[Value]] = {}
        self.includes: dict[str, set[str]] = {}
        # What the zone held before the last run, as long as nobody has touched it since.
        self.before: tuple[str, str, dict[Key, RRset]] | None = None
        self.counts = {"apply": 0, "edit": 0, "rollback": 0, "exact": 0}

    def step(self) -> None:
        """Let one thing happen, and check that nothing of others got lost."""
        event = self.random.choices([self.edit, self.apply, self.go_back], [3, 4, 2])[0]
        event()
        self.check_others()

    # What others do.

    def edit(self) -> None:
        self.counts["edit"] += 1
        self.before = None
        name = self.random.choice([self.zone, f"news.{self.zone}"])
        what = self.random.choice(["verification", "caa", "mx", "spf"])
        number = self.random.randrange(5)
        if what == "spf":
            self.edit_spf(name, f"include:foreign{number}.example")
        elif what == "verification":
            self.toggle((name, "TXT"), f'google-site-verification="{number}"; \\'.encode())
        elif what == "caa":
            self.toggle((name, "CAA"), f'0 issue "ca{number}.example"')
        else:
            self.toggle((self.zone, "MX"), f"{number} mx{number}.elsewhere.example.")

    def toggle(self, key: Key, value: Value) -> None:
        there = self.foreign.setdefault(key, set())
        if value in there:
            self.world.drop(*key, value)
            there.remove(value)
        else:
            self.world.put(*key, 3600, [value])
            there.add(value)

    def edit_spf(self, name: str, mechanism: str) -> None:
        found = [value for value in self.snapshot().get((name, "TXT"), _none(name)).values if _is_spf(value)]
        includes = self.includes.setdefault(name, set())
        if not found:
            includes.clear()
            includes.add(mechanism)
            self.world.put(name, "TXT", 3600, [f"v=spf1 {mechanism} ~all".encode()])
            return
        (value,) = found
        record = spf.parse(value)  # TXT data
        if mechanism in record.mechanisms and mechanism not in includes:
            return
        rest = tuple(one for one in record.mechanisms if one != mechanism)
        if mechanism in includes:
            includes.remove(mechanism)
        else:
            includes.add(mechanism)
            rest = (*rest, mechanism)
        self.world.drop(name, "TXT", value)
        if rest:
            edited = spf.Spf(rest, record.all, record.redirect, record.modifiers)
            self.world.put(name, "TXT", 3600, [edited.encode()])

    # What we do.

    def claims(self, owner: str) -> list[Claim]:
        """Return what one environment's inventory asks for at this moment: a random part of all it could."""
        some = self.random.sample
        found: list[tuple[str, str, Slot, Value]] = []
        for name in some([self.zone, f"news.{self.zone}"], self.random.randint(1, 2)):
            if owner == "production":
                networks = [f"192.0.2.{number}" for number in some(range(1, 9), self.random.randint(1, 3))]
                record = spf.for_addresses(networks, final=self.random.choice(["fail", "softfail"]))
                found.append((name, "TXT", slots.SPF_MERGED, record.encode()))
                policy = self.random.choice(["none", "quarantine", "reject"])
                found.append((f"_dmarc.{name}", "TXT", slots.DMARC, f"v=DMARC1; p={policy}".encode()))
            for selector in some(range(4), self.random.randint(0, 3)):
                label = f"{owner}{selector}"
                key = b"v=DKIM1; p=" + bytes([self.random.choice(b"ABC")]) * self.random.choice([40, 392])
                found.append((f"{label}._domainkey.{name}", "TXT", slots.dkim(label), key))
        for host in some(range(3), self.random.randint(0, 3)):
            name = f"{owner}{host}.{self.zone}"
            found += [(name, "A", slots.ADDRESS, f"192.0.2.{number}") for number in some(range(1, 9), 2)]
            found.append((f"_465._tcp.{name}", "TLSA", slots.TLSA, "3 1 1 " + self.random.choice("ab") * 64))
        ttl = self.random.choice([300, 600])
        return [Claim(name, kind, slot, value, ttl, self.zone, "a test") for name, kind, slot, value in found]

    def apply(self) -> None:
        self.counts["apply"] += 1
        owner = self.random.choice(ENVIRONMENTS)
        claims = self.claims(owner)
        options = Options(prune=self.random.random() < 0.6, zones=(self.zone,), slot_of=slots.slot_of)

        def planned() -> Preparation:
            return prepare(claims, (), lambda _: self.provider, owner, ANY, options=options)

        held = self.snapshot()
        self.publish(owner, planned(), held)
        assert planned().zones[0].plan.empty, planned().zones[0].plan
        now = self.snapshot()
        for claim in claims:
            values = now[claim.key].values
            if claim.slot is slots.SPF_MERGED:
                asked = set(spf.parse(claim.value).mechanisms)
                (record,) = [spf.parse(value) for value in values if _is_spf(value)]
                assert asked <= set(record.mechanisms)
            else:
                assert claim.value in values

    def go_back(self) -> None:
        owner = self.random.choice(ENVIRONMENTS)
        store = self.stores[owner]
        runs = store.runs()
        if not runs:
            return
        self.counts["rollback"] += 1
        chosen = self.random.choice([runs[-1], self.random.choice(runs)])
        _, saved = store.load(chosen)
        exact = self.before if self.before and self.before[:2] == (owner, chosen) else None
        held = self.snapshot()

        def planned() -> Preparation:
            return prepare_restore(saved, lambda _: self.provider, owner, ANY, options=Options(slot_of=slots.slot_of))

        self.publish(owner, planned(), held)
        assert planned().zones[0].plan.empty, planned().zones[0].plan
        if exact:
            self.counts["exact"] += 1
            now, then = self.snapshot(), exact[2]
            differing = {key: (then.get(key), now.get(key)) for key in now.keys() | then.keys()}
            wrong = {key: pair for key, pair in differing.items() if pair[0] != pair[1]}
            assert not wrong, wrong

    def publish(self, owner: str, preparation: Preparation, held: dict[Key, RRset]) -> None:
        run = self.stores[owner].run(preparation.fingerprint)
        policy = Policy(WaitPolicy(5, first=0.02), ANY, lambda _: None, keep=lambda item: run.keep("any", item.plan))
        (report,) = execute(preparation, policy)
        assert report.error == ""
        if report.written:
            self.before = (owner, run.id, held)

    # What must hold.

    def snapshot(self) -> dict[Key, RRset]:
        """Return the zone without what the engine and the server keep for themselves."""
        found = self.provider.fetch(self.zone, self.keys()).rrsets
        return {key: rrset for key, rrset in found.items() if not is_registry(key, self.zone) and key[1] != "SOA"}

    def keys(self) -> set[Key]:
        """Return every set that anybody here ever writes; not every provider shows a zone unasked."""
        names = [self.zone, f"news.{self.zone}"]
        hosts = [f"{owner}{number}.{self.zone}" for owner in ENVIRONMENTS for number in range(3)]
        labels = [f"{owner}{number}._domainkey" for owner in ENVIRONMENTS for number in range(4)]
        texts = [*names, *(f"{label}.{name}" for label in ("_dmarc", *labels) for name in names)]
        keys = {(name, kind) for name in names for kind in ("CAA", "MX")} | {(name, "TXT") for name in texts}
        return keys | {(host, "A") for host in hosts} | {(f"_465._tcp.{host}", "TLSA") for host in hosts}

    def check_others(self) -> None:
        now = self.snapshot()
        for key, values in self.foreign.items():
            lost = values - set(now.get(key, _none(key[0])).values)
            assert not lost, f"{key} lost {lost}"
        for name, includes in self.includes.items():
            found = [value for value in now.get((name, "TXT"), _none(name)).values if _is_spf(value)]
            assert len(found) <= 1, f"{name} has {found}"
            held = {one for value in found for one in spf.parse(value).mechanisms}
            assert includes <= held, f"{name} lost {includes - held}"


def _none(name: str) -> RRset:
    return RRset(name, "", 0, ())


def _is_spf(value: Value) -> bool:
    return isinstance(value, bytes) and spf.is_spf(value)
