# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""MTA-STS policies (RFC 8461 3.2): what is built is read as it was meant, and whatever else comes is judged."""

from __future__ import annotations

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import mtasts
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.mtasts import Policy, parse_policy
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Domain, MtaSts
from hypothesis import given
from hypothesis import strategies as st

# RFC 8461 appendix A.
OF_THE_RFC = "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\n"
OF_THE_RFC += "max_age: 604800\n"
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
HOSTS = st.lists(LABELS, min_size=2, max_size=4).map(".".join)
PATTERNS = st.one_of(HOSTS, HOSTS.map("*.{}".format))
POLICIES = st.builds(
    Policy,
    st.sampled_from(mtasts.MODES),
    st.lists(PATTERNS, min_size=1, max_size=5, unique=True).map(tuple),
    st.integers(0, mtasts.LONGEST_AGE),
)
DOMAIN = Domain("example.com", mta_sts=MtaSts(None, None, "enforce", 86400, ("mx.example.net",)))


@given(POLICIES)
def test_what_is_served_is_read_as_it_was_meant(policy: Policy) -> None:
    assert parse_policy(policy.text) == policy
    assert policy.text.endswith("\r\n")
    assert policy.text.isascii()


@given(POLICIES, POLICIES)
def test_another_id_is_another_policy_and_the_other_way_round(one: Policy, other: Policy) -> None:
    assert (one.id == other.id) == (one == other)
    assert mtasts.parse(mtasts.build(one.id)) == one.id


def test_the_policy_of_the_rfc_is_read() -> None:
    assert parse_policy(OF_THE_RFC) == Policy(
        "enforce", ("mail.example.com", "*.example.net", "backupmx.example.com"), 604800
    )


def test_unknown_fields_and_those_said_again_are_ignored() -> None:
    assert parse_policy(OF_THE_RFC + "mode: none\nmax_age: 1\nx-more: words: and words\n") == parse_policy(OF_THE_RFC)
    assert parse_policy("version: STSv1\r\nmode: none\r\nmax_age: 0") == Policy("none", (), 0)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("STSv1", "STSv2", "version: STSv1"),
        ("mode: enforce\n", "", "its mode is missing"),
        ("enforce", "report", "its mode is 'report'"),
        ("604800", "31557601", "max_age is '31557601'"),
        ("604800", "-1", "max_age is '-1'"),
        ("max_age: 604800\n", "", "max_age is missing"),
        ("mail.example.com", "mail.*.com", "is not a host"),
        ("mx: mail.example.com", "mx mail.example.com", "not a field"),
    ],
)
def test_what_senders_discard_is_named(old: str, new: str, words: str) -> None:
    assert old in OF_THE_RFC
    with pytest.raises(ValueError, match=words):
        parse_policy(OF_THE_RFC.replace(old, new, 1))


def test_a_policy_without_hosts_protects_nothing() -> None:
    with pytest.raises(ValueError, match="names no mx"):
        parse_policy("version: STSv1\nmode: testing\nmax_age: 86400\n")


@pytest.mark.parametrize(
    ("pattern", "host", "expected"),
    [
        ("mx.example.net", "MX.example.net.", True),
        ("*.example.net", "mx.example.net", True),
        ("*.example.net", "example.net", False),
        ("*.example.net", "a.mx.example.net", False),
        ("mx.example.net", "mx2.example.net", False),
    ],
)
def test_a_wildcard_is_one_label(pattern: str, host: str, expected: bool) -> None:
    assert Policy("enforce", (pattern,), 1).covers(host) is expected
    assert mtasts.uncovered(Policy("enforce", (pattern,), 1), [host]) == ([] if expected else [host])


def test_what_shall_be_enforced_may_be_tested_before() -> None:
    assert [policy.mode for policy in mtasts.acceptable(DOMAIN)] == ["enforce", "testing"]
    assert {policy.mx for policy in mtasts.acceptable(DOMAIN)} == {("mx.example.net",)}
    with pytest.raises(ValueError, match="no policy is served"):
        mtasts.policy_of(Domain("example.com", mta_sts=MtaSts("1")))


def test_what_would_keep_mail_away_is_said_before_a_policy_is_enforced() -> None:
    policy = mtasts.policy_of(DOMAIN)
    assert mtasts.unready(policy, ["mx.example.net"], {}) == []
    assert mtasts.unready(policy, [], {}) == ["the DNS has no MX record"]
    assert mtasts.unready(
        policy, ["mx.example.net", "b.example.net"], {"mx.example.net": "does not offer STARTTLS"}
    ) == [
        "it does not name b.example.net, to which mail goes",
        "mx.example.net does not offer STARTTLS",
    ]
