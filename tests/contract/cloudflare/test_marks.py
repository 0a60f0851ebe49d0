# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ownership in comments: what they say, who else writes there, what they have no room for."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import (
    InvalidRecord,
    OwnershipConflict,
)
from ansible_collections.postseal.mail.plugins.module_utils.dns.ownership import digest
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.cloudflare_marks import (
    LONGEST,
    Comment,
    Entry,
    compose,
    parse,
)
from hypothesis import given
from hypothesis import strategies as st

from ..suite import EVERYTHING, Bench, starts
from .backend import Cloudflare, spf

FOREIGN = b"v=spf1 include:_spf.google.com ~all"


class TestOwnership:
    def test_is_in_comments_and_costs_no_record(self, cloudflare: Cloudflare, bench: Bench) -> None:
        assert bench.publish(bench.claim("a", "TXT", EVERYTHING, b"x")).error == ""
        (record,) = cloudflare.stored.records.values()
        assert record["comment"] == f"postseal1 production={digest((bench.at('a'), 'TXT'), b'x')}"

    def test_comments_and_tags_of_people_stay(self, cloudflare: Cloudflare, bench: Bench) -> None:
        cloudflare.put(bench.zone, "TXT", 3600, [FOREIGN], comment="Google Workspace", tags=["team:office"])
        assert bench.publish(spf(bench, b"v=spf1 ip4:192.0.2.1 -all")).error == ""
        (record,) = cloudflare.records(bench.zone, "TXT")
        assert record["comment"].startswith("Google Workspace postseal1 production=")
        assert (record["tags"], record["ttl"]) == (["team:office"], 300)

    def test_our_share_of_a_merged_value_is_remembered(self, bench: Bench, cloudflare: Cloudflare) -> None:
        cloudflare.put(bench.zone, "TXT", 3600, [FOREIGN])
        assert bench.publish(spf(bench, b"v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all")).error == ""
        assert bench.publish(spf(bench, b"v=spf1 ip4:192.0.2.2 -all")).error == ""
        assert bench.values("") == {b"v=spf1 ip4:192.0.2.2 include:_spf.google.com -all"}
        assert bench.prepare(spf(bench, b"v=spf1 ip4:192.0.2.2 -all")).zones[0].plan.empty

    def test_two_environments_share_one_spf_record(self, cloudflare: Cloudflare, bench: Bench) -> None:
        cloudflare.put(bench.zone, "TXT", 3600, [FOREIGN], comment="Google Workspace")
        staging = Bench(cloudflare, cloudflare.provider(), owner="staging")
        assert bench.publish(spf(bench, b"v=spf1 ip4:192.0.2.1 -all")).error == ""
        assert staging.publish(spf(staging, b"v=spf1 ip4:192.0.2.9 -all")).error == ""
        marks = bench.provider.fetch(bench.zone, ()).marks
        assert {mark.owner: sorted((mark.share or b"").split()) for mark in marks} == {
            "production": [b"-all", b"ip4:192.0.2.1", b"v=spf1"],
            "staging": [b"-all", b"ip4:192.0.2.9", b"v=spf1"],
        }
        (record,) = cloudflare.records(bench.zone, "TXT")
        assert record["comment"].startswith("Google Workspace postseal1 ")
        assert len(record["comment"]) <= LONGEST

    def test_what_somebody_changed_is_nobodys(self, cloudflare: Cloudflare, bench: Bench) -> None:
        assert bench.publish(bench.claim("a", "TXT", starts("v=x"), b"v=x ours")).error == ""
        (record,) = cloudflare.records(bench.at("a"), "TXT")
        cloudflare.fake.store.one(cloudflare.stored.id, "patches", {"id": record["id"], "content": "v=x theirs"})
        with pytest.raises(OwnershipConflict, match="v=x theirs"):
            bench.prepare(bench.claim("a", "TXT", starts("v=x"), b"v=x new"))

    def test_marks_that_do_not_fit_are_refused(self, cloudflare: Cloudflare) -> None:
        owners = [character * 30 for character in "ab"]
        benches = [Bench(cloudflare, cloudflare.provider(), owner=owner) for owner in owners]
        claims = [spf(each, f"v=spf1 ip4:192.0.2.{number} -all".encode()) for number, each in enumerate(benches)]
        assert benches[0].publish(claims[0]).error == ""
        with pytest.raises(InvalidRecord, match="shorter postseal_environment"):
            benches[1].publish(claims[1])

    @given(
        text=st.text(st.characters(exclude_categories=("Cs", "Cc"))).map(str.strip),
        words=st.lists(st.sampled_from([b"a", b"b", b"ip4:192.0.2.1", b"-all"]), min_size=1, max_size=12),
        data=st.data(),
    )
    def test_a_comment_says_what_was_put_into_it(self, text: str, words: list[bytes], data: Any) -> None:
        key, value = ("example.test", "TXT"), b" ".join(words)
        chosen = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
        share = b" ".join(word for word, mine in zip(words, chosen, strict=True) if mine)
        entries = (Entry("production", digest(key, value), share or None), Entry("other-1", "0" * 16))
        written = compose(Comment(text, entries), value)
        assert len(written) <= LONGEST
        found = parse(written, key, value)
        assert text.startswith(found.text.removesuffix("…").rstrip())
        assert [(entry.owner, entry.digest) for entry in found.entries] == [(e.owner, e.digest) for e in entries]
        mine = found.entries[0].share
        assert sorted((mine or b"").split()) == sorted(share.split())
        # Of another value it cannot tell whose the words are.
        assert all(entry.share is None for entry in parse(written, key, value + b" +all").entries)
