# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""How a submission port treats clients without manners: commands before their turn, nothing but mistakes."""

from __future__ import annotations

from .smtp import EHLO_NAME, Client, Closed, Reply, UnavailableError
from .targets import Endpoint
from .tls import session, trusting

# Postfix's own limit (postconf(5), smtpd_hard_error_limit); who bears more, bears anything.
MOST_ERRORS = 21


def pipelining(endpoint: Endpoint) -> Reply | None:
    """Send a command together with EHLO, which must end a group (RFC 2920 3.1); return the reply to the former.

    ``None`` if the server breaks the connection off, as it should: it then has answered EHLO with a refusal.
    """
    with session(endpoint, trusting()) as client:
        client.send(f"EHLO {EHLO_NAME}\r\nRSET\r\n".encode())
        try:
            first = client.reply()
            return first if first.refused else client.reply()
        except Closed:
            return None


def errors_borne(endpoint: Endpoint) -> int:
    """Send commands that do not exist; return how many were answered before the server had enough."""
    with session(endpoint, trusting()) as client:
        for sent in range(MOST_ERRORS):
            try:
                reply = client.command("XMISTAKE")
            except Closed:
                return sent
            except UnavailableError:
                # 421 is how a server takes its leave; a time-out is no answer to anything.
                if _gone(client):
                    return sent
                raise
            if not reply.refused:
                raise UnavailableError(f"a command that does not exist is answered {reply}")
    return MOST_ERRORS


def _gone(client: Client) -> bool:
    try:
        client.receive(2.0)
    except Closed:
        return True
    except UnavailableError:
        return False
    return False
