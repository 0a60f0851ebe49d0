# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whether somebody reads what comes to the domains: their servers are asked, and no mail is sent."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.postseal.mail.plugins.module_utils.model.types import Domain
from ansible_collections.postseal.mail.tests.verify.proof.catalogue import check
from ansible_collections.postseal.mail.tests.verify.proof.mailboxes import duties, returns
from ansible_collections.postseal.mail.tests.verify.proof.observe import Observer
from ansible_collections.postseal.mail.tests.verify.proof.outcome import CheckFailedError, NotApplicableError


def _taken(domain: Domain, observed: Observer, addresses: Sequence[str]) -> list[str]:
    if domain.parked:
        raise NotApplicableError("the domain is parked: it receives nothing")
    try:
        return observed.taken_for(addresses)
    except CheckFailedError as error:
        raise CheckFailedError(str(error), domain=domain.name, fix=f"let {' and '.join(addresses)} exist") from None


@check("MX-3")
def test_postmaster_and_abuse(domain: Domain, observed: Observer, evidence: list[str]) -> None:
    evidence += _taken(domain, observed, duties(domain))


@check("MX-4")
def test_failures_come_back(domain: Domain, observed: Observer, evidence: list[str]) -> None:
    addresses = returns(observed.model, domain)
    if not addresses and not domain.parked:
        raise NotApplicableError("no credential sends as a certain address of the domain, and it has no bounce")
    evidence += _taken(domain, observed, addresses)
