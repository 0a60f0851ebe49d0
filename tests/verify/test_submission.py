# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The protocol before and around authentication, as seen from outside."""

from __future__ import annotations

import re

from ansible_collections.postseal.mail.plugins.module_utils.model.types import MailHost
from ansible_collections.postseal.mail.tests.verify.proof.catalogue import check
from ansible_collections.postseal.mail.tests.verify.proof.judge import (
    expect_no_relay,
    expect_one_message,
    listens_to_the_world,
)
from ansible_collections.postseal.mail.tests.verify.proof.manners import MOST_ERRORS
from ansible_collections.postseal.mail.tests.verify.proof.observe import Observer
from ansible_collections.postseal.mail.tests.verify.proof.outcome import (
    CheckFailedError,
    NotApplicableError,
    NotTestedError,
)
from ansible_collections.postseal.mail.tests.verify.proof.targets import Endpoint

# Who submits mail needs none of these; each tells something, or lets a client claim to be somebody else.
NEEDLESS = ("ETRN", "EXPN", "VERB", "DEBUG", "TURN", "XCLIENT", "XFORWARD", "XADR")
TOO_MANY = 452  # RFC 5321 4.5.3.1.10
SOFTWARE = re.compile(r"\b(Postfix|Exim|Sendmail|Microsoft|Exchange|OpenSMTPD|Haraka|Debian|Ubuntu|[0-9]+\.[0-9.]+)\b")


@check("PORT-1")
def test_port_serves_submission(any_endpoint: Endpoint, observed: Observer) -> None:
    if (failure := observed.secured[any_endpoint].failure()) is not None:
        raise CheckFailedError(str(failure))


@check("TLS-REQ-1")
def test_nothing_before_starttls(any_starttls: Endpoint, observed: Observer) -> None:
    seen = observed.cleartext[any_starttls].result()
    if "STARTTLS" not in seen.keywords:
        raise CheckFailedError("EHLO does not offer STARTTLS")
    if "AUTH" in seen.keywords:
        raise CheckFailedError("EHLO offers AUTH before TLS")
    for command, reply in (("AUTH", seen.auth), ("MAIL", seen.mail)):
        if 400 <= reply.code <= 499:
            raise NotTestedError(f"{command} before TLS is answered {reply}")
        # 530 "Must issue a STARTTLS command first" is RFC 3207's answer; AUTH may also not exist yet (503, 538).
        if reply.code != 530 and not (command == "AUTH" and reply.refused):
            raise CheckFailedError(f"{command} before TLS is answered {reply}, not 530")


@check("TLS-REQ-2")
def test_implicit_tls_from_the_first_byte(any_implicit: Endpoint, observed: Observer) -> None:
    answer = observed.plaintext[any_implicit].result()
    if answer[:1].isdigit():
        raise CheckFailedError(f"plain text is answered {answer[:60]!r}")
    observed.secured[any_implicit].result()


@check("TLS-REQ-3")
def test_state_is_discarded_after_starttls(starttls: Endpoint, observed: Observer) -> None:
    reply = observed.secured[starttls].result().before_ehlo
    if reply is None:
        raise NotTestedError("the port has no STARTTLS")
    if not reply.refused:
        raise CheckFailedError(f"AUTH directly after STARTTLS, before a second EHLO, is answered {reply}")


@check("INJ-1")
def test_injected_command_is_not_obeyed(starttls: Endpoint, observed: Observer) -> None:
    reply = observed.injection[starttls].result()
    if reply is not None and not reply.refused:
        raise CheckFailedError(f"an EHLO sent in the clear behind STARTTLS was answered inside TLS: {reply}")


@check("RELAY-1")
def test_no_relaying(endpoint: Endpoint, observed: Observer) -> None:
    expect_no_relay(observed.relay[endpoint].result())


@check("RELAY-2")
def test_no_relaying_after_a_failed_login(endpoint: Endpoint, observed: Observer) -> None:
    expect_no_relay((observed.unknown_user[endpoint].result().after,))


@check("PORT25-1")
def test_port_25_is_no_submission_port(mail_host: MailHost, observed: Observer) -> None:
    try:
        seen = observed.port_25[mail_host.name].result()
    except NotTestedError:
        # A silent port may be closed there or blocked here; the host itself knows whether anything listens.
        if any(
            entry["port"] == 25 and listens_to_the_world(entry) for entry in observed.host_facts(mail_host, "listeners")
        ):
            raise
        return
    if seen.closed:
        return
    if "AUTH" in seen.keywords:
        raise CheckFailedError("port 25 offers AUTH")
    if seen.attempt is not None:
        expect_no_relay((seen.attempt,))


@check("VRFY-1")
def test_vrfy_tells_nothing(endpoint: Endpoint, observed: Observer) -> None:
    known, unknown = observed.secured[endpoint].result().verify
    if known.code in (250, 251) or known.code != unknown.code:
        raise CheckFailedError(f"VRFY postmaster: {known}; VRFY of a name that does not exist: {unknown}")


@check("CMD-1")
def test_no_command_for_strangers(endpoint: Endpoint, observed: Observer) -> None:
    keywords = observed.secured[endpoint].result().keywords
    if offered := [word for word in NEEDLESS if word in keywords]:
        raise CheckFailedError(f"EHLO offers {', '.join(offered)}")


@check("CMD-2")
def test_greeting(endpoint: Endpoint, observed: Observer) -> None:
    seen = observed.secured[endpoint].result()
    for what, line in (("the greeting", seen.greeting), ("EHLO", seen.ehlo)):
        if line.split()[:1] != [endpoint.host]:
            raise CheckFailedError(f"{what} says {line[:80]!r}, which does not begin with {endpoint.host}")
    if told := SOFTWARE.search(seen.greeting.removeprefix(endpoint.host)):
        raise CheckFailedError(f"the greeting tells the software: {told[0]}")


@check("PIPE-1")
def test_no_command_before_its_turn(endpoint: Endpoint, observed: Observer) -> None:
    reply = observed.pipelining[endpoint].result()
    if reply is None or reply.refused:
        return
    if not reply.accepted:
        raise NotTestedError(f"a command sent together with EHLO is answered {reply}")
    raise CheckFailedError(f"a command sent together with EHLO is answered {reply}")


@check("LIM-2")
def test_mistakes_have_an_end(endpoint: Endpoint, observed: Observer, evidence: list[str]) -> None:
    borne = observed.errors[endpoint].result()
    evidence.append(f"{borne} mistakes were answered")
    if borne >= MOST_ERRORS:
        raise CheckFailedError(f"a client may make {borne} mistakes and more on one connection")


@check("LIM-1")
def test_announced_size(endpoint: Endpoint, observed: Observer) -> None:
    expected = str(observed.model.submission.limits.message_size)
    announced = observed.secured[endpoint].result().keywords.get("SIZE")
    if announced != expected:
        raise CheckFailedError(f"EHLO announces SIZE {announced or 'not at all'}, not {expected}", size=expected)


@check("LIM-3")
def test_number_of_recipients(probed_endpoint: Endpoint, observed: Observer, evidence: list[str]) -> None:
    most = observed.model.submission.limits.recipients
    seen = observed.taken[probed_endpoint].result()
    evidence.append(f"{seen.recipients} recipients were accepted, the next is answered {seen.one_more}")
    if seen.recipients < most and not 500 <= seen.one_more.code <= 599 and seen.one_more.code != TOO_MANY:
        raise NotTestedError(evidence[0])
    if seen.recipients != most:
        raise CheckFailedError(f"{evidence[0]}; the inventory says {most}", size=str(most))


@check("LIM-4")
def test_size_is_enforced(probed_endpoint: Endpoint, observed: Observer) -> None:
    size = observed.model.submission.limits.message_size
    reply = observed.taken[probed_endpoint].result().too_large
    what = f"MAIL FROM with SIZE={size + 1} is answered {reply}"
    if reply.accepted:
        raise CheckFailedError(what, size=str(size))
    if not reply.refused:
        raise NotTestedError(what)


@check("LIM-5")
def test_recipients_of_a_period(probed_endpoint: Endpoint, observed: Observer) -> None:
    if probed_endpoint not in observed.beyond:
        raise NotApplicableError("the probe's credential may send to as many recipients as a message may have")
    reply = observed.beyond[probed_endpoint].result()
    if reply.accepted:
        raise CheckFailedError(f"a message to more recipients than the credential's limit is answered {reply}")
    if "reached" not in str(reply):
        raise NotTestedError(f"a message to many recipients is answered {reply}")


@check("SMUG-1")
def test_no_smuggling(probed_endpoint: Endpoint, observed: Observer) -> None:
    for attempt in observed.smuggling[probed_endpoint].result():
        expect_one_message(attempt)
