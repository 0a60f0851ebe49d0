# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import slots, spf
from hypothesis import given
from hypothesis import strategies as st


def test_addresses_and_includes_then_all() -> None:
    record = spf.for_addresses(["192.0.2.1", "2001:db8::1"], ["_spf.example.com"], "softfail")
    assert record.encode() == b"v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 include:_spf.example.com ~all"


def test_a_helo_name_sends_from_its_own_addresses_only() -> None:
    assert spf.for_helo().encode() == b"v=spf1 a -all"


@pytest.mark.parametrize(
    ("data", "is_one"),
    [
        (b"v=spf1", True),
        (b"v=spf1 -all", True),
        (b"V=SPF1 -all", True),
        (b"v=spf10 -all", False),
        (b" v=spf1 -all", False),
        (b"v=spf", False),
        (b"spf2.0/pra ?all", False),
    ],
)
def test_only_the_exact_version_makes_an_spf_record(data: bytes, is_one: bool) -> None:
    assert spf.is_spf(data) is is_one


@pytest.mark.parametrize(
    ("data", "parsed"),
    [
        (b"v=spf1 +a mx/24 -all", spf.Spf(("a", "mx/24"), "-")),
        (b"v=spf1  ip4:192.0.2.0/24  ?all", spf.Spf(("ip4:192.0.2.0/24",), "?")),
        (b"v=spf1 all ip4:192.0.2.1", spf.Spf((), "+")),
        (b"v=spf1 redirect=_spf.example.com", spf.Spf((), None, "_spf.example.com")),
        (b"v=spf1 redirect=_spf.example.com -all", spf.Spf((), "-")),
        (
            b"v=spf1 exists:%{ir}.sbl.example.org exp=why.%{d}",
            spf.Spf(("exists:%{ir}.sbl.example.org",), None, None, ("exp=why.%{d}",)),
        ),
        (b"v=spf1 -include:bad.test ~include:x.test", spf.Spf(("-include:bad.test", "~include:x.test"))),
    ],
)
def test_reads_records_by_the_rules(data: bytes, parsed: spf.Spf) -> None:
    assert spf.parse(data) == parsed


@pytest.mark.parametrize(
    "data",
    [
        b"v=spf1 ipv4:192.0.2.1 -all",
        b"v=spf1 include: -all",
        b"v=spf1 all:x",
        b"v=spf1 redirect=a.test redirect=b.test",
        "v=spf1 include:ü.test".encode(),
        b"v=DMARC1",
    ],
)
def test_refuses_what_verifiers_answer_with_permerror(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        spf.parse(data)


def merged(asked: bytes, *found: bytes, share: bytes | None = None) -> tuple[bytes, bytes]:
    result = slots.merge_spf(asked, list(found), share)
    assert isinstance(result.value, bytes)
    assert isinstance(result.share, bytes)
    return result.value, result.share


OURS = b"v=spf1 ip4:192.0.2.1 -all"


@pytest.mark.parametrize(
    ("found", "united"),
    [
        ([], OURS),
        ([b"v=spf1 include:a.test ~all"], b"v=spf1 ip4:192.0.2.1 include:a.test -all"),
        ([b"v=spf1 include:a.test +all"], b"v=spf1 ip4:192.0.2.1 include:a.test -all"),
        ([b"v=spf1 redirect=a.test"], b"v=spf1 ip4:192.0.2.1 include:a.test -all"),
        ([b"v=spf1 include:a.test -all", b"v=spf1 mx ?all"], b"v=spf1 ip4:192.0.2.1 include:a.test mx -all"),
        ([b"v=spf1 mx -all exp=why.test"], b"v=spf1 ip4:192.0.2.1 mx -all exp=why.test"),
        ([b"v=spf1 mx ip4:192.0.2.1 -all"], b"v=spf1 mx ip4:192.0.2.1 -all"),
        ([b"v=spf1 -ip4:192.0.2.9 ip4:192.0.2.1 -all"], b"v=spf1 ip4:192.0.2.1 -ip4:192.0.2.9 -all"),
    ],
)
def test_unites_with_what_is_there(found: list[bytes], united: bytes) -> None:
    assert merged(OURS, *found)[0] == united


def test_the_strictest_all_wins() -> None:
    assert merged(b"v=spf1 a ~all", b"v=spf1 mx -all")[0] == b"v=spf1 a mx -all"


def test_a_term_of_ours_that_is_no_longer_wanted_goes_and_a_foreign_one_stays() -> None:
    value, share = merged(b"v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all", b"v=spf1 ip4:192.0.2.2 mx ~all")
    assert share == b"v=spf1 ip4:192.0.2.1 -all"
    assert merged(b"v=spf1 ip4:192.0.2.3 ~all", value, share=share)[0] == b"v=spf1 ip4:192.0.2.3 ip4:192.0.2.2 mx ~all"


MECHANISMS = st.lists(
    st.sampled_from(
        ["a", "mx", "ip4:192.0.2.1", "ip4:192.0.2.2", "include:a.test", "-ip4:192.0.2.9", "?include:b.test"]
    ),
    unique=True,
)
FOREIGN = st.builds(spf.Spf, MECHANISMS.map(tuple), st.sampled_from([None, *"-~?+"]))
WANTED = st.builds(spf.Spf, MECHANISMS.map(tuple), st.sampled_from("-~"))


@given(foreign=st.lists(FOREIGN, max_size=2), history=st.lists(WANTED, min_size=1, max_size=4))
def test_foreign_mechanisms_survive_any_history_and_merging_settles(
    foreign: list[spf.Spf], history: list[spf.Spf]
) -> None:
    found, share = [record.encode() for record in foreign], None
    for wanted in history:
        value, share = merged(wanted.encode(), *found, share=share)
        record = spf.parse(value)
        assert set(wanted.mechanisms) <= set(record.mechanisms)
        assert set(record.mechanisms) == {*wanted.mechanisms, *(m for other in foreign for m in other.mechanisms)}
        assert "-~?+".index(record.all or "+") <= "-~".index(wanted.all or "")
        assert merged(wanted.encode(), value, share=share) == (value, share)
        found = [value]


@pytest.mark.parametrize(
    ("found", "share", "rest"),
    [
        (OURS, OURS, None),
        (b"v=spf1 ip4:192.0.2.1 mx -all", b"v=spf1 ip4:192.0.2.1 -all", b"v=spf1 mx -all"),
        (b"v=spf1 ip4:192.0.2.1 -all", b"v=spf1 ip4:192.0.2.1", b"v=spf1 -all"),
        (b"v=spf1 ip4:192.0.2.1 -all exp=why.test", OURS, b"v=spf1 -all exp=why.test"),
        (b"v=spf1 mx -all", b"v=spf1 ip4:192.0.2.1 -all", b"v=spf1 mx -all"),
    ],
)
def test_what_is_left_for_others_when_we_go(found: bytes, share: bytes, rest: bytes | None) -> None:
    assert slots.leave_spf(found, share) == rest


@given(foreign=st.lists(FOREIGN, max_size=2), wanted=WANTED)
def test_going_leaves_every_foreign_mechanism_and_none_of_ours(foreign: list[spf.Spf], wanted: spf.Spf) -> None:
    value, share = merged(wanted.encode(), *(record.encode() for record in foreign))
    rest = slots.leave_spf(value, share)
    assert rest is None or isinstance(rest, bytes)
    left = spf.parse(rest).mechanisms if rest is not None else ()
    assert set(left) == {mechanism for record in foreign for mechanism in record.mechanisms}
