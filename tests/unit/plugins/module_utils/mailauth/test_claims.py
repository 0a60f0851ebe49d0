# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import summary
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import PlanError
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.claims import desired, desired_claims
from ansible_collections.postseal.mail.plugins.module_utils.model.keys import DkimPublicKey, HostKeys, TlsPublicKey
from ansible_collections.postseal.mail.plugins.module_utils.model.types import (
    Dmarc,
    Dns,
    Domain,
    MailHost,
    Model,
    Mx,
    Ports,
    Spf,
    Submission,
    Tls,
)

A, B = "mail-a.example.test", "mail-b.example.test"
RSA = DkimPublicKey("shop.test", "s1", "rsa2048", "AAAA")
MODEL = Model(
    environment="production",
    hosts=(MailHost(A, ("192.0.2.1",), ("2001:db8::1",)), MailHost(B, ("192.0.2.2",), ())),
    submission=Submission("smtp.example.test"),
    tls=Tls("https://acme.test/dir", None),
    dns=Dns(()),
    domains=(Domain("shop.test", dmarc=Dmarc("reject", alignment="strict"), mx=(Mx("mx.example.test", 5),)),),
    credentials=(),
)
KEYS = tuple(HostKeys(host, (RSA,), (TlsPublicKey(host, digest * 64),)) for host, digest in ((A, "a"), (B, "b")))


def published(model: Model, keys: tuple[HostKeys, ...] = KEYS) -> dict[tuple[str, str], set[Value]]:
    found: dict[tuple[str, str], set[Value]] = {}
    for claim in desired_claims(model, keys):
        found.setdefault(claim.key, set()).add(claim.value)
    return found


def test_every_record_of_a_small_environment() -> None:
    assert published(MODEL) == {
        (A, "A"): {"192.0.2.1"},
        (A, "AAAA"): {"2001:db8::1"},
        (A, "TXT"): {b"v=spf1 a -all"},
        (B, "A"): {"192.0.2.2"},
        (B, "TXT"): {b"v=spf1 a -all"},
        ("smtp.example.test", "A"): {"192.0.2.1", "192.0.2.2"},
        ("smtp.example.test", "AAAA"): {"2001:db8::1"},
        **{
            (f"_{port}._tcp.{name}", "TLSA"): {f"3 1 1 {digest * 64}" for digest in digests}
            for port in (465, 587)
            for name, digests in ((A, "a"), (B, "b"), ("smtp.example.test", "ab"))
        },
        ("shop.test", "TXT"): {b"v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 ip4:192.0.2.2 -all"},
        ("shop.test", "MX"): {"5 mx.example.test."},
        ("_dmarc.shop.test", "TXT"): {b"v=DMARC1; p=reject; adkim=s; aspf=s"},
        ("_submissions._tcp.shop.test", "SRV"): {"0 1 465 smtp.example.test."},
        ("_submission._tcp.shop.test", "SRV"): {"10 1 587 smtp.example.test."},
        ("s1._domainkey.shop.test", "TXT"): {b"v=DKIM1; k=rsa; h=sha256; s=email; t=s; p=AAAA"},
    }


def test_only_tlsa_needs_dnssec_and_only_records_of_domains_are_required() -> None:
    for claim in desired_claims(MODEL, KEYS):
        assert claim.requires_dnssec is (claim.type == "TLSA")
        assert claim.required is claim.name.endswith("shop.test")
        assert claim.anchor in (A, B, "smtp.example.test", "shop.test")


def test_without_a_shared_name_applications_are_sent_to_every_host() -> None:
    found = published(replace(MODEL, submission=Submission(ports=Ports(implicit_tls=4650))))
    assert found["_submissions._tcp.shop.test", "SRV"] == {f"0 1 4650 {A}.", f"0 1 4650 {B}."}
    assert (f"_4650._tcp.{A}", "TLSA") in found
    assert not any("smtp.example.test" in name for name, _ in found)


def test_a_shared_name_that_is_a_hosts_own_keeps_that_hosts_addresses() -> None:
    assert published(replace(MODEL, submission=Submission(A)))[A, "A"] == {"192.0.2.1"}


def test_a_host_name_that_is_a_domain_has_the_domains_spf_record() -> None:
    found = published(replace(MODEL, domains=(Domain(A, spf=Spf(all="softfail")),)))
    assert found[A, "TXT"] == {b"v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 ip4:192.0.2.2 ~all"}


def test_merging_follows_the_inventory() -> None:
    for merge in (True, False):
        model = replace(MODEL, domains=(Domain("shop.test", spf=Spf(merge=merge)),))
        (claim,) = (found for found in desired_claims(model, KEYS) if found.key == ("shop.test", "TXT"))
        assert bool(claim.slot.merge) is merge


def test_without_keys_what_waits_is_told_and_the_rest_is_claimed() -> None:
    found = desired(MODEL, ())
    assert {claim.type for claim in found.claims} == {"A", "AAAA", "TXT", "MX", "SRV"}
    told = summary(found.pending)
    names = ", ".join(f"_{port}._tcp.{name} TLSA" for name in (A, "smtp.example.test") for port in (465, 587))
    assert f"the TLS key of {A} is not known yet: {names} must wait" in told
    assert "no mail host holds a DKIM key of shop.test yet: _domainkey.shop.test must wait" in told
    assert {item.name for item in found.pending if item.remedy} == {"_domainkey.shop.test"}


def test_one_host_without_keys_leaves_the_shared_records_open() -> None:
    found = desired(MODEL, KEYS[:1])
    assert {item.name for item in found.pending} == {
        f"_{port}._tcp.{name}" for port in (465, 587) for name in (B, "smtp.example.test")
    }


def test_two_hosts_with_different_keys_are_named() -> None:
    other = HostKeys(B, (replace(RSA, public="BBBB"),), KEYS[1].tls)
    with pytest.raises(PlanError) as caught:
        desired(MODEL, (KEYS[0], other))
    for part in (A, B, "shop.test", "selector s1", "keys.yml"):
        assert part in str(caught.value)


def test_keys_of_other_domains_are_not_published() -> None:
    stray = HostKeys(A, (replace(RSA, domain="old.test"),), ())
    assert not any("old.test" in name for name, _ in published(MODEL, (stray,)))
