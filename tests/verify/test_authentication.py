# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Who may log in, and in whose name a login may write."""

from __future__ import annotations

from ansible_collections.postseal.mail.plugins.module_utils.model.types import MailHost
from ansible_collections.postseal.mail.tests.verify.proof.authenticated import Login
from ansible_collections.postseal.mail.tests.verify.proof.catalogue import check
from ansible_collections.postseal.mail.tests.verify.proof.inside import running
from ansible_collections.postseal.mail.tests.verify.proof.observe import Observer
from ansible_collections.postseal.mail.tests.verify.proof.outcome import (
    CheckFailedError,
    NotApplicableError,
    NotTestedError,
)
from ansible_collections.postseal.mail.tests.verify.proof.smtp import Reply
from ansible_collections.postseal.mail.tests.verify.proof.targets import Endpoint


def _logged_in(observed: Observer, endpoint: Endpoint) -> Login:
    """Return the session of the probe's credential; without a login nothing can be said about its rights."""
    session = observed.login[endpoint].result()
    if session.auth.code != 235:
        raise NotTestedError(f"the probe's credential is answered {session.auth}")
    return session


def _expect_refusal(what: str, reply: Reply) -> None:
    if reply.accepted:
        raise CheckFailedError(f"{what} is accepted: {reply}")
    if not reply.refused:
        raise NotTestedError(f"{what} is answered {reply}")


@check("AUTH-1")
def test_mechanisms(endpoint: Endpoint, observed: Observer) -> None:
    offered = observed.secured[endpoint].result().keywords.get("AUTH")
    if offered is None:
        raise CheckFailedError("EHLO inside TLS offers no AUTH")
    if set(offered.split()) != {"PLAIN", "LOGIN"}:
        raise CheckFailedError(f"EHLO inside TLS offers AUTH {offered}")


@check("AUTH-2")
def test_refusals_do_not_differ(credentialed_endpoint: Endpoint, observed: Observer) -> None:
    wrong = observed.wrong_password[credentialed_endpoint].result().reply
    unknown = observed.unknown_user[credentialed_endpoint].result().reply
    seen = f"wrong password: {wrong}; unknown user: {unknown}"
    if wrong.accepted or unknown.accepted or wrong != unknown:
        raise CheckFailedError(seen)
    if wrong.code != 535:
        raise CheckFailedError(f"{seen}; both should be 535, as if the password check were up")


@check("AUTH-3")
def test_probe_credential_is_accepted(probed_endpoint: Endpoint, observed: Observer) -> None:
    reply = observed.login[probed_endpoint].result().auth
    if reply.code != 235:
        raise CheckFailedError(f"AUTH PLAIN is answered {reply}")


@check("AUTH-4")
def test_envelope_sender_is_bound(probed_endpoint: Endpoint, observed: Observer) -> None:
    for attempt in _logged_in(observed, probed_endpoint).envelopes:
        _expect_refusal(f"MAIL FROM:<{attempt.sender}>", attempt.reply)


@check("AUTH-5")
def test_header_from_is_bound(probed_endpoint: Endpoint, observed: Observer) -> None:
    for lines, reply in _logged_in(observed, probed_endpoint).headers:
        _expect_refusal(f"a message with {lines}", reply)


@check("AUTH-6")
def test_guessers_are_shut_out(mail_host: MailHost, observed: Observer) -> None:
    if not observed.model.firewall.enabled:
        raise NotApplicableError("postseal_firewall.enabled is false")
    if not running(observed.host_facts(mail_host, "units"), "postseal-guard"):
        raise CheckFailedError("postseal-guard does not run")
