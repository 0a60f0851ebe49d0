# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the rules take into account besides the records of one set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Key, RRset, Value
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.claims import desired_claims
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.lint import rules
from ansible_collections.postseal.mail.plugins.module_utils.model.keys import DkimPublicKey, HostKeys, TlsPublicKey
from ansible_collections.postseal.mail.plugins.module_utils.model.types import (
    Caa,
    Dkim,
    Dmarc,
    Domain,
    MailHost,
    MtaSts,
    Mx,
    Spf,
    Submission,
    Tls,
)

from .judged import APEX, ED25519, HOST, MODEL, MX, POLICY, SRV, ZONE, Sets, lint, resolve, rsa_key


def test_only_what_we_speak_for_is_judged() -> None:
    sets: Sets = {APEX: [b"v=spf1 +all"], MX: ["0 ."]}
    rrsets = {key: RRset.of(*key, 300, values) for key, values in sets.items()}
    assert list(rules(MODEL, resolve)(ZONE, rrsets, frozenset({MX, ("gone.shop.test", "TXT")}))) != []
    assert list(rules(MODEL, resolve)(ZONE, rrsets, frozenset({("gone.shop.test", "TXT")}))) == []


def test_what_will_be_published_counts_before_the_dns_knows_it() -> None:
    new: Sets = {("new.shop.test", "A"): ["192.0.2.1"], ("new.shop.test", "AAAA"): ["2001:db8::1"]}
    sets: Sets = {**new, APEX: [b"v=spf1 a:new.shop.test -all"], MX: ["10 new.shop.test."]}
    assert lint(sets) == []
    # Hosts of the inventory may be in another zone of the same run.
    model = replace(
        MODEL, hosts=(MailHost("mail.other.test", ("192.0.2.1",), ()),), submission=Submission("smtp.other.test")
    )
    assert lint({SRV: ["0 1 465 mail.other.test.", "0 1 465 smtp.other.test."]}, model) == []


def test_another_domain_of_the_same_run_counts_as_published() -> None:
    sets: Sets = {
        APEX: [b"v=spf1 include:new.test -all"],
        MX: ["10 mx.else.test."],
        POLICY: [b"v=DMARC1; p=reject; rua=mailto:d@new.test"],
    }
    assert {finding.rule for finding in lint(sets)} == {"spf-broken", "dmarc-receiver", "dmarc-consent"}
    model = replace(MODEL, domains=(Domain(ZONE), Domain("new.test", mx=(Mx("mx.else.test"),))))
    assert lint(sets, model) == []


def test_what_is_known_is_not_asked() -> None:
    def nobody(name: str, rrtype: str) -> Sequence[Value]:
        pytest.fail(f"{name} {rrtype} was asked")

    domains = (Domain(ZONE, mx=(Mx("mail.shop.test"),)),)
    model = replace(
        MODEL, tls=Tls("https://acme.test/dir", None), submission=Submission("smtp.shop.test"), domains=domains
    )
    sets: dict[Key, list[Value]] = {}
    for claim in desired_claims(model, ()):
        sets.setdefault(claim.key, []).append(claim.value)
    rrsets = {key: RRset.of(*key, 300, values) for key, values in sets.items()}
    found = rules(model, nobody)(ZONE, rrsets, frozenset(rrsets))
    assert [finding.rule for finding in found] == ["dmarc-unobserved"]


def test_clients_that_no_host_is_do_not_count() -> None:
    record = b"v=spf1 " + b" ".join(b"a:v4-%d.shop.test" % n for n in range(3)) + b" -all"
    hosts: Sets = {(f"v4-{n}.shop.test", "A"): ["192.0.2.9"] for n in range(3)}
    hosts = {**hosts, MX: ["10 mx.else.test."]}
    sets: Sets = {APEX: [record], **hosts}
    only_v4 = replace(MODEL, hosts=(MailHost("mail.shop.test", ("192.0.2.1",), ()),))
    assert [finding.rule for finding in lint(sets)] == ["spf-voids"]
    assert lint(sets, only_v4) == []
    sets = {APEX: [record.replace(b"-all", b"ip6:2001:db8::/32 -all")], **hosts}
    assert [finding.rule for finding in lint(sets, only_v4)] == ["spf-voids"]


def test_consent_that_this_run_publishes_is_not_missed() -> None:
    model = replace(MODEL, domains=(Domain(ZONE), Domain("else.test")))
    sets = {POLICY: [b"v=DMARC1; p=reject; rua=mailto:d@else.test"]}
    assert [finding.rule for finding in lint(sets)] == ["dmarc-consent"]
    assert lint(sets, model) == []


def test_an_authority_is_judged_by_the_name_it_has_in_caa() -> None:
    sets: Sets = {HOST: ["192.0.2.1"], ("mail.shop.test", "CAA"): ['0 issue "ca.test"']}

    def found(caa: Caa | None) -> list[str]:
        tls = Tls("https://acme.test/dir", None, caa=caa)
        return [finding.rule for finding in lint(sets, replace(MODEL, tls=tls))]

    assert found(None) == [], "nobody knows what it calls itself"
    assert found(Caa("ca.test")) == []
    assert found(Caa("other.test")) == ["caa-issuer"]


def test_everything_that_an_inventory_publishes_passes() -> None:
    sending = Domain(
        ZONE,
        spf=Spf(include=("ok.test",)),
        dkim=Dkim(delegate=(("s9", "key.else.test"),)),
        dmarc=Dmarc("reject", "reject", ("mailto:d@willing.test",), "strict", "reject"),
        mx=(Mx("mx.else.test"),),
        tls_rpt=("mailto:t@else.test",),
        mta_sts=MtaSts("1", "mx.else.test"),
    )
    parked = Domain("old.shop.test", dmarc=Dmarc("reject", alignment="strict"), parked=True)
    tls = replace(MODEL.tls, caa=Caa("letsencrypt.org", ("https://ca.test/1",), ("http-01",), "mailto:s@else.test"))
    model = replace(MODEL, domains=(sending, parked), tls=tls, submission=Submission("smtp.shop.test"))
    keys = (DkimPublicKey(ZONE, "r", "rsa2048", rsa_key(2048)), DkimPublicKey(ZONE, "e", "ed25519", ED25519))
    sets: dict[Key, list[Value]] = {}
    for claim in desired_claims(model, [HostKeys("mail.shop.test", keys, (TlsPublicKey("mail.shop.test", "a" * 64),))]):
        sets.setdefault(claim.key, []).append(claim.value)
    assert lint(sets, model) == []
