# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""From plans to the end as an operator sees it: look, keep, approve, apply, go back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim, Pending
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import DnsError, StoreError
from ansible_collections.postseal.mail.plugins.module_utils.dns.findings import ERROR, WARNING, Finding
from ansible_collections.postseal.mail.plugins.module_utils.dns.flow import Request, carry_out
from ansible_collections.postseal.mail.plugins.module_utils.dns.limits import Limits
from ansible_collections.postseal.mail.plugins.module_utils.dns.prepare import (
    Options,
    Preparation,
    prepare,
    prepare_restore,
)
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Key, RRset
from ansible_collections.postseal.mail.plugins.module_utils.dns.store import Store
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.slots import slot_of

from .memory import ERROR as FAILS
from .memory import Memory, fresh
from .zones import EVERYTHING, ZONE, claim

LIMITS = Limits(2, 30)
REQUEST = Request("production", LIMITS, wait=0)


def host(number: int, address: int = 1) -> Claim:
    return claim(f"h{number}.{ZONE}", "A", EVERYTHING, f"192.0.2.{address}")


HOSTS = [host(number) for number in range(6)]
MOVED = [host(number, 2) for number in range(6)]


class Desk:
    """A provider, a store, and an operator's commands."""

    def __init__(self, folder: Path) -> None:
        self.memory = Memory({ZONE: fresh(ZONE)})
        self.store, self.folder = Store(folder / "store"), folder
        self.told: list[str] = []

    def plans(self, claims: Iterable[Claim], **options: Any) -> Preparation:
        chosen = Options(slot_of=slot_of, **options)
        return prepare(list(claims), (), lambda _: self.memory, "production", LIMITS, options=chosen)

    def run(self, preparation: Preparation, **how: Any) -> dict[str, Any]:
        return carry_out(replace(REQUEST, **how), preparation, self.store, self.told.append)

    def publish(self, claims: Iterable[Claim], **how: Any) -> dict[str, Any]:
        return self.run(self.plans(claims), **how)

    def back(self, wanted: str, **how: Any) -> dict[str, Any]:
        _, saved = self.store.load(wanted)
        plans = prepare_restore(saved, lambda _: self.memory, "production", LIMITS, options=Options(slot_of=slot_of))
        return self.run(plans, **how)

    def zone(self) -> dict[Key, RRset]:
        return dict(self.memory.zones[ZONE].rrsets)

    @property
    def writes(self) -> int:
        return len([call for call in self.memory.calls if call.startswith("apply")])


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_run_tells_how_to_take_it_back_and_the_next_has_nothing_to_take_back(desk: Desk) -> None:
    first = desk.publish(HOSTS)
    assert (first["changed"], first.get("failed")) == (True, None)
    assert desk.store.runs() == [first["rollback"]]
    second = desk.publish(HOSTS)
    assert (second["changed"], second["rollback"]) == (False, "")
    assert desk.store.runs() == [first["rollback"]]


def test_check_mode_writes_neither_records_nor_runs(desk: Desk) -> None:
    result = desk.publish(HOSTS, check=True)
    assert (result["changed"], result["zones"][0]["state"], desk.writes) == (True, "planned", 0)
    assert "h0.shop.test. 300 IN A 192.0.2.1 ; production" in result["diff"][0]["after"]
    assert not desk.store.folder.exists()


def test_a_plan_for_a_folder_that_is_not_there_names_the_right_remedy(desk: Desk) -> None:
    result = desk.publish(HOSTS, plan_out=str(desk.folder / "missing/plan.json"))
    assert (result["failed"], desk.writes) == (True, 0)
    assert "missing/plan.json: No such file or directory" in result["msg"]
    assert "-e plan_out=FILE" in result["msg"]
    assert "dns_store" not in result["msg"]


def test_a_plan_is_written_and_nothing_applied(desk: Desk) -> None:
    out = desk.folder / "plan.json"
    result = desk.publish(HOSTS, plan_out=str(out))
    assert (result["changed"], result["plan_file"], desk.writes) == (False, str(out), 0)
    assert out.stat().st_mode & 0o777 == 0o600
    read = json.loads(out.read_text())
    assert (read["plan"], read["environment"]) == (result["plan"], "production")
    (zone,) = read["zones"]
    assert (zone["zone"], zone["provider"], zone["calls"], zone["atomic"]) == (ZONE, "memory", 1, True)
    assert {
        "name": f"h0.{ZONE}",
        "type": "A",
        "before": None,
        "after": {"ttl": 300, "values": ["192.0.2.1"]},
    }.items() <= (zone["changes"][0].items())


@pytest.mark.parametrize("by", ["fingerprint", "file"])
def test_exactly_that_plan_is_applied_limits_or_not(desk: Desk, by: str) -> None:
    desk.publish(HOSTS)
    refused = desk.publish(MOVED)
    assert "changes 6 of our 6 values" in refused["msg"]
    assert f"-e plan={refused['plan']}" in refused["msg"]
    out = desk.folder / "plan.json"
    made = desk.publish(MOVED, plan_out=str(out))
    assert made["plan"] == refused["plan"]
    done = desk.publish(MOVED, plan=str(out) if by == "file" else made["plan"])
    assert (done["changed"], done.get("failed")) == (True, None)
    assert desk.memory.values(f"h5.{ZONE}", "A") == {"192.0.2.2"}


@pytest.mark.parametrize("by", ["refusal", "file"])
def test_another_plan_is_refused_with_what_differs(desk: Desk, by: str) -> None:
    desk.publish(HOSTS)
    out = desk.folder / "plan.json"
    how = {"plan_out": str(out)} if by == "file" else {}
    approved = desk.publish(MOVED, **how)["plan"]
    now = [*MOVED[:5], host(5, 3), host(6)]
    result = desk.publish(now, plan=str(out) if by == "file" else approved)
    assert (result["failed"], desk.writes) == (True, 1)
    assert f"not {approved}" in result["msg"]
    assert f"h5.{ZONE} A: was to become 192.0.2.2 (TTL 300), would become 192.0.2.3 (TTL 300)" in result["msg"]
    assert f"h6.{ZONE} A: was not to change, and would become 192.0.2.1 (TTL 300)" in result["msg"]
    assert f"h4.{ZONE}" not in result["msg"]


def test_a_zone_that_changed_since_is_told_and_not_written(desk: Desk) -> None:
    approved = desk.publish(HOSTS, plan_out=str(desk.folder / "plan.json"))["plan"]
    desk.memory.put(f"h0.{ZONE}", "A", 60, ["192.0.2.1"])
    result = desk.publish(HOSTS, plan=approved)
    assert "h0.shop.test A: was to change, and does not any more" in result["msg"]
    assert desk.writes == 0


def test_an_approved_plan_is_not_made_anew_when_somebody_is_faster(desk: Desk) -> None:
    plans = desk.plans(HOSTS)
    desk.memory.put(f"h0.{ZONE}", "A", 60, ["192.0.2.1"])
    result = desk.run(plans, plan=plans.fingerprint)
    assert "changed while we looked" in result["msg"]
    assert (f"h1.{ZONE}", "A") not in desk.zone()
    assert desk.publish(HOSTS)["changed"]


def test_a_plan_file_that_was_edited_is_refused(desk: Desk) -> None:
    out = desk.folder / "plan.json"
    desk.publish(HOSTS, plan_out=str(out))
    out.write_text(out.read_text().replace("192.0.2.1", "192.0.2.9"))
    assert "was changed: it says" in desk.publish(HOSTS, plan=str(out))["msg"]
    out.write_text("{}")
    assert "is not a saved plan" in desk.publish(HOSTS, plan=str(out))["msg"]
    out.write_text("not json")
    assert "is not JSON" in desk.publish(HOSTS, plan=str(out))["msg"]
    assert "there is no plan" in desk.publish(HOSTS, plan=str(desk.folder / "none.json"))["msg"]
    assert desk.writes == 0


def test_the_way_back_holds_to_the_limits_and_leaves_what_others_wrote(desk: Desk) -> None:
    desk.memory.put(ZONE, "TXT", 60, [b"google"])
    before = desk.zone()
    first = desk.publish(HOSTS)
    refused = desk.back("last", check=True)
    assert "the plan removes 6 values, postseal_dns.limits.max_deletes is 2" in refused["msg"]
    assert "the plan removes what is left" not in refused["msg"]
    desk.memory.put(f"h0.{ZONE}", "TXT", 60, [b"beside"])
    done = desk.back(first["rollback"], plan=refused["plan"])
    assert done.get("failed") is None, done
    assert desk.zone() == {**before, (f"h0.{ZONE}", "TXT"): RRset.of(f"h0.{ZONE}", "TXT", 60, [b"beside"])}
    assert done["rollback"] not in ("", first["rollback"])
    again = desk.back("last")
    assert again.get("failed") is None, again
    assert desk.memory.values(f"h5.{ZONE}", "A") == {"192.0.2.1"}


def test_a_run_that_is_not_saved_is_told_with_those_that_are(desk: Desk) -> None:
    with pytest.raises(DnsError, match=r"no run last is saved in .*holds none"):
        desk.back("last")
    known = desk.publish(HOSTS)["rollback"]
    with pytest.raises(DnsError, match=f"no run 20200101T000000Z-00000000 is saved.*{known}"):
        desk.back("20200101T000000Z-00000000")
    with pytest.raises(DnsError, match="no run"):
        desk.back("../../etc")


def test_what_is_wrong_by_a_rule_is_refused_and_a_warning_told(desk: Desk) -> None:
    wrong = Finding("spf-lookups", ERROR, f"h0.{ZONE}", "A", "too many lookups", "Drop an include.")
    odd = Finding("txt-length", WARNING, f"h1.{ZONE}", "A", "long")
    result = desk.run(desk.plans(HOSTS, lint=lambda *_: [odd, wrong]))
    assert "too many lookups [spf-lookups]. Drop an include." in result["msg"]
    assert desk.writes == 0
    assert result["findings"][1] == f"warning: h1.{ZONE} A: long [txt-length]"
    assert desk.run(desk.plans(HOSTS, lint=lambda *_: [odd]))["changed"]
    # What was wrong before and stays so does not keep the rest from being put right.
    more = desk.run(desk.plans([*HOSTS, host(6)], lint=lambda *_: [wrong]))
    assert (more["changed"], more.get("failed")) == (True, None)


def test_rules_see_the_zone_as_it_will_be(desk: Desk) -> None:
    seen: dict[str, object] = {}

    def look(zone: str, rrsets: dict[Key, RRset], ours: frozenset[Key]) -> list[Finding]:
        seen.update(zone=zone, will=rrsets[f"h0.{ZONE}", "A"].values, foreign=rrsets[ZONE, "TXT"].values, ours=ours)
        return []

    desk.memory.put(ZONE, "TXT", 60, [b"google"])
    desk.plans(HOSTS[:1], lint=look)
    ours = frozenset({(f"h0.{ZONE}", "A")})
    assert seen == {"zone": ZONE, "will": ("192.0.2.1",), "foreign": (b"google",), "ours": ours}


def test_zones_nobody_asks_for_any_more_are_looked_at(desk: Desk) -> None:
    desk.publish(HOSTS[:2])
    assert desk.store.owned() == {ZONE: 2}
    told = desk.plans([], zones=(ZONE,))
    assert told.zones[0].plan.empty
    assert "2 values of ours that nobody claims any more" in told.notes[0]
    refused = desk.run(desk.plans([], zones=(ZONE,), prune=True))
    assert "the inventory wants nothing there any more, and the plan removes what is left of 2" in refused["msg"]
    assert desk.run(desk.plans([], zones=(ZONE,), prune=True), plan=refused["plan"])["changed"]
    assert desk.store.owned() == {ZONE: 0}
    assert (f"h0.{ZONE}", "A") not in desk.zone()


def test_a_zone_that_cannot_be_looked_at_is_noted_and_stops_nothing(desk: Desk) -> None:
    plans = desk.plans(HOSTS[:1], zones=("gone.test",))
    assert "zone gone.test is not looked at" in plans.notes[0]
    desk.memory.zones["other.test"] = fresh("other.test")
    desk.memory.accidents = {len(desk.memory.calls) + 1: FAILS}
    plans = desk.plans(HOSTS[:1], zones=("other.test",))
    assert plans.notes == (
        "zone other.test is not looked at for values that nobody claims any more: "
        "DNS provider memory, zone other.test: the server failed",
    )
    assert desk.run(plans)["changed"]


def test_nothing_is_written_where_it_cannot_be_saved(desk: Desk) -> None:
    desk.store.folder.write_text("a file where the folder should be")
    result = desk.publish(HOSTS)
    assert "cannot write" in result["msg"]
    assert "-e dns_store=FOLDER" in result["msg"]
    assert desk.writes == 0


def test_what_must_not_wait_is_shown_and_not_applied(desk: Desk) -> None:
    pending = Pending(f"_domainkey.{ZONE}", "", "dkim", ZONE, "no key yet", "Run playbooks/keys.yml first")
    plans = prepare(HOSTS, [pending], lambda _: desk.memory, "production", LIMITS)
    assert desk.run(plans, check=True)["changed"]
    assert desk.run(plans)["msg"].endswith("Run playbooks/keys.yml first")
    assert desk.writes == 0


def test_old_runs_and_plans_go_and_the_way_back_from_the_last_stays(desk: Desk) -> None:
    for number in range(4):
        assert desk.publish([host(0, number + 1)], keep=2)["notes"] == []
        desk.publish([host(0, 9)], plan_out=str(desk.folder / "plan.json"), keep=2)
    assert len(desk.store.runs()) == 2
    assert len(list((desk.store.folder / "plans").iterdir())) == 2
    assert desk.back("last", keep=1).get("failed") is None
    assert desk.memory.values(f"h0.{ZONE}", "A") == {"192.0.2.3"}
    assert len(desk.store.runs()) == 1


def test_what_cannot_be_tidied_up_is_told_and_fails_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Store, keep: int) -> None:
        raise StoreError("cannot tidy up")

    monkeypatch.setattr(Store, "tidy", broken)
    result = desk.publish(HOSTS[:1])
    assert (result["changed"], result.get("failed"), result["notes"]) == (True, None, ["cannot tidy up"])
