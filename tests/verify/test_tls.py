# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""How well the connection protects: versions, cipher suites, certificate."""

from __future__ import annotations

from ansible_collections.postseal.mail.plugins.module_utils.model.types import MailHost
from ansible_collections.postseal.mail.tests.verify.proof.catalogue import check
from ansible_collections.postseal.mail.tests.verify.proof.hello import (
    EXTENDED_MASTER_SECRET,
    HYBRID,
    KEY_SHARE,
    LEGACY,
    ODD_CURVES,
    RENEGOTIATION_INFO,
    SHA_1,
    STRONG,
    WEAK,
    X25519MLKEM768,
    Answer,
)
from ansible_collections.postseal.mail.tests.verify.proof.observe import Observer
from ansible_collections.postseal.mail.tests.verify.proof.outcome import (
    CheckFailedError,
    NotApplicableError,
    NotTestedError,
)
from ansible_collections.postseal.mail.tests.verify.proof.targets import Endpoint
from ansible_collections.postseal.mail.tests.verify.proof.tls import most_days

DAYS_LEFT = 14
RSA_BITS = 3072
STRONG_CURVES = ("secp256r1", "secp384r1")


def _expect_refusal(answer: Answer, offer: str) -> None:
    if answer.alert is None:
        raise CheckFailedError(f"{offer}: the server chose {answer}")
    if not answer.refused:
        raise NotTestedError(f"{offer}: the server answers {answer}, which says nothing about it")


@check("TLS-1")
def test_old_versions_are_refused(endpoint: Endpoint, observed: Observer) -> None:
    _expect_refusal(observed.offers[endpoint, LEGACY].result(), "offered TLS 1.1 and older")


@check("TLS-2")
def test_weak_suites_are_refused(endpoint: Endpoint, observed: Observer) -> None:
    _expect_refusal(observed.offers[endpoint, WEAK].result(), "offered only weak cipher suites of TLS 1.2")


@check("TLS-3")
def test_odd_groups_are_refused(endpoint: Endpoint, observed: Observer) -> None:
    answer = observed.offers[endpoint, ODD_CURVES].result()
    _expect_refusal(answer, "offered only groups beside X25519, P-256 and P-384")


@check("TLS-4")
def test_a_hybrid_group_is_offered(endpoint: Endpoint, observed: Observer) -> None:
    answer = observed.offers[endpoint, HYBRID].result()
    if answer.refused:
        raise CheckFailedError("X25519MLKEM768 is not offered")
    if answer.alert is not None:
        raise NotTestedError(f"offered X25519MLKEM768: the server answers {answer}, which says nothing about it")
    if answer.extensions.get(KEY_SHARE, b"")[:2] != X25519MLKEM768.to_bytes(2, "big"):
        raise CheckFailedError("the server speaks TLS 1.3, but asks for no share of X25519MLKEM768")


@check("TLS-5")
def test_handshakes_of_tls_1_2_are_bound(endpoint: Endpoint, observed: Observer) -> None:
    answer = observed.offers[endpoint, STRONG].result()
    if answer.refused:
        raise NotApplicableError("the port speaks no TLS 1.2")
    if answer.alert is not None:
        raise NotTestedError(f"offered TLS 1.2: the server answers {answer}")
    wrong = ["it compresses"] if answer.compression else []
    names = {EXTENDED_MASTER_SECRET: "the extended master secret", RENEGOTIATION_INFO: "secure renegotiation"}
    wrong += [f"it has no {name}" for number, name in names.items() if number not in answer.extensions]
    if wrong:
        raise CheckFailedError("; ".join(wrong))


@check("TLS-6")
def test_signatures_by_sha_1_are_refused(endpoint: Endpoint, observed: Observer) -> None:
    _expect_refusal(observed.offers[endpoint, SHA_1].result(), "offered only key exchanges signed with SHA-1")


@check("TLS-7")
def test_sslyze_finds_mozillas_profile_kept(endpoint: Endpoint, observed: Observer) -> None:
    if endpoint.implicit_tls not in observed.scans:
        raise NotApplicableError("sslyze is not installed (script/bootstrap sslyze)")
    seen = observed.scans[endpoint.implicit_tls].result()[endpoint]
    if seen.error:
        raise NotTestedError(seen.error)
    if seen.issues:
        raise CheckFailedError("; ".join(seen.issues))


@check("CRT-1")
def test_certificate_is_trusted(any_endpoint: Endpoint, observed: Observer) -> None:
    seen = observed.secured[any_endpoint].result()
    if seen.distrust:
        raise CheckFailedError(f"{seen.distrust}; it names {', '.join(seen.certificate.names) or 'nothing'}")
    for name in observed.model.service_names(observed.model.host(any_endpoint.host)):
        if not seen.certificate.covers(name):
            raise CheckFailedError(f"it does not name {name}, only {', '.join(seen.certificate.names)}", name=name)


@check("CRT-2")
def test_certificate_key_is_strong(endpoint: Endpoint, observed: Observer) -> None:
    leaf = observed.secured[endpoint].result().certificate
    curve = leaf.key.removeprefix("ECDSA ")
    strong = leaf.bits >= RSA_BITS if leaf.key == "RSA" else curve in STRONG_CURVES or leaf.key == "Ed25519"
    if not strong:
        raise CheckFailedError(f"the key is {leaf.key} with {leaf.bits} bits")


@check("CRT-3")
def test_certificate_has_days_left(endpoint: Endpoint, observed: Observer, evidence: list[str]) -> None:
    leaf = observed.secured[endpoint].result().certificate
    evidence.append(f"valid until {leaf.not_after:%Y-%m-%d}")
    if leaf.days_left() < DAYS_LEFT:
        raise CheckFailedError(f"it expires on {leaf.not_after:%Y-%m-%d}, in {leaf.days_left():.0f} days")


@check("CRT-5")
def test_certificate_follows_the_rules_of_the_web(endpoint: Endpoint, observed: Observer) -> None:
    leaf = observed.secured[endpoint].result().certificate
    most = most_days(leaf.not_before)
    wrong = [f"it was issued for {leaf.days:.0f} days, more than {most}"] if leaf.days > most + 0.5 else []
    if leaf.hash in ("md5", "sha1"):
        wrong.append(f"it is signed with {leaf.hash}")
    if not leaf.for_servers:
        wrong.append("it is not for TLS servers (extended key usage)")
    if wrong:
        raise CheckFailedError("; ".join(wrong))


@check("CRT-4")
def test_one_certificate_on_all_ports(mail_host: MailHost, observed: Observer) -> None:
    found = {
        endpoint: observed.secured[endpoint].result().certificate.sha256
        for endpoint in observed.endpoints
        if endpoint.host == mail_host.name
    }
    if len(set(found.values())) > 1:
        raise CheckFailedError("; ".join(f"{endpoint}: {digest[:16]}" for endpoint, digest in found.items()))
