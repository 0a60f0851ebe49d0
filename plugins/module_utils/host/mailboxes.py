# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ask mail servers whether they take mail for addresses, without sending any. Standard library, Python 3.9.

A message is begun with the empty sender, as a bounce is, and given up before its content (RFC 5321 4.1.4, 4.5.5).
"""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PORT = 25
SECONDS = 8.0  # for each answer
LONGEST = 16.0  # for a server, all in all
AT_ONCE = 8
OK = 250  # RFC 5321 4.2.3


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
        if time.monotonic() > end:
            break
        try:
            for number, answer in enumerate(_session(host, recipients, hello, port, end)):
                found[number] = answer
        except (OSError, smtplib.SMTPException):
            pass  # as a sender would go on to the next one
        if any(found):
            break
    return found


def _session(host: str, recipients: list[str], hello: str, port: int, end: float) -> Iterator[str]:
    with smtplib.SMTP(host, port, hello, timeout=SECONDS) as client:
        client.ehlo_or_helo_if_needed()
        if client.has_extn("starttls"):
            # As opportunistic TLS is: nothing secret is said, and whose certificate it is is for another check.
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            client.starttls(context=context)
            client.ehlo()
        code, text = client.mail("")
        for recipient in recipients:
            if time.monotonic() > end:
                return
            if code == OK:
                yield _said(*client.rcpt(recipient))
            else:
                yield _said(code, text)


def _said(code: int, text: bytes) -> str:
    return f"{code} {text.decode('utf-8', 'replace')}".replace("\n", " ")[:300]
