# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Who may write as whom, seen from the address."""

from __future__ import annotations

from collections.abc import Iterable

from .types import Credential


def logins_by_sender(credentials: Iterable[Credential]) -> list[tuple[str, tuple[str, ...]]]:
    """Return each sender (an address or ``@domain``) with the logins that may use it, both in alphabetical order.

    An address also carries the logins of its whole domain, since a reader that finds the address looks no further
    (postconf(5), smtpd_sender_login_maps).
    """
    table: dict[str, set[str]] = {}
    for credential in credentials:
        for sender in credential.senders:
            table.setdefault(sender, set()).add(credential.login)
    return [
        (sender, tuple(sorted(logins | table.get(sender[sender.rfind("@") :], set()))))
        for sender, logins in sorted(table.items())
    ]
