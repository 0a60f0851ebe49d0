#!/usr/bin/python3
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
# The engines are installed on the receiver, not where this file is checked.
# mypy: disable-error-code="import-not-found"
"""A foreign mail server: accepts every message, judges SPF, DKIM and DMARC, and keeps what it got.

The engines are pyspf and dkimpy, which the product does not use; DNS is asked anew for each message. A message becomes
two files in /srv/mail: NAME.eml, the bytes as received, and after it NAME.json, the verdict (see judge.Verdict). Both
appear complete or not at all.

Policy: a message whose DMARC fails where the domain says p=reject is kept (`"accepted": false`) and refused with 550.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import ssl
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import Envelope as Said
from aiosmtpd.smtp import Session as Talk
from judge import NAME, Envelope, Verdict, judge

MAILBOX = Path("/srv/mail")
CERTIFICATE, KEY = "/etc/lab/receiver.crt", "/etc/lab/receiver.key"
LARGEST = 64 * 1024 * 1024


def keep(name: str, envelope: Envelope, raw: bytes) -> bool:
    """Judge and store a message; whether it is accepted. Runs in a process of the pool."""
    verdict: Verdict = judge(envelope, raw)
    document = {
        "from": envelope.sender,
        "to": envelope.recipients,
        "helo": envelope.helo,
        "peer": envelope.peer,
        "tls": envelope.tls,
        **asdict(verdict),
    }
    store(MAILBOX / f"{name}.eml", raw)
    store(MAILBOX / f"{name}.json", json.dumps(document, indent=2).encode() + b"\n")
    return bool(verdict.accepted)


def store(path: Path, content: bytes) -> None:
    """Make a file appear with all its content."""
    partial = path.with_name(f".{path.name}")
    partial.write_bytes(content)
    partial.rename(path)


class Handler:
    """aiosmtpd's hooks: what happens when a message is complete."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self.pool = pool
        self.numbers = itertools.count(1)

    async def handle_DATA(self, server: SMTP, session: Talk, said: Said) -> str:  # noqa: N802
        """Judge before answering: when the client has its 250, the files are there."""
        tls = server.transport.get_extra_info("ssl_object")
        envelope = Envelope(
            sender=said.mail_from or "",
            recipients=list(said.rcpt_tos),
            helo=session.host_name or "",
            peer=session.peer[0].removeprefix("::ffff:"),
            tls=None if tls is None else tls.version(),
        )
        name = f"{time.time_ns()}-{next(self.numbers)}"
        raw = said.original_content
        try:
            accepted = await asyncio.get_running_loop().run_in_executor(self.pool, keep, name, envelope, raw)
        except Exception as error:  # the client has to keep the message, whatever went wrong here
            print(f"{name}: {error!r}", flush=True)
            return "451 4.3.0 cannot judge this message now"
        print(f"{name}: {envelope.peer} <{envelope.sender}> {'kept' if accepted else 'refused'}", flush=True)
        return f"250 2.0.0 kept as {name}" if accepted else "550 5.7.1 refused by the author domain's DMARC policy"


async def serve() -> None:
    """Listen on port 25 of every address, for ever."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE, KEY)
    pool = ProcessPoolExecutor(os.cpu_count())
    handler = Handler(pool)
    loop = asyncio.get_running_loop()

    def session() -> SMTP:
        return SMTP(
            handler, hostname=NAME, ident="ESMTP lab receiver", tls_context=context, data_size_limit=LARGEST,
            enable_SMTPUTF8=True, loop=loop,
        )  # fmt: skip

    servers = [
        await loop.create_server(session, host, 25, reuse_address=True, backlog=1024)
        for host in ("0.0.0.0", "::")  # noqa: S104
    ]
    print("listening on port 25", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(serve())
