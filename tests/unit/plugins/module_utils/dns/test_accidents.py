# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Every call fails once, in every way it can: the zone ends old or new, the report says which, the next converges."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns import jobs
from ansible_collections.postseal.mail.plugins.module_utils.dns.authority import WaitPolicy
from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import DnsError
from ansible_collections.postseal.mail.plugins.module_utils.dns.execute import Policy, ZoneReport, execute
from ansible_collections.postseal.mail.plugins.module_utils.dns.limits import Limits
from ansible_collections.postseal.mail.plugins.module_utils.dns.prepare import Options, prepare
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.base import Capabilities
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Key, RRset, Value
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Change

from .memory import AFTER, BEFORE, EMPTY, ERROR, PARTIAL, TRUNCATED, Memory, fresh
from .zones import EVERYTHING, ZONE, claim

GOOGLE = b"google-site-verification=x1"
ANY = Limits(1000, 100)
KINDS = {
    "registry": {},
    "marks": {"caps": Capabilities("zone", registry=False), "echo": True},
    "pieces": {"caps": Capabilities("none")},
    "set by set": {"by_set": True},
    "batches": {"caps": Capabilities("batch", registry_room=300)},
    "pieces and a long registry": {"caps": Capabilities("none", registry_room=300)},
    "set by set and a long registry": {"by_set": True, "caps": Capabilities("zone", registry_room=300)},
}


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_PAUSE", 0.0)


def wanted(values: Iterable[int]) -> list[Claim]:
    """Return claims of which a run adds, replaces, removes (prune) and leaves some."""
    hosts = [claim(f"h{number}.{ZONE}", "A", EVERYTHING, f"192.0.2.{number}") for number in values]
    text = f"ours={sum(values)}".encode()
    return [*hosts, claim(f"_dmarc.{ZONE}", "TXT", EVERYTHING, text)]


OLD, NEW = wanted([1, 2, 3]), wanted([2, 3, 4])


def publish(memory: Memory, claims: list[Claim], limits: Limits = ANY, last: int = 0) -> ZoneReport:
    options = Options(prune=True, last_owned={ZONE: last})
    preparation = prepare(claims, (), lambda _: memory, "production", limits, options=options)
    preparation.check()
    (report,) = execute(preparation, Policy(WaitPolicy(0), limits, lambda _: None))
    return report


def stands(memory: Memory) -> dict[Key, RRset]:
    return {key: rrset for key, rrset in memory.zones[ZONE].rrsets.items() if not key[0].startswith("_postseal")}


def world(how: str, claims: list[Claim]) -> Memory:
    memory = Memory({ZONE: fresh(ZONE)}, **KINDS[how])  # type: ignore[arg-type]
    memory.put(ZONE, "TXT", 3600, [GOOGLE])
    memory.put(f"h2.{ZONE}", "TXT", 3600, [GOOGLE])
    if claims:
        assert publish(memory, claims).error == ""
    memory.calls.clear()
    return memory


def calls(how: str) -> int:
    memory = world(how, OLD)
    assert publish(memory, NEW).error == ""
    return len(memory.calls)


CASES = [
    (how, index, accident)
    for how in KINDS
    for index in range(calls(how))
    for accident in (ERROR, BEFORE, AFTER, TRUNCATED, EMPTY, PARTIAL)
]


@pytest.mark.parametrize(("how", "index", "accident"), CASES)
def test_a_zone_ends_old_or_new_and_the_next_run_converges(how: str, index: int, accident: str) -> None:
    old, new = stands(world(how, OLD)), stands(world(how, NEW))
    memory = world(how, OLD)
    everything = dict(memory.zones[ZONE].rrsets)
    memory.accidents = {index: accident}
    try:
        report = publish(memory, NEW, last=4)
    except DnsError:
        report = None
    memory.accidents = {}
    now = stands(memory)
    if memory.caps.atomic == "zone":
        assert now in (old, new), "atomic, and neither old nor new"
    if report is None:
        assert now == old, "an error before the report, and something was written"
    else:
        assert report.written == (memory.zones[ZONE].rrsets != everything), report
        assert (report.state == "changed") == (not report.error)
        if not report.error:
            assert now == new
        if now not in (old, new):
            told(report, old, now, new)
    assert all(GOOGLE in memory.values(name) for name in (ZONE, f"h2.{ZONE}"))
    final = publish(memory, NEW)
    assert final.error == ""
    assert stands(memory) == new
    assert publish(memory, OLD).error == "", "what the failed run wrote is not ours any more"
    assert stands(memory) == old


def told(report: ZoneReport, old: dict[Key, RRset], now: dict[Key, RRset], new: dict[Key, RRset]) -> None:
    """Check that the report says of each value of the plan whether it is done."""

    def values(zone: dict[Key, RRset]) -> set[tuple[Key, Value]]:
        return {(key, value) for key, rrset in zone.items() for value in rrset.values}

    before, after, present = values(old), values(new), values(now)
    done = {f"+ {key[0]} {key[1]}" for key, _ in present - before} | {f"- {k[0]} {k[1]}" for k, _ in before - present}
    left = {f"+ {key[0]} {key[1]}" for key, _ in after - present} | {f"- {k[0]} {k[1]}" for k, _ in present - after}
    assert {line.rsplit(" ", 1)[0] for line in report.done} == done
    assert {line.rsplit(" ", 1)[0] for line in report.open} == left
    assert not report.atomic


@pytest.mark.parametrize("how", KINDS)
@pytest.mark.parametrize("accident", [TRUNCATED, EMPTY])
@pytest.mark.parametrize("index", range(3))
def test_a_part_of_a_listing_deletes_nothing_of_anybody(how: str, accident: str, index: int) -> None:
    memory = world(how, wanted(range(1, 40)))
    old = stands(memory)
    memory.accidents = {index: accident}
    with suppress(DnsError):
        publish(memory, wanted(range(1, 40)), Limits(), last=40)
    lost = {key for key in old if not set(old[key].values) <= memory.values(*key)}
    assert not lost


def test_a_listing_that_has_lost_our_values_is_refused() -> None:
    memory = world("marks", wanted(range(1, 40)))
    memory.accidents = {0: TRUNCATED}
    with pytest.raises(DnsError, match="values of ours, and 40 were there last time"):
        publish(memory, wanted(range(1, 40)), Limits(), last=40)
    memory.zones[ZONE] = fresh(ZONE)
    with pytest.raises(DnsError, match="none of the 40 values of ours"):
        publish(memory, wanted(range(1, 40)), Limits(), last=40)
    assert "apply" not in "".join(memory.calls)


def test_a_write_of_unknown_outcome_is_not_repeated_blindly() -> None:
    memory = world("registry", [])
    memory.accidents = {1: AFTER}
    report = publish(memory, OLD)
    assert (report.state, report.written, report.error) == ("changed", True, "")
    assert memory.calls.count(f"apply {ZONE}") == 1
    assert memory.calls[2] == f"fetch {ZONE}"


def test_a_write_that_got_lost_is_made_again_after_a_look() -> None:
    memory = world("registry", [])
    memory.accidents = {1: BEFORE}
    report = publish(memory, OLD)
    assert (report.state, report.error) == ("changed", "")
    assert memory.calls[1:4] == [f"apply {ZONE}", f"fetch {ZONE}", f"apply {ZONE}"]


def test_an_unknown_outcome_that_cannot_be_looked_into_is_told() -> None:
    memory = world("registry", [])
    memory.accidents = {1: AFTER, 2: ERROR, 3: ERROR, 4: ERROR}
    report = publish(memory, OLD)
    assert (report.state, report.written) == ("unknown", True)
    assert "Whether anything was written is unknown: run dns.yml again" in report.error
    assert "no answer" in report.error
    assert "the server failed" in report.error


def test_an_alias_that_the_server_dropped_silently_is_found_out() -> None:
    memory = world("registry", [])

    def somebody_is_faster(change: Change) -> Change:
        if change.key[1] == "CNAME":
            memory.zones[ZONE].rrsets.setdefault((change.key[0], "TXT"), RRset.of(change.key[0], "TXT", 60, [b"x"]))
        return change

    memory.spoil = somebody_is_faster
    report = publish(memory, [claim(f"alias.{ZONE}", "CNAME", EVERYTHING, "elsewhere.test."), *OLD])
    assert (report.state, report.written) == ("failed", True)
    assert f"read back: alias.{ZONE} CNAME" in report.error
    assert f"+ alias.{ZONE} CNAME elsewhere.test." in report.open
    assert f"+ h1.{ZONE} A 192.0.2.1" in report.done


def test_an_answer_that_shows_what_is_stored_spares_reading_back() -> None:
    memory = world("marks", [])
    assert publish(memory, OLD).error == ""
    assert memory.calls == [f"fetch {ZONE}", f"apply {ZONE}"]
    memory.calls.clear()
    assert publish(memory, OLD).state == "unchanged"
    assert memory.calls == [f"fetch {ZONE}"]


def test_what_cannot_be_saved_is_not_written() -> None:
    memory = world("registry", OLD)
    preparation = prepare(NEW, (), lambda _: memory, "production", ANY, options=Options(prune=True))

    def full(_: object) -> None:
        raise DnsError("no space left")

    (report,) = execute(preparation, Policy(WaitPolicy(0), ANY, lambda _: None, keep=full))
    assert (report.state, report.written, report.error) == ("failed", False, "no space left")
    assert not any(call.startswith("apply") for call in memory.calls)
