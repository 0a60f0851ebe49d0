# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""How much a submission port takes: size, recipients of a message, recipients of a period. Over verified TLS only.

Nothing here uses up a limit, and nothing is delivered: a message too many is refused as a whole and not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.postseal.mail.plugins.module_utils.model.types import Credential, Probe, Submission

from .authenticated import own_address, submit_to
from .smtp import Client, Reply, UnavailableError
from .submission import FOREIGN
from .targets import Endpoint
from .tls import session, verifying

BATCH = 50  # commands that are sent before their replies are read (RFC 2920 3.1)


@dataclass(frozen=True)
class Taken:
    """What was taken: the reply to a message announced one octet too large, how many recipients, and the reply to the
    next one.
    """

    too_large: Reply
    recipients: int
    one_more: Reply


def taken(endpoint: Endpoint, credential: Credential, probe: Probe, limits: Submission, ca: str | None) -> Taken:
    """Announce a message that is too large, then name one recipient more than there may be; nothing is sent."""
    with session(endpoint, verifying(ca)) as client:
        _log_in(client, credential, probe)
        own = own_address(credential)
        too_large = client.command(f"MAIL FROM:<{own}> SIZE={limits.limits.message_size + 1}")
        client.command("RSET")
        begun = client.command(f"MAIL FROM:<{own}>")
        if not begun.accepted:
            raise UnavailableError(f"MAIL FROM:<{own}> is answered {begun}")
        number, reply = _name(client, limits.limits.recipients + 1)
        client.command("RSET")
        client.quit()
    return Taken(too_large, number, reply)


def _name(client: Client, most: int) -> tuple[int, Reply]:
    """Name up to ``most`` recipients until one is not accepted; return how many were, and the last reply."""
    accepted = 0
    while True:
        batch = range(accepted, min(accepted + BATCH, most))
        client.send(b"".join(f"RCPT TO:<postseal-many-{n}@{FOREIGN}>\r\n".encode() for n in batch))
        replies = [client.reply() for _ in batch]
        for reply in replies:
            if not reply.accepted:
                return accepted, reply
            accepted += 1
        if accepted == most:
            return accepted, replies[-1]


def recipients_of_a_period(credential: Credential, most: int) -> int | None:
    """Return how many recipients ``credential`` may reach in some period, if one message may have more."""
    counts = [quota.count for quota in credential.rate.recipients if quota.count < most]
    return min(counts, default=None)


def beyond(endpoint: Endpoint, credential: Credential, probe: Probe, number: int, ca: str | None) -> Reply:
    """Hand over one message to ``number`` recipients, all of them the probe's own mailbox; return the reply to it."""
    own = own_address(credential)
    lines = (
        f"From: {own}",
        f"To: {probe.recipient}",
        "Subject: Postseal: too many recipients, must be refused",
        "",
        "",
    )
    with session(endpoint, verifying(ca)) as client:
        _log_in(client, credential, probe)
        reply = submit_to(client, own, [probe.recipient] * number, "\r\n".join(lines).encode())
        client.quit()
    return reply


def _log_in(client: Client, credential: Credential, probe: Probe) -> None:
    auth = client.authenticate(credential.login, probe.secret.reveal())
    if auth.code != 235:
        raise UnavailableError(f"the probe credential is answered {auth}")
