# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The tree walk of RFC 9989 4.10: the cases of its text and of OpenDMARC's tests, where they differ from RFC 7489."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.dmarc_walk import (
    Effective,
    aligned,
    effective,
    organizational,
    places,
    walk,
)
from hypothesis import given
from hypothesis import strategies as st

ZONE = {
    "example.com": ["v=DMARC1; p=reject; sp=quarantine; np=reject"],
    "shop.example.com": ["v=DMARC1; p=none"],
    "testing.example.net": ["v=DMARC1; p=quarantine; t=y"],
    "strict.example.net": ["v=DMARC1; p=reject; t=y"],
    "registry.test": ["v=DMARC1; p=none; psd=y; sp=quarantine"],
    "two.registry.test": ["v=DMARC1; p=reject", "v=DMARC1; p=none"],
    "self.registry.test": ["v=DMARC1; p=reject"],
    "unit.big.test": ["v=DMARC1; p=quarantine; psd=n"],
    "big.test": ["v=DMARC1; p=reject"],
    "odd.test": ["v=DMARC1; p=refuse; rua=mailto:a@odd.test", "v=spf1 -all"],
    "e.f.g.h.i.j.k": ["v=DMARC1; p=reject"],
    "d.e.f.g.h.i.j.k": ["v=DMARC1; p=none"],
}


class Dns:
    """Answers from ``ZONE`` and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, name: str, rrtype: str) -> Sequence[Value]:
        assert rrtype == "TXT"
        self.asked.append(name)
        return [text.encode() for text in ZONE.get(name.removeprefix("_dmarc."), [])]


@pytest.mark.parametrize(
    ("domain", "organization"),
    [
        ("example.com", "example.com"),
        ("a.b.example.com", "example.com"),
        ("shop.example.com", "example.com"),
        ("nothing.invalid", "nothing.invalid"),
        # psd=y: one label below the registry, whether there is a record or not, and whatever two records say.
        ("a.b.registry.test", "b.registry.test"),
        ("self.registry.test", "self.registry.test"),
        ("x.two.registry.test", "two.registry.test"),
        # psd=n: here the organization begins, though there is a record above.
        ("a.unit.big.test", "unit.big.test"),
        ("a.other.big.test", "big.test"),
        # A registry that sends mail itself is its own organization.
        ("registry.test", "registry.test"),
    ],
)
def test_organizational_domain(domain: str, organization: str) -> None:
    assert organizational(domain, walk(domain, Dns())) == organization


def test_a_long_name_is_shortened_to_seven_labels_after_the_first_query() -> None:
    dns = Dns()
    assert organizational("a.b.c.d.e.f.g.h.i.j.k", walk("a.b.c.d.e.f.g.h.i.j.k", dns)) == "e.f.g.h.i.j.k"
    assert dns.asked[:2] == ["_dmarc.a.b.c.d.e.f.g.h.i.j.k", "_dmarc.e.f.g.h.i.j.k"]
    assert len(dns.asked) == 8


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=30))
def test_never_more_than_eight_queries_and_always_towards_the_root(labels: list[str]) -> None:
    domain = ".".join(labels)
    asked = list(places(domain))
    assert asked[0] == domain
    assert len(asked) == min(len(labels), 8)
    assert all(longer.endswith("." + shorter) for longer, shorter in pairwise(asked))


@pytest.mark.parametrize(
    ("domain", "exists", "expected"),
    [
        ("example.com", True, Effective("reject", "example.com", "p")),
        ("www.example.com", True, Effective("quarantine", "example.com", "sp")),
        ("gone.example.com", False, Effective("reject", "example.com", "np")),
        ("shop.example.com", True, Effective("none", "shop.example.com", "p")),
        # t=y: one level lower (RFC 9989 4.7).
        ("testing.example.net", True, Effective("none", "testing.example.net", "p")),
        ("strict.example.net", True, Effective("quarantine", "strict.example.net", "p")),
        # Without a record of its own or of its organization the registry's counts.
        ("a.b.registry.test", True, Effective("quarantine", "registry.test", "sp")),
        ("x.two.registry.test", True, Effective("quarantine", "registry.test", "sp")),
        ("odd.test", True, Effective("none", "odd.test", "p")),
        ("nothing.invalid", True, Effective("none")),
    ],
)
def test_effective_policy(domain: str, exists: bool, expected: Effective) -> None:
    assert effective(domain, Dns(), exists=exists) == expected


@pytest.mark.parametrize(
    ("other", "mode", "expected"),
    [
        ("www.example.com", "s", True),
        ("example.com", "s", False),
        ("example.com", "r", True),
        ("shop.example.com", "r", True),
        ("example.net", "r", False),
    ],
)
def test_alignment(other: str, mode: str, expected: bool) -> None:
    assert aligned("www.example.com", other, mode, Dns()) is expected
