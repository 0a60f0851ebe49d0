# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Probes with the probe's own credential, sent only inside verified TLS: whose name may it use, what can be smuggled.

Nothing here is delivered: every message carries a From that must be refused after DATA.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.postseal.mail.plugins.module_utils.model.types import Credential, Secret

from .smtp import Client, Closed, Reply, UnavailableError
from .submission import ERRORS_PER_CONNECTION, FOREIGN, Attempt, attempt
from .targets import Endpoint
from .tls import session, verifying


def own_address(credential: Credential) -> str:
    """Return an address that ``credential`` may use; for a whole domain, one made up in it."""
    sender = credential.senders[0]
    return f"postseal-probe{sender}" if sender.startswith("@") else sender


def forged_addresses(credential: Credential) -> tuple[str, ...]:
    """Return addresses ``credential`` must not use: a neighbour's unless the domain is all its own, a stranger's."""
    neighbour = f"postseal-forged@{credential.domain}"
    allowed = neighbour in credential.senders or f"@{credential.domain}" in credential.senders
    return (f"postseal-forged@{FOREIGN}",) if allowed else (neighbour, f"postseal-forged@{FOREIGN}")


@dataclass(frozen=True)
class Login:
    """An authenticated session: the reply to AUTH, forged envelopes, forged headers (address, reply to the message)."""

    auth: Reply
    envelopes: tuple[Attempt, ...]
    headers: tuple[tuple[str, Reply], ...]


def login(endpoint: Endpoint, credential: Credential, secret: Secret, recipient: str, ca: str | None) -> Login:
    """Authenticate over verified TLS and try to send in somebody else's name, first in the envelope, then in From."""
    own = own_address(credential)
    with session(endpoint, verifying(ca)) as client:
        auth = client.authenticate(credential.login, secret.reveal())
        if auth.code != 235:
            client.quit()
            return Login(auth, (), ())
        forged = forged_addresses(credential)
        envelopes = tuple(attempt(client, address, recipient) for address in forged)
        headers = []
        for lines in (*((f"From: {address}",) for address in forged), *_disguises(own, forged[0])):
            message = [*lines, f"To: {recipient}", "Subject: forged, must be refused", "", "forged"]
            headers.append(("; ".join(lines), submit(client, own, recipient, "\r\n".join(message).encode())))
        client.quit()
    return Login(auth, envelopes, tuple(headers))


def _disguises(own: str, forged: str) -> tuple[tuple[str, ...], ...]:
    """Return header lines by which a message shows ``forged`` although ``own`` is in them (RFC 5322 3.6.2)."""
    return (
        (f"From: {own}", f"From: {forged}"),
        (f"From: {own}, {forged}", f"Sender: {own}"),
        (f'From: "{forged}" <{own}>',),
        (f"From: {own}", f"Sender: {forged}"),
    )


def submit(client: Client, sender: str, recipient: str, message: bytes) -> Reply:
    """Hand over one message to one recipient as :func:`submit_to` does."""
    return submit_to(client, sender, [recipient], message)


def submit_to(client: Client, sender: str, recipients: Iterable[str], message: bytes) -> Reply:
    """Hand over one message on an authenticated session and return the reply that decided it.

    ``message`` has CRLF line ends and no line that begins with a dot.
    """
    for command in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{recipient}>" for recipient in recipients)):
        reply = client.command(command)
        if not reply.accepted:
            client.command("RSET")
            return reply
    reply = client.command("DATA")
    if reply.code != 354:
        client.command("RSET")
        return reply
    client.send(message + b"\r\n.\r\n")
    return client.reply()


# Ends of data that some servers take for <CRLF>.<CRLF> (CVE-2023-51764 and the talk "SMTP Smuggling", 2023).
ENDS_OF_DATA = (b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\n.\r", b"\r.\n", b"\r\n\0.\r\n")


@dataclass(frozen=True)
class Smuggling:
    """What a server said to one false end of data: the reply to the message, then the reply to a NOOP sent after it.

    A NOOP answered with 250 shows that everything before was taken as one message. ``after`` is ``None`` if the server
    closed the connection, which some do on a bare line feed.
    """

    end: bytes
    message: Reply
    after: Reply | None


def smuggling(
    endpoint: Endpoint, credential: Credential, secret: Secret, recipient: str, ca: str | None
) -> tuple[Smuggling, ...]:
    """Send each false end of data with a command behind it, in a message whose forged From is refused anyway."""
    found: list[Smuggling] = []
    while len(found) < len(ENDS_OF_DATA):
        limit = min(len(ENDS_OF_DATA), len(found) + ERRORS_PER_CONNECTION)
        with session(endpoint, verifying(ca)) as client:
            auth = client.authenticate(credential.login, secret.reveal())
            if auth.code != 235:
                raise UnavailableError(f"the probe credential is answered {auth}")
            while len(found) < limit:
                found.append(_smuggle(client, ENDS_OF_DATA[len(found)], own_address(credential), recipient))
                if found[-1].after is None or found[-1].after.code != 250:
                    break
            else:
                client.quit()
    return tuple(found)


def _smuggle(client: Client, end: bytes, sender: str, recipient: str) -> Smuggling:
    for command, code in ((f"MAIL FROM:<{sender}>", 250), (f"RCPT TO:<{recipient}>", 250), ("DATA", 354)):
        reply = client.command(command)
        if reply.code != code:
            raise UnavailableError(f"{command.partition(' ')[0]} is answered {reply}")
    message = f"From: postseal-forged@{FOREIGN}\r\nTo: {recipient}\r\nSubject: forged, must be refused\r\n\r\nbefore"
    client.send(message.encode() + end + b"XSMUGGLED\r\n.\r\n")
    answer = client.reply()
    try:
        return Smuggling(end, answer, client.command("NOOP"))
    except Closed:
        return Smuggling(end, answer, None)
