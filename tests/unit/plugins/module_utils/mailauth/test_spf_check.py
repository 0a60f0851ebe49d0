# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Evaluation of SPF: the examples of RFC 7208 appendix A and section 7.4, the limits of 4.6.4."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import spf_terms
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.spf_budget import Unresolvable
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.spf_check import Verdict, check_host

# RFC 7208 appendix A.
ZONE: dict[tuple[str, str], list[Value]] = {
    ("example.com", "A"): ["192.0.2.10", "192.0.2.11"],
    ("example.com", "MX"): ["10 mail-a.example.com.", "20 mail-b.example.com."],
    ("amy.example.com", "A"): ["192.0.2.65"],
    ("bob.example.com", "A"): ["192.0.2.66"],
    ("mail-a.example.com", "A"): ["192.0.2.129"],
    ("mail-b.example.com", "A"): ["192.0.2.130"],
    ("example.org", "MX"): ["10 mail-c.example.org."],
    ("mail-c.example.org", "A"): ["192.0.2.140"],
    ("10.2.0.192.in-addr.arpa", "PTR"): ["example.com."],
    ("65.2.0.192.in-addr.arpa", "PTR"): ["amy.example.com."],
    ("140.2.0.192.in-addr.arpa", "PTR"): ["mail-c.example.org."],
    ("4.0.0.10.in-addr.arpa", "PTR"): ["bob.example.com."],
    ("six.example.com", "AAAA"): ["2001:db8::1"],
    ("mary.mobile-users._spf.example.com", "A"): ["127.0.0.2"],
    ("15.15.168.192.remote-users._spf.example.com", "A"): ["127.0.0.2"],
    ("loop.example.com", "TXT"): [b"v=spf1 include:loop.example.com -all"],
    ("nobody.example.com", "TXT"): [b"v=spf1 -all"],
    ("some.example.com", "TXT"): [b"v=spf1 ip4:192.0.2.0/28 ?all"],
    ("two.example.com", "TXT"): [b"v=spf1 -all", b"v=spf1 +all"],
}


def _check(record: str, address: str, sender: str = "mary@example.com") -> Verdict:
    def resolve(name: str, rrtype: str) -> Sequence[Value]:
        if name == "silent.example.com":
            raise Unresolvable("silent.example.com: no answer")
        if (name, rrtype) == ("example.com", "TXT"):
            return [record.encode(), b"something else"]
        return ZONE.get((name, rrtype), [])

    return check_host(address, "example.com", sender, resolve, "mail.example.com")


@pytest.mark.parametrize(
    ("record", "address", "result"),
    [
        ("v=spf1 +all", "203.0.113.1", "pass"),
        ("v=spf1 a -all", "192.0.2.10", "pass"),
        ("v=spf1 a -all", "192.0.2.129", "fail"),
        ("v=spf1 a:example.org -all", "192.0.2.10", "fail"),
        ("v=spf1 mx -all", "192.0.2.129", "pass"),
        ("v=spf1 mx -all", "192.0.2.10", "fail"),
        ("v=spf1 mx:example.org -all", "192.0.2.140", "pass"),
        ("v=spf1 mx mx:example.org -all", "192.0.2.130", "pass"),
        ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.131", "pass"),
        ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.143", "pass"),
        ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.144", "fail"),
        ("v=spf1 ptr -all", "192.0.2.65", "pass"),
        ("v=spf1 ptr -all", "192.0.2.140", "fail"),
        ("v=spf1 ptr -all", "10.0.0.4", "fail"),
        ("v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.65", "fail"),
        ("v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.129", "pass"),
        # A.4
        ("v=spf1 exists:%{l1r+}.mobile-users._spf.%{d} exists:%{ir}.remote-users._spf.%{d} -all", "1.2.3.4", "pass"),
        ("v=spf1 exists:%{ir}.remote-users._spf.%{d} -all", "192.168.15.15", "pass"),
        ("v=spf1 exists:%{ir}.remote-users._spf.%{d} -all", "192.168.15.16", "fail"),
        # 2.6, 4.7, 5.2, 6.1
        ("v=spf1 a ~all", "203.0.113.1", "softfail"),
        ("v=spf1 a ?all", "203.0.113.1", "neutral"),
        ("v=spf1 a", "203.0.113.1", "neutral"),
        ("v=spf1 -a +all", "192.0.2.10", "fail"),
        ("v=spf1 include:some.example.com -all", "192.0.2.3", "pass"),
        ("v=spf1 include:nobody.example.com ~all", "192.0.2.3", "softfail"),
        ("v=spf1 include:nothing.example.com ~all", "192.0.2.3", "permerror"),
        ("v=spf1 include:two.example.com -all", "192.0.2.3", "permerror"),
        ("v=spf1 redirect=some.example.com", "192.0.2.3", "pass"),
        ("v=spf1 redirect=nothing.example.com", "192.0.2.3", "permerror"),
        ("v=spf1 include:loop.example.com -all", "192.0.2.3", "permerror"),
        ("v=spf1 include:silent.example.com -all", "192.0.2.3", "temperror"),
        ("v=spf1 a:b.test a:c.test a:d.test -all", "192.0.2.3", "permerror"),
        ("v=spf1 ipv4:192.0.2.3 -all", "192.0.2.3", "permerror"),
        ("v=spf1" + " a" * 11 + " -all", "203.0.113.1", "permerror"),
        # IPv6
        ("v=spf1 a:six.example.com -all", "2001:db8::1", "pass"),
        ("v=spf1 a:six.example.com//64 -all", "2001:db8::2", "pass"),
        ("v=spf1 a:six.example.com//127 -all", "2001:db8::2", "fail"),
        ("v=spf1 ip6:2001:db8::/32 -all", "2001:db8:1::2", "pass"),
        ("v=spf1 ip4:192.0.2.0/24 -all", "2001:db8::1", "fail"),
    ],
)
def test_result(record: str, address: str, result: str) -> None:
    assert _check(record, address).result == result


def test_a_name_without_a_record_has_no_result() -> None:
    assert check_host("192.0.2.1", "example.com", "a@example.com", lambda *_: []).result == "none"


MACROS = {"s": "strong-bad@email.example.com", "l": "strong-bad", "o": "email.example.com", "d": "email.example.com"}
V4 = {**MACROS, "i": "192.0.2.3", "v": "in-addr", "h": "mail.example.com", "p": "unknown"}
V6 = {**V4, "i": "2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.c.b.0.1", "v": "ip6"}


@pytest.mark.parametrize(
    ("spec", "values", "expected"),
    [
        ("%{s}", V4, "strong-bad@email.example.com"),
        ("%{o}", V4, "email.example.com"),
        ("%{d4}", V4, "email.example.com"),
        ("%{d3}", V4, "email.example.com"),
        ("%{d2}", V4, "example.com"),
        ("%{d1}", V4, "com"),
        ("%{dr}", V4, "com.example.email"),
        ("%{d2r}", V4, "example.email"),
        ("%{l-}", V4, "strong.bad"),
        ("%{lr-}", V4, "bad.strong"),
        ("%{l1r-}", V4, "strong"),
        ("%{ir}.%{v}._spf.%{d2}", V4, "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", V4, "bad.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", V4, "example.com.trusted-domains.example.net"),
        (
            "%{ir}.%{v}._spf.%{d2}",
            V6,
            "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com",
        ),
    ],
)
def test_macros_of_section_7_4(spec: str, values: dict[str, str], expected: str) -> None:
    assert spf_terms.expand(spec, "email.example.com", values) == expected
