# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Every rule finds what it is for, says where and what to do, and leaves what is right alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.findings import ERROR, WARNING
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Key
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import dkim
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.lint_text import modulus_bits
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.rules import RULES
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from .judged import APEX, ED25519, HOST, MX, POLICY, RPT, SELECTOR, SRV, STS, ZONE, Sets, lint, rsa_key

OWN: Sets = {MX: ["10 mx.else.test."]}
CASES: list[tuple[str, Sets, str]] = [
    ("caa-issuer", {HOST: ["192.0.2.1"], (ZONE, "CAA"): ['0 issue "other.test"']}, "letsencrypt.org"),
    ("caa-issuer", {HOST: ["192.0.2.1"], ("mail.shop.test", "CAA"): ['0 issue ";"']}, "letsencrypt.org"),
    (
        "caa-issuer",
        {HOST: ["192.0.2.1"], (ZONE, "CAA"): ['0 issue "letsencrypt.org; validationmethods=dns-01"']},
        "letsencrypt.org",
    ),
    ("cname-alone", {("a.shop.test", "CNAME"): ["b.test."], ("a.shop.test", "TXT"): [b"x"]}, "TXT"),
    ("cname-several", {("a.shop.test", "CNAME"): ["b.test.", "c.test."]}, "b.test. and c.test."),
    ("dkim-delegate", {("s9._domainkey.shop.test", "CNAME"): ["gone.test."]}, "gone.test"),
    ("dkim-several", {SELECTOR: [b"v=DKIM1; p=", b"hello=1; p="]}, "2 records"),
    ("dkim-sha1", {SELECTOR: [b"v=DKIM1; h=sha1; p="]}, "sha1"),
    ("dkim-short", {SELECTOR: [dkim.build("rsa", rsa_key(1016))]}, "1016 bits"),
    ("dkim-weak", {SELECTOR: [dkim.build("rsa", rsa_key(1024))]}, "1024 bits"),
    ("dkim-weak", {SELECTOR: [dkim.build("rsa", rsa_key(2047))]}, "2047 bits"),
    ("dkim-syntax", {SELECTOR: [b"hello"]}, "hello"),
    ("dkim-syntax", {SELECTOR: [b"v=DKIM1; k=rsa; p=AAAA"]}, "no RSA key"),
    ("dkim-testing", {SELECTOR: [b"v=DKIM1; t=y:s; p="]}, "t=y"),
    ("dmarc-consent", {POLICY: [b"v=DMARC1; p=reject; rua=mailto:d@else.test"]}, "else.test"),
    ("dmarc-receiver", {POLICY: [b"v=DMARC1; p=reject; rua=mailto:d@x.shop.test"]}, "x.shop.test"),
    ("dmarc-receiver", {POLICY: [b"v=DMARC1; p=reject; rua=mailto:d@nomail.test"]}, "nomail.test"),
    ("dmarc-removed", {POLICY: [b"v=DMARC1; p=reject; pct=50"]}, "pct"),
    ("dmarc-removed", {POLICY: [b"v=DMARC1; p=reject; rua=mailto:d@willing.test!10m"]}, "!10m"),
    ("dmarc-registry", {POLICY: [b"v=DMARC1; p=reject; psd=y"]}, "psd=y"),
    ("dmarc-several", {POLICY: [b"v=DMARC1; p=reject", b"v=DMARC1; p=quarantine"]}, "side by side"),
    ("dmarc-syntax", {POLICY: [b"v=DMARC1; p=block"]}, "p=block"),
    ("dmarc-testing", {POLICY: [b"v=DMARC1; p=reject; t=y"]}, "p=reject"),
    ("dmarc-unobserved", {POLICY: [b"v=DMARC1; p=none"]}, "p=none"),
    ("dmarc-weaker", {POLICY: [b"v=DMARC1; p=reject; sp=none"]}, "sp=none"),
    ("dmarc-weaker", {POLICY: [b"v=DMARC1; p=reject; np=quarantine"]}, "np=quarantine"),
    ("mx-address", {MX: ["10 192.0.2.1."]}, "192.0.2.1"),
    ("mx-alias", {MX: ["10 alias.else.test."]}, "mx.else.test"),
    ("mx-alias", {MX: ["10 b.shop.test."], ("b.shop.test", "CNAME"): ["mx.else.test."]}, "b.shop.test"),
    ("mx-missing", {APEX: [b"v=spf1 ip4:192.0.2.1 -all"]}, "postmaster@"),
    ("mx-null", {MX: ["0 .", "10 mx.else.test."]}, "mx.else.test."),
    ("mx-null-sender", {MX: ["0 ."], APEX: [b"v=spf1 ip4:192.0.2.1 -all"]}, "SPF"),
    ("mx-unresolved", {MX: ["10 gone.test."]}, "gone.test"),
    ("name-length", {("x" * 64 + ".shop.test", "A"): ["192.0.2.1"]}, "63 in a label"),
    ("name-length", {(".".join(["x" * 60] * 4) + ".xshop.test", "A"): ["192.0.2.1"]}, "253"),
    ("spf-all", {APEX: [b"v=spf1 +all"]}, "everybody"),
    ("spf-broken", {APEX: [b"v=spf1 include:gone.test -all"]}, "no SPF record"),
    ("spf-broken", {APEX: [b"v=spf1 include:loop.test -all"]}, "leads back to shop.test"),
    ("spf-length", {APEX: [b"v=spf1 " + b" ".join(b"ip4:192.0.2.%d" % n for n in range(40)) + b" -all"]}, "450"),
    ("spf-lookups", {APEX: [b"v=spf1 include:dear.test -all"]}, "include:dear.test 11"),
    ("spf-open", {APEX: [b"v=spf1 ip4:192.0.2.1 ?all"]}, "decision"),
    ("spf-open", {APEX: [b"v=spf1 ip4:192.0.2.1"]}, "decision"),
    ("spf-ptr", {APEX: [b"v=spf1 ptr -all"]}, "ptr"),
    ("spf-several", {APEX: [b"v=spf1 -all", b"v=spf1 ~all"]}, "side by side"),
    ("spf-stray", {APEX: [b'"v=spf1 -all"']}, "no SPF record"),
    ("spf-stray", {APEX: [b" v=spf1 -all", b"v=spf1 -all"]}, "no SPF record"),
    ("spf-syntax", {APEX: [b"v=spf1 ipv4:192.0.2.1 -all"]}, "ipv4"),
    ("spf-type", {APEX: [b"v=spf1 -all"], (ZONE, "SPF"): [b"v=spf1 -all"]}, "type SPF"),
    ("spf-unfollowed", {APEX: [b"v=spf1 include:silent.test -all"]}, "silent.test TXT: SERVFAIL"),
    ("spf-voids", {APEX: [b"v=spf1 a:a.test a:b.test a:c.test -all"]}, "c.test A"),
    ("srv-alias", {SRV: ["0 1 587 alias.else.test."]}, "mx.else.test"),
    ("srv-unresolved", {SRV: ["0 1 587 gone.test."]}, "gone.test"),
    ("sts-host", {STS: [b"v=STSv1; id=1"]}, "mta-sts.shop.test"),
    ("sts-several", {STS: [b"v=STSv1; id=1", b"v=STSv1; id=2"]}, "side by side"),
    ("sts-syntax", {STS: [b"v=STSv1; id=a-b"]}, "id="),
    ("tlsrpt-several", {RPT: [b"v=TLSRPTv1; rua=mailto:a@b.test", b"v=TLSRPTv1; rua=mailto:c@d.test"]}, "side by side"),
    ("tlsrpt-syntax", {RPT: [b"v=TLSRPTv1; ruf=mailto:a@b.test"]}, "rua="),
    ("txt-answer", {APEX: [b"token-%d=" % n + b"x" * 200 for n in range(6)]}, "6 values"),
    ("txt-length", {APEX: [b"x" * 65400]}, "of 65535"),
    ("unresolved", {MX: ["10 silent.test."]}, "silent.test CNAME: SERVFAIL"),
    ("unresolved", {APEX: [b"v=spf1 a:silent.test -all"]}, "silent.test A: SERVFAIL"),
    ("unresolved", {POLICY: [b"v=DMARC1; p=reject; rua=mailto:d@silent.test"]}, "silent.test"),
    ("unresolved", {("s9._domainkey.shop.test", "CNAME"): ["silent.test."]}, "silent.test"),
    ("unresolved", {("mta-sts.shop.test", "CNAME"): ["silent.test."], STS: [b"v=STSv1; id=1"]}, "silent.test"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "sets", "said"), CASES, ids=[f"{case[0]}-{n}" for n, case in enumerate(CASES)])
def test_a_rule_finds_what_it_is_for(rule: str, sets: Sets, said: str) -> None:
    found = [finding for finding in lint(sets) if finding.rule == rule]
    assert found, f"{rule} found nothing: {lint(sets)}"
    assert said in found[0].message
    assert found[0].severity == RULES[rule].severity
    assert found[0].name.endswith(ZONE)
    assert str(found[0]).startswith(f"{RULES[rule].severity}: {found[0].name} {found[0].type}: ")


def test_every_rule_is_tried_and_documented() -> None:
    assert {case[0] for case in CASES} == set(RULES)
    page = Path(__file__).resolve().parents[5] / "docs" / "dns-lint.md"
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (\w+) \| (.+?) \| (.+?) \|$", page.read_text("utf-8"), re.MULTILINE)
    assert rows == [(rule, said.severity, said.meaning, said.source) for rule, said in RULES.items()]
    assert {rule.severity for rule in RULES.values()} == {ERROR, WARNING}


@pytest.mark.parametrize(
    "sets",
    [
        {APEX: [b"v=spf1 include:ok.test a:mail.shop.test ~all", b"google-site-verification=v=spf1"], **OWN},
        {APEX: [b"v=spf1 redirect=ok.test"], (ZONE, "A"): ["192.0.2.1"]},
        {SELECTOR: [dkim.build("rsa2048", rsa_key(2048))]},
        {SELECTOR: [dkim.build("ed25519", ED25519)]},
        {("s9._domainkey.shop.test", "CNAME"): ["key.else.test."]},
        {("*._domainkey.shop.test", "TXT"): [b"v=DKIM1; p="]},
        {POLICY: [b"v=DMARC1; p=reject; sp=reject; np=reject; rua=mailto:d@willing.test,https://x.test"]},
        {POLICY: [b"v=DMARC1; p=none; rua=mailto:d@else.shop.test"], ("else.shop.test", "MX"): ["10 mx.else.test."]},
        {MX: ["10 mx.else.test.", "20 mail.shop.test."]},
        {MX: ["0 ."], APEX: [b"v=spf1 -all"]},
        {SRV: ["0 1 465 mail.shop.test."]},
        {SRV: ["0 0 0 ."]},
        {STS: [b"v=STSv1; id=1;"], ("mta-sts.shop.test", "CNAME"): ["mx.else.test."]},
        {RPT: [b"v=TLSRPTv1; rua=mailto:a@b.test,https://b.test/r"]},
        {HOST: ["192.0.2.1"], (ZONE, "CAA"): ['0 issue "other.test"', '0 issue "letsencrypt.org"']},
        {HOST: ["192.0.2.1"], (ZONE, "CAA"): ['0 issuewild ";"', '0 iodef "mailto:a@b.test"', "128 tbs x y"]},
        {HOST: ["192.0.2.1"], ("mail.shop.test", "CAA"): ['0 issue "letsencrypt.org"'],
         (ZONE, "CAA"): ['0 issue "other.test"']},
        {(".".join(["x" * 60] * 4) + ".shop.test", "A"): ["192.0.2.1"]},
    ],
)  # fmt: skip
def test_what_is_right_is_left_alone(sets: Sets) -> None:
    assert lint(sets) == []


@pytest.mark.parametrize("bits", [512, 1024, 2048, 3072, 4096])
def test_rsa_keys_are_measured_in_both_forms(bits: int) -> None:
    key = rsa.RSAPublicNumbers(65537, (1 << (bits - 1)) | 1).public_key()
    for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1):
        assert modulus_bits(key.public_bytes(Encoding.DER, form)) == bits


@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda tail: b"\x30\x82" + tail))
def test_no_octets_whatever_end_in_another_exception(der: bytes) -> None:
    try:
        bits = modulus_bits(der)
    except ValueError:
        return
    assert bits >= 0


TEXTS = st.sampled_from([b"v=spf1 ", b"v=DMARC1; ", b"v=DKIM1; ", b"v=STSv1; ", b"v=TLSRPTv1; ", b""])
NAMES = st.sampled_from([APEX, SELECTOR, POLICY, STS, RPT])


@given(key=NAMES, values=st.lists(st.builds(bytes.__add__, TEXTS, st.binary(max_size=30)), max_size=3))
def test_no_text_whatever_ends_in_an_exception(key: Key, values: list[bytes]) -> None:
    assert all(finding.rule in RULES for finding in lint({key: values} if values else {}))
