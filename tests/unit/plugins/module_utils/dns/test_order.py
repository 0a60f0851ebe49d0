# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

from random import Random

from ansible_collections.postseal.mail.plugins.module_utils.dns.order import groups, in_order, stages
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import RRset
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Change

from .zones import ZONE


def comes(label: str, rrtype: str) -> Change:
    name = f"{label}.{ZONE}"
    return Change((name, rrtype), None, RRset(name, rrtype, 300, ("x",)))


def goes(label: str, rrtype: str) -> Change:
    name = f"{label}.{ZONE}"
    return Change((name, rrtype), RRset(name, rrtype, 300, ("x",)), None)


def names(changes: tuple[Change, ...]) -> list[str]:
    return [change.key[0].removesuffix(f".{ZONE}") for change in changes]


def test_what_is_led_to_comes_first_and_goes_last() -> None:
    wanted = [
        comes("host", "A"),
        comes("s1._domainkey", "TXT"),
        comes("_dmarc", "TXT"),
        comes("to", "MX"),
        goes("from", "MX"),
        goes("old._dmarc", "TXT"),
        goes("oldhost", "A"),
        goes("s0._domainkey", "TXT"),
    ]
    for seed in range(20):
        shuffled = Random(seed).sample(wanted, len(wanted))  # noqa: S311  # the same order every time
        assert in_order(shuffled) == tuple(wanted)


def test_an_alias_makes_room_before_records_come_and_stays_with_them() -> None:
    alias, record = goes("a", "CNAME"), comes("a", "A")
    assert groups([comes("b", "A"), record, alias])[0] == (alias, record)
    back = (goes("a", "A"), comes("a", "CNAME"))
    assert back in groups([*reversed(back), comes("b", "A")])


def test_the_registry_stands_around_the_rest() -> None:
    key = (f"_postseal-owner.{ZONE}", "TXT")
    first, last = (Change(key, None, RRset(*key, 300, (b"x",)), guarded=False) for _ in range(2))
    middle = (comes("a", "A"), comes("b", "A"))
    assert stages([first, *middle, last]) == [(first,), middle, (last,)]
    assert names(in_order([first, *middle])) == ["a", "b", "_postseal-owner"]
