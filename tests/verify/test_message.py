# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A message that was really sent through each host and port, as the receiver got and judged it."""

from __future__ import annotations

import re

from ansible_collections.postseal.mail.plugins.module_utils.model.types import Domain, Model
from ansible_collections.postseal.mail.plugins.plugin_utils.replies import LEVELS
from ansible_collections.postseal.mail.tests.verify.proof.catalogue import check
from ansible_collections.postseal.mail.tests.verify.proof.mailbox import (
    AGENT,
    HIDDEN,
    Received,
    delivered_by_relay,
    stray_line_ends,
)
from ansible_collections.postseal.mail.tests.verify.proof.observe import Observer
from ansible_collections.postseal.mail.tests.verify.proof.outcome import (
    CheckFailedError,
    NotApplicableError,
    NotTestedError,
)
from ansible_collections.postseal.mail.tests.verify.proof.smtp import EHLO_NAME
from ansible_collections.postseal.mail.tests.verify.proof.targets import Endpoint

# From twice: once more than there are, so that a second one breaks the signature (RFC 6376 8.15).
SIGNED = {
    "from": 2,
    "to": 1,
    "subject": 1,
    "date": 1,
    "message-id": 1,
    "list-unsubscribe": 1,
    "list-unsubscribe-post": 1,
}
# As smtpd(8) writes it, or as the registered clause (RFC 8314 4.3).
ENCRYPTED = re.compile(r"\bTLSv1\.[23]\b|\btls TLS_")
KINDS = {"rsa2048": "rsa-sha256", "rsa3072": "rsa-sha256", "rsa4096": "rsa-sha256", "ed25519": "ed25519-sha256"}


def _received(observed: Observer, endpoint: Endpoint) -> Received:
    message = observed.received[endpoint].result()
    if message is None:
        raise NotTestedError("the message did not arrive")
    return message


def _sender(model: Model) -> Domain:
    if model.probe is None:
        raise NotTestedError("postseal_probe is not set")
    return model.domain(model.credential(model.probe.credential).domain)


def _tags(signature: str) -> dict[str, str]:
    """Return the tags of a DKIM-Signature field without white space (RFC 6376 3.2)."""
    pairs = (part.partition("=") for part in re.sub(r"\s+", "", signature).split(";") if part)
    return {name: value for name, _, value in pairs}


@check("MSG-1")
def test_message_arrives(probed_endpoint: Endpoint, observed: Observer) -> None:
    sent = observed.sent[probed_endpoint].result()
    if not sent.reply.accepted:
        raise CheckFailedError(f"the message was not accepted: {sent.reply}")
    if observed.received[probed_endpoint].result() is None:
        seconds = observed.settings.delivery_seconds
        raise CheckFailedError(f"it was accepted ({sent.reply}) but did not arrive within {seconds:.0f} s")


@check("MSG-2")
def test_spf_passes(probed_endpoint: Endpoint, observed: Observer) -> None:
    verdict = _received(observed, probed_endpoint).verdict
    domain = _sender(observed.model).name
    sender = str(verdict.get("from", ""))
    if verdict.get("spf") != "pass":
        raise CheckFailedError(f"SPF {verdict.get('spf')} for {sender} from {verdict.get('peer')}", domain=domain)
    if sender.rpartition("@")[2] != domain:
        raise CheckFailedError(f"SPF passes for {sender}, which is not under {domain}", domain=domain)


@check("MSG-3")
def test_dkim_signatures_verify(probed_endpoint: Endpoint, observed: Observer) -> None:
    domain = _sender(observed.model)
    found = _received(observed, probed_endpoint).dkim()
    passed = {
        entry.get("algorithm") for entry in found if (entry.get("domain"), entry.get("result")) == (domain.name, "pass")
    }
    wanted = {KINDS[algorithm] for algorithm in domain.dkim.algorithms}
    seen = "; ".join(
        f"{e.get('algorithm')} d={e.get('domain')} s={e.get('selector')}: {e.get('result')}" for e in found
    )
    if missing := wanted - passed:
        raise CheckFailedError(f"no {' and no '.join(sorted(missing))} that passes: {seen or 'no signature at all'}")
    if any(entry.get("result") != "pass" for entry in found):
        raise CheckFailedError(seen)


@check("MSG-4")
def test_dmarc_passes(probed_endpoint: Endpoint, observed: Observer) -> None:
    verdict = _received(observed, probed_endpoint).verdict
    if verdict.get("dmarc") != "pass":
        raise CheckFailedError(f"DMARC {verdict.get('dmarc')}", domain=_sender(observed.model).name)


@check("MSG-5")
def test_signatures_cover_the_headers(probed_endpoint: Endpoint, observed: Observer) -> None:
    fields = _received(observed, probed_endpoint).message.get_all("DKIM-Signature", [])
    if not fields:
        raise CheckFailedError("there is no DKIM-Signature")
    for field in fields:
        tags = _tags(str(field))
        covered = tags.get("h", "").lower().split(":")
        missing = [name for name, times in SIGNED.items() if covered.count(name) < times]
        if missing:
            raise CheckFailedError(
                f"{tags.get('a')} s={tags.get('s')} does not cover {', '.join(missing)} often enough"
            )
        if "l" in tags:
            raise CheckFailedError(f"{tags.get('a')} s={tags.get('s')} covers only a part of the body (l={tags['l']})")


@check("MSG-6")
def test_missing_headers_are_added(probed_endpoint: Endpoint, observed: Observer) -> None:
    message = _received(observed, probed_endpoint).message
    missing = [name for name in ("Date", "Message-ID", "From") if not message.get(name)]
    if missing:
        raise CheckFailedError(f"the message arrived without {' and '.join(missing)}")


@check("MSG-7")
def test_client_stays_private(probed_endpoint: Endpoint, observed: Observer) -> None:
    received = _received(observed, probed_endpoint)
    reveal = observed.model.submission.reveal
    client = ((received.sent.own_address, "address"), (EHLO_NAME, "EHLO name"))
    secrets = (
        *(client if "client" not in reveal else ()),
        *(((AGENT, "software"),) if "user_agent" not in reveal else ()),
    )
    for name, value in received.message.items():
        text = " ".join(str(value).split())
        for secret, what in secrets:
            if re.search(rf"(?<![\w.:]){re.escape(secret)}(?![\w.:]\w)", text):
                raise CheckFailedError(f"{name} tells the client's {what}: {text[:120]}")


@check("MSG-8")
def test_message_travelled_inside_tls(probed_endpoint: Endpoint, observed: Observer, evidence: list[str]) -> None:
    if not _received(observed, probed_endpoint).verdict.get("tls"):
        raise CheckFailedError("the receiver got it in the clear")
    if level := observed.level(probed_endpoint):
        evidence.append(f"{level}: {LEVELS[level]}")


@check("MSG-9")
def test_bcc_is_taken_away(probed_endpoint: Endpoint, observed: Observer) -> None:
    received = _received(observed, probed_endpoint).message
    told = [name for name, value in received.items() if name.lower() == "bcc" or HIDDEN in str(value)]
    if told:
        raise CheckFailedError(f"the message arrived with {', '.join(told)}: everybody sees who got a copy in secret")


@check("MSG-10")
def test_the_host_introduces_itself_by_its_name(probed_endpoint: Endpoint, observed: Observer) -> None:
    verdict = _received(observed, probed_endpoint).verdict
    helo, peer = str(verdict.get("helo", "")).lower(), str(verdict.get("peer", ""))
    host = observed.model.host(probed_endpoint.host)
    if delivered_by_relay(observed.model, host, helo, peer):
        raise NotApplicableError("a relay delivered the message; postseal_routes decides which mail goes directly")
    if helo != host.name:
        raise CheckFailedError(f"HELO was {helo or 'empty'}, not {host.name}")
    if peer not in host.addresses:
        raise CheckFailedError(f"it came from {peer}, which is not among {', '.join(host.addresses)}")


@check("MSG-11")
def test_line_ends_are_those_of_smtp(probed_endpoint: Endpoint, observed: Observer) -> None:
    if seen := stray_line_ends(_received(observed, probed_endpoint).raw):
        raise CheckFailedError(seen)


@check("MSG-12")
def test_the_message_tells_of_tls(probed_endpoint: Endpoint, observed: Observer, evidence: list[str]) -> None:
    fields = (
        " ".join(str(field).split()) for field in _received(observed, probed_endpoint).message.get_all("Received", [])
    )
    own = [field for field in fields if re.search(rf"\bby {re.escape(probed_endpoint.host)}\b", field)]
    evidence += own
    if not own:
        raise CheckFailedError(f"no Received field is by {probed_endpoint.host}")
    if not any(ENCRYPTED.search(field) for field in own):
        raise CheckFailedError(f"Received does not tell of TLS: {own[-1][:120]}")
