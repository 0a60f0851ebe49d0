# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The grammar of RFC 7208 12, term by term, and its macros."""

from __future__ import annotations

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import spf
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.spf_terms import (
    Directive,
    directive,
    expand,
    modifier,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("term", "parsed"),
    [
        ("all", Directive("+", "all")),
        ("-ALL", Directive("-", "all")),
        ("a", Directive("+", "a")),
        ("a/24", Directive("+", "a")),
        ("a//64", Directive("+", "a")),
        ("a/24//64", Directive("+", "a")),
        ("a:mail.example.com/0", Directive("+", "a", "mail.example.com")),
        ("mx:example.com/32//128", Directive("+", "mx", "example.com")),
        ("?mx:a/b.example.com/24", Directive("?", "mx", "a/b.example.com")),
        ("~ptr", Directive("~", "ptr")),
        ("ptr:example.com.", Directive("+", "ptr", "example.com.")),
        ("ip4:192.0.2.0/24", Directive("+", "ip4")),
        ("ip6:2001:db8::/32", Directive("+", "ip6")),
        ("ip6:::ffff:192.0.2.1", Directive("+", "ip6")),
        ("include:_spf.example.com", Directive("+", "include", "_spf.example.com")),
        ("exists:%{ir}.%{l1r+-}._spf.%{d}", Directive("+", "exists", "%{ir}.%{l1r+-}._spf.%{d}")),
        ("exists:%%x%_y%-z.example.com", Directive("+", "exists", "%%x%_y%-z.example.com")),
    ],
)
def test_mechanisms_are_read(term: str, parsed: Directive) -> None:
    assert directive(term) == parsed


@pytest.mark.parametrize("term", ["", "foo", "ipv4:192.0.2.1", "allx", "a;", "redirect=a.test", "++a", "all-"])
def test_what_looks_like_no_mechanism_is_none(term: str) -> None:
    assert directive(term) is None


@pytest.mark.parametrize(
    "term",
    [
        "all:example.com", "all/8", "include", "include:", "include:com", "include:example.com/24", "exists",
        "exists:example.com//64", "ip4", "ip4:", "ip4:192.0.2", "ip4:192.0.2.1/33", "ip4:192.0.2.1/024",
        "ip4:2001:db8::1", "ip4:192.0.2.01", "ip6:192.0.2.1", "ip6:2001:db8::/129", "ip6:fe80::1%eth0", "a:", "a/33",
        "a//129", "a/24/64", "a:example.com/", "mx:example.123", "mx:example.-a", "a:%{x}.example.com",
        "a:%{d0}.example.com", "a:%{d", "a:%d.example.com", "a:exa%mple.com", "include:%{c}.example.com",
        "exists:%{t}.example.com", "ptr/24", "ptr:", "a:example.com..",
    ],
)  # fmt: skip
def test_what_verifiers_answer_with_permerror_is_refused(term: str) -> None:
    with pytest.raises(ValueError, match="not a mechanism of RFC 7208"):
        directive(term)
    with pytest.raises(ValueError, match=r".+"):
        spf.parse(f"v=spf1 {term} -all".encode())


@pytest.mark.parametrize(
    ("term", "parsed"),
    [
        ("redirect=_spf.example.com", ("redirect", "_spf.example.com")),
        ("REDIRECT=%{d2}", ("redirect", "%{d2}")),
        ("exp=explain._spf.%{c}.example.com", ("exp", "explain._spf.%{c}.example.com")),
        ("x-own.thing_1=%{i}anything", ("x-own.thing_1", "%{i}anything")),
        ("empty=", ("empty", "")),
        ("a:b=c.example.com", None),
        ("1x=y", None),
    ],
)
def test_modifiers_are_read(term: str, parsed: tuple[str, str] | None) -> None:
    assert modifier(term) == parsed


@pytest.mark.parametrize("term", ["redirect=", "redirect=com", "redirect=a.test/24", "exp=", "x=%{", "x=%{c}"])
def test_modifiers_that_are_wrong_are_refused(term: str) -> None:
    with pytest.raises(ValueError, match="not a modifier of RFC 7208"):
        modifier(term)


def test_modifiers_that_mean_one_thing_stand_once() -> None:
    for name in ("redirect", "exp"):
        with pytest.raises(ValueError, match="twice"):
            spf.parse(f"v=spf1 {name}=a.test {name}=b.test".encode())
    assert spf.parse(b"v=spf1 x=1 x=2").modifiers == ("x=1", "x=2")


@pytest.mark.parametrize(
    ("spec", "expanded"),
    [
        # RFC 7208 7.4, for the domain email.example.com
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("_spf.%{d2}", "_spf.example.com"),
        ("%{ir}.%{v}._spf.%{d2}", None),
        ("%{lr-}.lp._spf.%{d2}", None),
        ("", "email.example.com"),
        ("Mail.Example.COM.", "mail.example.com"),
        ("%{D2}", "example.com"),
        ("%{d-}.test", "email.example.com.test"),
        ("a%%b%_%-.%{d1}", "a%b %20.com"),
        ("%%{d}.%{d1}", "%{d}.com"),
    ],
)
def test_macros_are_expanded_where_they_need_no_message(spec: str, expanded: str | None) -> None:
    assert expand(spec, "email.example.com") == expanded


@given(st.text(st.sampled_from("abx019.-_+~?:/%{}drl=*; ié\x00"), max_size=24))
def test_no_text_whatever_ends_in_another_exception(text: str) -> None:
    for read in (directive, modifier):
        try:
            read(text)
        except ValueError as error:
            assert str(error)  # noqa: PT017
    try:
        record = spf.parse(b"v=spf1 " + text.encode())
    except ValueError:
        return
    assert spf.parse(record.encode()) == record
