# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""SMTP reply codes in plain words: what the server means, and whether to try again (RFC 5321 4.2, RFC 4954 6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

CODES = {
    220: "the server is ready",
    235: "the login is accepted",
    250: "yes, done",
    334: "the server waits for the rest of the login",
    354: "the server waits for the message",
    421: "the server is closing: too busy, restarting, or too many connections or errors from here; try again later",
    450: "not now: the mailbox is busy, or the sender is asked to come back (greylisting); try again in some minutes",
    451: "not now: the server has a problem of its own, or a limit is reached; try again later",
    452: "not now: the server has no room, or the message has too many recipients at once; try again later",
    454: "not now: the password check or TLS is out of order on the server; try again, and look at its log",
    500: "the server does not know this command",
    501: "the command or an address in it is malformed; correct the address",
    502: "the server knows this command and does not do it",
    503: "the commands came in an order that the server does not accept",
    504: "the server does not know this way to log in",
    530: "first TLS, then a login: the server does nothing before",
    534: "this way to log in is too weak for the server",
    535: "the login is refused: name or password is wrong, or the credential is revoked or not allowed from here",
    538: "this way to log in needs TLS first",
    550: "refused for good: the mailbox does not exist, or the receiver's policy does not take this mail",
    551: "the recipient is not here, and the server does not forward",
    552: "refused for good: the message is too large, or the mailbox is full",
    553: "this address is not allowed: as a sender it belongs to another credential, or it is malformed",
    554: "refused for good: the message is taken for spam, or a policy forbids it; the text behind the code says which",
    555: "the server does not know a parameter of MAIL or RCPT",
}
CLASSES = {
    2: "yes",
    3: "the server waits for more",
    4: "not now; try again later",
    5: "refused for good; the same again gets the same answer",
}
# A reply within a sentence: what was asked, a colon or "answered", the code, and the enhanced code or a text.
_SEEN = re.compile(r"(?:(?:answered|answers|greeting is|:) |\()([2-5]\d\d)(?=[ -][A-Za-z0-9<])")


def explain(code: int) -> str:
    """Return what a reply code means; for an unknown one what its first digit says."""
    return CODES.get(code) or CLASSES.get(code // 100, "no SMTP reply")


def seen(text: str) -> tuple[tuple[int, str], ...]:
    """Return the reply codes that a piece of evidence quotes, each once, with what they mean."""
    return tuple((code, explain(code)) for code in dict.fromkeys(int(found) for found in _SEEN.findall(text)))


@dataclass(frozen=True)
class Delivery:
    """One attempt to deliver as Postfix logs it: to whom, to which server, how it ended, and what the server said."""

    recipient: str
    relay: str
    status: str
    answer: str


# postfix/smtp(8): "ID: to=<x>, relay=host[address]:port, delay=..., dsn=2.0.0, status=sent (250 2.0.0 Ok)".
# What a server said stands behind all this, and cannot pose as it.
_DELIVERY = re.compile(
    r"(\w+): to=<([^>]*)>, (?:orig_to=<[^>]*>, )?relay=([^,\s]+), (?:\w+=[\w./]+, )*status=(\w+) \((.*)\)$"
)
_SAID = re.compile(r"(?:said: |^)([2-5]\d\d)[ -]")
# postfix/smtp(8) with smtp_tls_loglevel = 1.
_LEVEL = re.compile(r"(Verified|Trusted|Untrusted|Anonymous) TLS connection established to (\S+\]:\d+)")
# A line of journalctl(1), with or without what stands before the message.
_LINE = re.compile(r"(?:.*? postfix/[^\s\[]+\[(\d+)\]: )?(.*)")
LEVELS = {
    "Verified": "the server is the one that DANE, MTA-STS or the inventory names",
    "Trusted": "the certificate is from a known authority; for which name was not asked",
    "Untrusted": "encrypted; who the server is was not asked",
    "Anonymous": "encrypted; the server showed no certificate",
}
_ENDS = {
    "sent": "delivered",
    "deferred": "not yet; Postfix tries again by itself for some days",
    "bounced": "refused for good; the sender gets a message that says so",
    "expired": "given up; the sender gets a message that says so",
    "undeliverable": "would not be accepted",
    "deliverable": "would be accepted",
}


def level(log: str, queue_id: str) -> str:
    """Return by which level of TLS a message left, as Postfix names it; nothing where the log does not tell.

    ``log`` is as journalctl(1) has it with ``--output=short``.
    """
    left = ""
    for name, delivery, word in _secured(log):
        if name == queue_id and delivery.status == "sent":
            left = word
    return left


def _secured(log: str) -> Iterator[tuple[str, Delivery, str]]:
    """Yield every attempt to deliver: the queue ID, what came of it, and the level of TLS of its connection, if any.

    A connection has a line of its own, which holds until the same process has the next one to the same server. Of a
    session that one process left to another (scache(8)) only the server is known.
    """
    levels: dict[tuple[str, str], str] = {}
    for line in log.splitlines():
        parts = _LINE.fullmatch(line)
        process, message = (parts[1] or "", parts[2]) if parts else ("", line)
        if found := _LEVEL.match(message):
            levels[process, found[2]] = levels["", found[2]] = found[1]
        elif attempt := _DELIVERY.match(message):
            name, *about = attempt.groups()
            yield name, Delivery(*about), levels.get((process, about[1])) or levels.get(("", about[1]), "")


def explain_deliveries(log: str) -> list[str]:
    """Return for each attempt in lines of Postfix's log what became of it, in plain words."""
    lines = []
    for _, attempt, word in _secured(log):
        code = _SAID.search(attempt.answer)
        meaning = f" ({explain(int(code[1]))})" if code else ""
        end = _ENDS.get(attempt.status, attempt.status)
        server = "no server was reached" if attempt.relay == "none" else attempt.relay
        tls = f" TLS: {word} ({LEVELS[word]})." if word else ""
        lines.append(f"{attempt.recipient}, {server}: {attempt.answer}{meaning}. {end[0].upper()}{end[1:]}.{tls}")
    return lines
