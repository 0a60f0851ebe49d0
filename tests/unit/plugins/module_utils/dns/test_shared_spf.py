# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""One SPF record for several environments and other people: each may change its mind or go, in any order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.authority import WaitPolicy
from ansible_collections.postseal.mail.plugins.module_utils.dns.execute import Policy, execute
from ansible_collections.postseal.mail.plugins.module_utils.dns.limits import Limits
from ansible_collections.postseal.mail.plugins.module_utils.dns.prepare import Options, Preparation, prepare
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.base import Capabilities
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import slots, spf
from hypothesis import given, settings
from hypothesis import strategies as st

from .memory import Memory, fresh
from .zones import ZONE, claim

ANY = Limits(1000, 100)
ENVIRONMENTS = ("production", "staging", "trial")
MECHANISMS = ["a", "ip4:192.0.2.1", "ip4:192.0.2.2", "include:relay.test"]
KINDS = {"registry": {}, "marks": {"caps": Capabilities("zone", registry=False)}}


class World:
    """A zone with one SPF record, and what everybody asks of it."""

    def __init__(self, how: str, people: spf.Spf | None = None) -> None:
        self.memory = Memory({ZONE: fresh(ZONE)}, **KINDS[how])  # type: ignore[arg-type]
        self.wishes: dict[str, spf.Spf] = {}
        self.people = set(people.mechanisms) if people else set()
        if people:
            self.memory.put(ZONE, "TXT", 3600, [people.encode()])

    def plan(self, owner: str) -> Preparation:
        wish = self.wishes.get(owner)
        ttl = 300 + 60 * ENVIRONMENTS.index(owner)
        claims = [claim(ZONE, "TXT", slots.SPF_MERGED, wish.encode(), ttl)] if wish else []
        options = Options(prune=True, zones=(ZONE,), slot_of=slots.slot_of)
        return prepare(claims, (), lambda _: self.memory, owner, ANY, options=options)

    def run(self, owner: str, wish: spf.Spf | None) -> None:
        self.wishes.pop(owner, None)
        if wish:
            self.wishes[owner] = wish
        (report,) = execute(self.plan(owner), Policy(WaitPolicy(0), ANY, lambda _: None))
        assert report.error == ""
        assert self.plan(owner).zones[0].plan.empty
        self.check()

    def edit(self, mechanism: str) -> None:
        """Let somebody put a mechanism into the record, or take it out again."""
        value, record = self.value(), self.record() or spf.Spf((), "~")
        rest = tuple(one for one in record.mechanisms if one != mechanism)
        self.people ^= {mechanism}
        if value is not None:
            self.memory.drop(ZONE, "TXT", value)
        if mechanism in self.people or rest or self.wishes:
            edited = replace(record, mechanisms=(*rest, mechanism) if mechanism in self.people else rest)
            self.memory.put(ZONE, "TXT", 3600, [edited.encode()])

    def value(self) -> bytes | None:
        found = self.memory.values(ZONE)
        assert len(found) <= 1
        return next((value for value in found if isinstance(value, bytes)), None)

    def record(self) -> spf.Spf | None:
        value = self.value()
        return None if value is None else spf.parse(value)

    def check(self) -> None:
        asked = self.people.union(*(wish.mechanisms for wish in self.wishes.values()))
        record = self.record()
        if not asked and not self.wishes and record is not None:
            assert (record.mechanisms, record.all) != ((), None)
        assert set(record.mechanisms if record else ()) == asked
        for wish in self.wishes.values():
            assert record is not None
            assert "-~?+".index(record.all or "+") <= "-~?+".index(wish.all or "+")


WISH = st.none() | st.builds(
    spf.Spf, st.lists(st.sampled_from(MECHANISMS), unique=True).map(tuple), st.sampled_from("-~")
)
PEOPLE = st.none() | st.builds(
    spf.Spf,
    st.lists(st.sampled_from([*MECHANISMS, "include:people.test"]), unique=True, min_size=1).map(tuple),
    st.sampled_from([None, "-", "~"]),
)
RUNS = st.tuples(st.sampled_from(ENVIRONMENTS), WISH)
EDITS = st.sampled_from(["include:one.test", "include:two.test"])


@pytest.mark.parametrize("how", KINDS)
@settings(deadline=None, max_examples=150)  # a busy machine is no fault of the planner
@given(people=PEOPLE, events=st.lists(RUNS | EDITS, min_size=1, max_size=10))
def test_everybody_keeps_what_they_ask_for_and_nothing_else_stays(
    how: str, people: spf.Spf | None, events: list[tuple[str, spf.Spf | None] | str]
) -> None:
    world = World(how, people)
    for event in events:
        if isinstance(event, str):
            world.edit(event)
        else:
            world.run(*event)
    for owner in ENVIRONMENTS:
        world.run(owner, None)
