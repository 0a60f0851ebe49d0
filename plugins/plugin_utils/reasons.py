# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Why a message is not delivered yet, or came back: what Postfix quotes or says itself, in plain words."""

from __future__ import annotations

import re

from .replies import explain
from .status_codes import explain_status

# smtp(8): "host NAME[ADDRESS] said: 450 4.2.0 TEXT (in reply to RCPT TO command)", "refused to talk to me: 554 TEXT".
_REPLY = re.compile(r"(?:\bsaid: |\brefused to talk to me: |^)([2-5]\d\d)(?:[ -]([245]\.\d{1,3}\.\d{1,3})\b)?")
# What Postfix says itself, where no server said anything: smtp(8), qmgr(8), tlsproxy(8), trivial-rewrite(8).
_OWN = tuple(
    (re.compile(pattern, re.IGNORECASE), meaning)
    for pattern, meaning in (
        (r"administratively expired", "it was given up by hand"),
        (r"delivery temporarily suspended", "Postfix leaves this server alone for some minutes: see what failed"),
        (r"connection refused", "nothing listens at the server's port, or a firewall refuses on the way"),
        (r"connection timed out|timed out while (?:receiving|sending|performing)|conversation with .* timed out",
         "the server does not answer; where it is so for all servers, the provider of this host blocks port 25"),
        (r"network is unreachable|no route to host", "this host has no way to the server's address"),
        (r"lost connection", "the server hung up"),
        (r"authentication failed|no mechanism available|SASL", "the relay does not let this host log in"),
        (r"certificate (?:verification failed|not (?:trusted|verified))|not verified|untrusted issuer",
         "the server's certificate is not valid for its name; nothing was sent"),
        (r"TLSA|DANE",
         "the server is not as the domain says it must be (DANE), or that cannot be looked up; nothing was sent"),
        (r"TLS is required, but was not offered", "the server offers no TLS, which is demanded; nothing was sent"),
        (r"TLS (?:handshake|connection)|cannot start TLS", "the two servers cannot agree on TLS"),
        (r"does not accept mail|nullMX", "the domain says that it takes no mail"),
        (r"host (?:or domain name )?not found.*try again|name service error.*try again",
         "the name server that knows the domain does not answer at the moment"),
        (r"host (?:or domain name )?not found|domain .* does not exist|name service error",
         "the domain, or the server it names, does not exist"),
        (r"loops back to myself", "the recipient's domain leads back to this host"),
        (r"mail transport unavailable|unknown mail transport",
         "the way it was to take is out of order, or not in postseal_routes any more: then requeue it"),
        (r"too many hops", "the message goes in a circle"),
        (r"queue file|file too (?:large|big)|insufficient", "this host has no room"),
    )
)  # fmt: skip


def explain_reason(reason: str, status: str = "") -> str:
    """Return what a reason means; empty where nothing is known of it.

    :param reason: ``delay_reason`` of postqueue(1), or what a line of the log has in parentheses
    :param status: the enhanced status code beside it (``dsn=``), if there is one
    """
    said = _REPLY.search(reason)
    if said:
        detail = explain_status(said[2] or "")
        return f"{explain(int(said[1]))}; {said[2]}: {detail}" if detail else explain(int(said[1]))
    own = next((meaning for pattern, meaning in _OWN if pattern.search(reason)), "")
    return own or explain_status(status)
