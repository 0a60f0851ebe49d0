# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dkim.states import REVOKED, SIGNING, KeyState, Lifecycle
from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import summary
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import PlanError
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.dns.wire import rdata_of, value_of
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import dkim, slots
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.claims import desired, desired_claims
from ansible_collections.postseal.mail.plugins.module_utils.model.keys import DkimPublicKey, HostKeys, TlsPublicKey
from ansible_collections.postseal.mail.plugins.module_utils.model.types import (
    Caa,
    Dkim,
    Dmarc,
    Dns,
    Domain,
    MailHost,
    Model,
    MtaSts,
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


@pytest.mark.parametrize(("state", "value"), [(SIGNING, b"v=DKIM1; p=AAAA"), (REVOKED, b"v=DKIM1; p=")])
def test_a_key_that_came_from_elsewhere_keeps_its_record_and_is_ours(state: str, value: bytes) -> None:
    known = Lifecycle(
        (KeyState("shop.test", "s1", "rsa2048", state, datetime(2026, 1, 1, tzinfo=UTC), "v=DKIM1; p=AAAA"),)
    )
    claims = desired_claims(MODEL, [replace(held, lifecycle=known) for held in KEYS])
    (claim,) = (one for one in claims if one.name == "s1._domainkey.shop.test")
    assert (claim.value, claim.adopt) == (value, True)
    assert not [one for one in claims if one.adopt and one is not claim]


def test_a_subdomain_has_the_domains_spf_and_mx_and_no_keys_of_its_own() -> None:
    domain = replace(MODEL.domains[0], dmarc=Dmarc("reject"), subdomains=("news.shop.test",))
    found, before = published(replace(MODEL, domains=(domain,))), published(MODEL)
    assert {key: values for key, values in found.items() if key not in before} == {
        ("news.shop.test", "TXT"): before["shop.test", "TXT"],
        ("news.shop.test", "MX"): {"5 mx.example.test."},
    }


def test_a_host_name_that_is_a_subdomain_has_that_record_for_helo_too() -> None:
    domain = Domain("example.test", subdomains=(A,))
    found = published(replace(MODEL, domains=(domain,)))
    assert found[A, "TXT"] == {b"v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 ip4:192.0.2.2 -all"}


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


PARKED = Domain("old.test", dmarc=Dmarc("reject", rua=("mailto:d@shop.test",), alignment="strict"), parked=True)


def test_a_parked_domain_says_no_with_every_standard() -> None:
    key = HostKeys(A, (RSA, replace(RSA, domain="old.test")), ())
    found = published(replace(MODEL, domains=(*MODEL.domains, PARKED)), (key,))
    assert {place: values for place, values in found.items() if place[0].endswith("old.test")} == {
        ("old.test", "TXT"): {b"v=spf1 -all"},
        ("old.test", "MX"): {"0 ."},
        ("*._domainkey.old.test", "TXT"): {b"v=DKIM1; p="},
        ("_dmarc.old.test", "TXT"): {b"v=DMARC1; p=reject; adkim=s; aspf=s; rua=mailto:d@shop.test"},
    }
    parked = desired(replace(MODEL, domains=(PARKED,)), KEYS)
    assert not [item for item in parked.pending if "old.test" in item.name]
    assert not [claim for claim in parked.claims if claim.anchor == "old.test" and claim.slot.merge], "nobody may stay"


def test_the_records_around_a_sending_domain() -> None:
    domain = Domain(
        "shop.test",
        dkim=Dkim(delegate=(("s9", "s9.domainkey.example.net"),)),
        dmarc=Dmarc("reject", testing=True, nonexistent_policy="reject"),
        tls_rpt=("mailto:a@shop.test", "https://reports.test/a,b;c"),
        mta_sts=MtaSts("20261121", "mta-sts.example.net"),
    )
    found = published(replace(MODEL, domains=(domain,)))
    assert found["_dmarc.shop.test", "TXT"] == {b"v=DMARC1; p=reject; np=reject; t=y"}
    assert found["_smtp._tls.shop.test", "TXT"] == {
        b"v=TLSRPTv1; rua=mailto:a@shop.test,https://reports.test/a%2Cb%3Bc"
    }
    assert found["_mta-sts.shop.test", "TXT"] == {b"v=STSv1; id=20261121"}
    assert found["mta-sts.shop.test", "CNAME"] == {"mta-sts.example.net."}
    assert found["s9._domainkey.shop.test", "CNAME"] == {"s9.domainkey.example.net."}
    alone = published(replace(MODEL, domains=(replace(domain, mta_sts=MtaSts("1")),)))
    assert ("mta-sts.shop.test", "CNAME") not in alone


def test_only_receivers_of_ours_are_told_to_take_reports() -> None:
    def authorised(*rua: str, zones: tuple[tuple[str, str], ...] = ()) -> set[str]:
        uris = tuple(f"mailto:d@{name}" for name in rua)
        domain = Domain("shop.test", dmarc=Dmarc(rua=uris))
        dns = replace(MODEL.dns, zones=zones)
        model = replace(MODEL, domains=(domain, Domain("other.test")), dns=dns)
        claims = [claim for claim in desired_claims(model, ()) if claim.slot.label == "report-consent"]
        assert all(claim.value == b"v=DMARC1;" and not claim.required for claim in claims)
        assert all(claim.name.endswith(claim.anchor) and claim.subject == "domain shop.test" for claim in claims)
        return {claim.name for claim in claims}

    assert authorised("shop.test", "news.shop.test", "stranger.test") == set()
    assert authorised("other.test", "d.other.test") == {
        "shop.test._report._dmarc.other.test",
        "shop.test._report._dmarc.d.other.test",
    }
    assert authorised("r.zone.test", zones=(("zone.test", "p"),)) == {"shop.test._report._dmarc.r.zone.test"}


def test_caa_is_published_at_every_name_of_the_service() -> None:
    accounts = ("https://ca.test/acct/1", "https://ca.test/acct/2")
    caa = Caa("ca.test", accounts, ("http-01",), "mailto:security@shop.test")
    found = published(replace(MODEL, tls=replace(MODEL.tls, caa=caa)))
    names = {name for name, rrtype in found if rrtype == "CAA"}
    assert names == {A, B, "smtp.example.test"}
    assert found[A, "CAA"] == {
        *(f'0 issue "ca.test; accounturi={account}; validationmethods=http-01"' for account in accounts),
        '0 iodef "mailto:security@shop.test"',
    }
    assert published(replace(MODEL, tls=replace(MODEL.tls, caa=Caa("ca.test", methods=()))))[A, "CAA"] == {
        '0 issue "ca.test"'
    }


@pytest.mark.parametrize(("everywhere", "here"), [(True, False), (False, True), (False, False)])
def test_taking_over_can_be_asked_for_everything_or_one_domain(everywhere: bool, here: bool) -> None:
    domains = (replace(MODEL.domains[0], adopt=here), Domain("other.test"))
    claims = desired_claims(replace(MODEL, dns=replace(MODEL.dns, adopt=everywhere), domains=domains), KEYS)
    for claim in claims:
        assert claim.adopt is (everywhere or (here and claim.anchor == "shop.test"))


def test_what_is_found_in_a_zone_is_seen_in_the_slot_it_was_claimed_in() -> None:
    everything = Domain(
        "shop.test",
        dkim=Dkim(delegate=(("s9", "s9.domainkey.example.net"),)),
        dmarc=Dmarc(rua=("mailto:d@old.test",)),
        mx=(Mx("mx.example.test"),),
        tls_rpt=("mailto:a@shop.test",),
        mta_sts=MtaSts("1", "mta-sts.example.net"),
    )
    tls = replace(MODEL.tls, caa=Caa("ca.test", iodef="mailto:security@shop.test"))
    claims = desired_claims(replace(MODEL, domains=(everything, PARKED), tls=tls), KEYS)
    assert {claim.type for claim in claims} == {"A", "AAAA", "CAA", "CNAME", "MX", "SRV", "TLSA", "TXT"}
    for claim in claims:
        slot = slots.slot_of(claim.key, claim.value)
        assert slot is not None
        assert (slot.label, slot.single) == (claim.slot.label, claim.slot.single)
        assert slot.holds(claim.value)
        # What servers send back is compared with what was claimed.
        assert value_of(rdata_of(claim.type, claim.value)) == claim.value


@pytest.mark.parametrize(
    ("state", "values"),
    [
        ("planned", {dkim.build("rsa2048", RSA.public)}),
        ("published", {dkim.build("rsa2048", RSA.public)}),
        ("signing", {dkim.build("rsa2048", RSA.public)}),
        ("retiring", {dkim.build("rsa2048", RSA.public)}),
        ("revoked", {dkim.REVOKED}),
        ("removed", set()),
    ],
)
def test_what_is_published_of_a_key_follows_its_state(state: str, values: set[Value]) -> None:
    other = replace(RSA, selector="other")
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    known = Lifecycle(
        tuple(
            KeyState(key.domain, key.selector, key.algorithm, its, moment)
            for key, its in ((RSA, state), (other, "signing"))
        )
    )
    keys = tuple(replace(held, dkim=(RSA, other), lifecycle=known) for held in KEYS)
    name = (f"{RSA.selector}._domainkey.{RSA.domain}", "TXT")
    wanted = desired(MODEL, keys)
    assert {claim.value for claim in wanted.claims if claim.key == name} == values
    assert (name in wanted.ended) == (state == "removed")


def test_a_key_that_no_host_holds_any_more_keeps_its_record() -> None:
    known = Lifecycle(
        (KeyState(RSA.domain, RSA.selector, RSA.algorithm, "retiring", datetime(2026, 1, 1, tzinfo=UTC)),)
    )
    wanted = desired(MODEL, [replace(held, dkim=(), lifecycle=known) for held in KEYS])
    assert [item.name for item in wanted.pending if item.slot == f"dkim:{RSA.selector}"] == [
        f"{RSA.selector}._domainkey.{RSA.domain}"
    ]
