# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""How well the connection protects: versions, cipher suites, certificate."""

from __future__ import annotations

from ansible_collections.postseal.mail.plugins.module_utils.model.types import MailHost
from ansible_collections.postseal.mail.tests.verify.proof.catalogue import check
from ansible_collections.postseal.mail.tests.verify.proof.hello import Answer
from ansible_collections.postseal.mail.tests.verify.proof.observe import Observer
from ansible_collections.postseal.mail.tests.verify.proof.outcome import CheckFailedError, NotTestedError
from ansible_collections.postseal.mail.tests.verify.proof.targets import Endpoint

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
    _expect_refusal(observed.legacy[endpoint].result(), "offered TLS 1.1 and older")


@check("TLS-2")
def test_weak_suites_are_refused(endpoint: Endpoint, observed: Observer) -> None:
    _expect_refusal(observed.weak[endpoint].result(), "offered only weak cipher suites of TLS 1.2")


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
def test_certificate_has_days_left(endpoint: Endpoint, observed: Observer) -> None:
    leaf = observed.secured[endpoint].result().certificate
    if leaf.days_left() < DAYS_LEFT:
        raise CheckFailedError(f"it expires on {leaf.not_after:%Y-%m-%d}, in {leaf.days_left():.0f} days")


@check("CRT-4")
def test_one_certificate_on_all_ports(mail_host: MailHost, observed: Observer) -> None:
    found = {
        endpoint: observed.secured[endpoint].result().certificate.sha256
        for endpoint in observed.endpoints
        if endpoint.host == mail_host.name
    }
    if len(set(found.values())) > 1:
        raise CheckFailedError("; ".join(f"{endpoint}: {digest[:16]}" for endpoint, digest in found.items()))
