# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A test message to an address of the operator's choice: every command with its answer, and what a mailbox tells."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from secrets import token_hex

from ansible_collections.postseal.mail.plugins.module_utils.model.types import Model, Probe
from ansible_collections.postseal.mail.plugins.plugin_utils.replies import explain, seen

from .authenticated import own_address
from .mailbox import Received, Sent, wait_for
from .smtp import Client, Reply, UnavailableError
from .targets import Endpoint, endpoints
from .tls import session, verifying

QUEUED = re.compile(r"queued as ([A-Za-z0-9]+)")
_FOLDED = re.compile(r"\s+")


@dataclass
class Attempt:
    """What happened: a line for each step, the server's last reply, the message's token."""

    token: str
    lines: list[str] = field(default_factory=list)
    sent: Sent | None = None

    @property
    def accepted(self) -> bool:
        """Whether the mail host took the message."""
        return self.sent is not None and self.sent.reply.accepted

    @property
    def queue_id(self) -> str:
        """The name of the message in Postfix's queue and log; empty if the host did not say it."""
        found = QUEUED.search(" ".join(self.sent.reply.lines)) if self.sent else None
        return found[1] if found else ""


def choose(model: Model, host: str | None, port: int | None) -> Endpoint:
    """Return the port to send through, by default the first host's; raises :class:`UnavailableError`."""
    if model.probe is None:
        raise UnavailableError("postseal_probe is not set: it says which credential sends, and its password")
    found = [one for one in endpoints(model) if host in (None, one.host) and port in (None, one.port)]
    if not found:
        known = sorted({f"{one.host} {one.port}" for one in endpoints(model)})
        raise UnavailableError(f"there is no port {port or ''} of {host or 'any host'}; there are: {', '.join(known)}")
    return found[0]


def attempt(model: Model, probe: Probe, endpoint: Endpoint, recipient: str) -> Attempt:
    """Hand a message to ``recipient`` over at ``endpoint``; it is told, not raised, where that ends early."""
    credential = model.credential(probe.credential)
    sender = own_address(credential)
    done = Attempt(token_hex(12))
    say = done.lines.append
    say(f"to {endpoint} as {endpoint.name}, login {credential.login}")
    try:
        with session(endpoint, verifying(model.tls.ca)) as client:
            say(f"TLS with a valid certificate for {endpoint.name}")
            steps = (
                ("AUTH PLAIN", lambda: client.authenticate(credential.login, probe.secret.reveal())),
                (f"MAIL FROM:<{sender}>", lambda: client.command(f"MAIL FROM:<{sender}>")),
                (f"RCPT TO:<{recipient}>", lambda: client.command(f"RCPT TO:<{recipient}>")),
                ("DATA", lambda: client.command("DATA")),
                ("the message", lambda: _message(client, sender, recipient, done.token)),
            )
            for what, step in steps:
                reply = step()
                say(f"{what}: {reply} ({explain(reply.code)})")
                done.sent = Sent(done.token, client.own_address, reply)
                if reply.code >= 400:
                    break
            client.quit()
    except UnavailableError as error:
        # A connection that breaks says nothing about the message; the last answer must not look like its end.
        done.sent = None
        said = "; ".join(f"{code}: {meaning}" for code, meaning in seen(str(error)))
        say(f"{error}{f' ({said})' if said else ''}")
    return done


def _message(client: Client, sender: str, recipient: str, token: str) -> Reply:
    lines = (
        f"From: {sender}",
        f"To: {recipient}",
        f"Subject: Test message {token}",
        f"Date: {formatdate()}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        "This message was sent to see whether mail from here arrives, and what becomes of it on the way.",
        "Its header Authentication-Results says what the receiving server thinks of it.",
    )
    client.send("\r\n".join(lines).encode() + b"\r\n.\r\n")
    return client.reply()


def arrival(done: Attempt, probe: Probe, recipient: str, since: float, seconds: float) -> list[str]:
    """Return what the mailbox tells of the message if it can be read from here, else where to look; one line each.

    ``since`` is a time of the epoch before which nothing can have arrived.
    """
    if done.sent is None:
        return []
    if recipient.lower() != probe.recipient.lower():
        return [
            f"the mailbox of {recipient} cannot be read from here: look at Authentication-Results in the message there"
        ]
    try:
        received = wait_for(done.sent, Path(probe.mailbox), since, seconds)
    except UnavailableError as error:
        return [str(error)]
    return _told(received) if received else [f"it did not arrive in {probe.mailbox} within {seconds:.0f} s"]


def _told(received: Received) -> list[str]:
    verdict = received.verdict
    lines = [
        f"arrived from {verdict.get('helo')} [{verdict.get('peer')}], {verdict.get('tls') or 'without TLS'}",
        f"SPF {verdict.get('spf')} for {verdict.get('from')}, DMARC {verdict.get('dmarc')}",
    ]
    lines += [
        f"DKIM {one.get('result')}: {one.get('algorithm')} {one.get('selector')}._domainkey.{one.get('domain')}"
        for one in received.dkim()
    ]
    results = received.message.get_all("Authentication-Results") or []
    return [*lines, *(f"Authentication-Results: {_FOLDED.sub(' ', str(text))}" for text in results)]
