# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ask mail servers whether they take mail for addresses, without sending any. Standard library, Python 3.9.

A message is begun with the empty sender, as a bounce is, and given up before its content (RFC 5321 4.1.4, 4.5.5).
Whatever a server does, talking to it costs no more than ``LONGEST`` seconds and 64 KiB (:mod:`.conversation`).
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .conversation import Conversation, connect

PORT = 25
LONGEST = 15.0  # for the servers of a domain, all in all
AT_ONCE = 8


def ask(groups: list[dict[str, Any]], hello: str, port: int = PORT) -> list[list[str]]:
    """Return for each group the answer to each of its ``recipients``, like ``250 2.1.5 Ok``.

    A group is ``{"hosts", "recipients"}``: the servers in the order in which senders try them. An answer is empty where
    none of them could be asked. ``hello`` is the name that this host greets with.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda group: _group(group["hosts"], group["recipients"], hello, port), groups))


def _group(hosts: list[str], recipients: list[str], hello: str, port: int) -> list[str]:
    found = [""] * len(recipients)
    end = time.monotonic() + LONGEST
    for host in hosts:
        try:
            # ValueError: a name that is none.
            for number, answer in enumerate(_answers(host, recipients, hello, port, end)):
                found[number] = answer
        except (OSError, ValueError):
            pass  # as a sender would go on to the next one
        if any(found) or time.monotonic() > end:
            break
    return found


def _answers(host: str, recipients: list[str], hello: str, port: int, end: float) -> Iterator[str]:
    session = Conversation(connect(host, port, end), end)
    try:
        code, _ = session.reply()
        if code != 220:  # noqa: PLR2004  # RFC 5321 4.3.2
            return
        session.ask(f"EHLO {hello}")
        if re.search(rb"^250[- ]STARTTLS\s", session.said, re.M) and session.ask("STARTTLS")[0] == 220:  # noqa: PLR2004
            # As opportunistic TLS does: whose certificate it is is for another check.
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            session.secure(context)
            session.ask(f"EHLO {hello}")
        code, text = session.ask("MAIL FROM:<>")
        for recipient in recipients:
            if code == 250:  # noqa: PLR2004
                yield _said(*session.ask(f"RCPT TO:<{recipient}>"))
            else:
                yield _said(code, text)
        session.ask("QUIT")
    finally:
        session.close()


def _said(code: int, text: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return f"{code} {shown}"[:300]
