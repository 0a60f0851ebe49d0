# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Judgements that several checks share: pure functions from what was observed to nothing, or to a raised outcome."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from ansible_collections.postseal.mail.plugins.module_utils.dkim.lifecycle import next_step
from ansible_collections.postseal.mail.plugins.module_utils.dkim.states import SIGNING, UNDER_WAY, Lifecycle
from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value, text
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import spf
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Domain

from .authenticated import Smuggling
from .names import Answer
from .outcome import CheckFailedError, NotTestedError
from .submission import Attempt


def expect_no_relay(attempts: Iterable[Attempt]) -> None:
    """Pass if every attempt was refused for good; a temporary refusal (4xx) leaves the question open."""
    open_questions = []
    for attempt in attempts:
        what = f"MAIL FROM:<{attempt.sender}> RCPT TO:<{attempt.recipient}>"
        if attempt.reply.accepted:
            raise CheckFailedError(f"{what} is accepted: {attempt.reply}")
        if not attempt.reply.refused:
            open_questions.append(f"{what} is answered {attempt.reply}")
    if open_questions:
        raise NotTestedError(open_questions[0])


def expect_one_message(attempt: Smuggling) -> None:
    """Pass if nothing after the false end of data was taken for a command or a second message."""
    if 400 <= attempt.message.code <= 499:
        raise NotTestedError(f"the message is answered {attempt.message}")
    if attempt.after is None and not attempt.message.refused:
        raise NotTestedError(f"the server closed the connection after {attempt.message}")
    if attempt.after is not None and attempt.after.code != 250:
        raise CheckFailedError(
            f"{attempt.end!r} ends a message: what follows it is answered {attempt.after}, as if it were a command"
        )


def overdue(known: Lifecycle, domain: Domain, now: datetime) -> list[str]:
    """Return one line for each key of ``domain`` that should have a successor by now, and none is under way."""
    under_way = {key.algorithm for key in known.of(domain.name, *UNDER_WAY)}
    lines = []
    for key in known.of(domain.name, SIGNING):
        _, due = next_step(key, domain)
        if due is not None and due < now and key.algorithm not in under_way:
            lines.append(f"{key.selector} signs since {key.since:%Y-%m-%d}; it was due for a change on {due:%Y-%m-%d}")
    return lines


def listens_to_the_world(listener: dict[str, Any]) -> bool:
    """Whether a listening socket (shape: :func:`host.survey.collect`) can be reached from other machines."""
    address = str(listener["address"]).strip("[]").partition("%")[0]
    return address == "*" or not ip_address(address).is_loopback


def expect_claim(claim: Claim, answers: Iterable[Answer], others: Collection[Value] = ()) -> None:
    """Pass if every authoritative server serves what ``claim`` asks for, and no rival.

    A rival is a second value where there is room for one, and elsewhere a value in the claim's slot that is neither its
    own nor one of ``others``, those of the other claims on the slot.
    """
    silent = []
    for answer in answers:
        where = f"{answer.server.name} ({answer.server.address})"
        record = f"{claim.name}. {claim.type} {text(claim.value)}"
        if answer.failure:
            silent.append(f"{where} {answer.failure}")
            continue
        held = [value for value in answer.values if claim.slot.holds(value)]
        if claim.slot.single and len(held) > 1:
            raise CheckFailedError(
                f"{where} has {len(held)} {claim.slot.label} records at {claim.name}: {', '.join(map(text, held))}",
                record=record,
            )
        if not any(_serves(claim, value) for value in held):
            found = ", ".join(map(text, held)) or "nothing"
            raise CheckFailedError(f"{where} has {found} at {claim.name} {claim.type}", record=record)
        wanted = dict.fromkeys((claim.value, *others))
        rivals = [value for value in held if not claim.slot.single and value not in wanted]
        if rivals:
            raise CheckFailedError(
                f"{where} also has {', '.join(map(text, rivals))} at {claim.name} {claim.type}",
                record=f"{claim.name}. {claim.type} {', '.join(map(text, wanted))}, and nothing beside it",
            )
        if claim.requires_dnssec and not answer.signed:
            raise CheckFailedError(f"{where} serves {claim.name} {claim.type} without a signature", record=record)
    if silent:
        raise NotTestedError("; ".join(silent))


def _serves(claim: Claim, value: Value) -> bool:
    """Whether ``value`` says what ``claim`` asks for; a merged record may say more, but not less strictly."""
    if value == claim.value:
        return True
    if claim.slot.merge is None or not isinstance(value, bytes) or not isinstance(claim.value, bytes):
        return False
    try:
        asked, found = spf.parse(claim.value), spf.parse(value)
    except ValueError:
        return False
    return set(asked.mechanisms) <= set(found.mechanisms) and found.all == asked.all
