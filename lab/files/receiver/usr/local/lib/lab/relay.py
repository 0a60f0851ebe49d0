#!/usr/bin/python3
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
# The engine is installed on the receiver, not where this file is checked.
# mypy: disable-error-code="import-not-found"
"""A smarthost: takes mail over TLS from who logs in, on 587 (STARTTLS) and 465, and delivers it to the receiver.

usage: relay.py NAME

/etc/lab/NAME.json has its addresses and logins; /run/lab/NAME.json, read at the start as well, can spoil it:

- `logins`: others than those that its customers have (they get 535)
- `certificate`: another file than /etc/lab/NAME.crt
- `starttls`: false takes STARTTLS away and offers AUTH in clear, as somebody in between would
- `auth`: false takes AUTH away, and MAIL is answered 530
- `mail`: a reply to every MAIL, such as "421 4.3.2 try later"; with `after`, so many seconds later

Recipients whose local part is `refused` get 550. What it delivers has a Received header with the login and the TLS
version; whoever says AUTH or MAIL in clear is named in the journal.
"""

from __future__ import annotations

import asyncio
import json
import smtplib
import ssl
import sys
from functools import partial
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

RECEIVER = "receiver.receiver.test"
REFUSED = "refused@"
IMPLICIT = 465


class Handler:
    """aiosmtpd's hooks for one smarthost."""

    def __init__(self, name: str, said: dict[str, Any]) -> None:
        self.name, self.said = f"{name}.{RECEIVER.partition('.')[2]}", said

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Offer what there is, without AUTH where this smarthost is spoilt so."""
        session.host_name = hostname
        offers_login = self.said.get("auth", True)
        return [line for line in responses if offers_login or not line.startswith(("250-AUTH", "250 AUTH"))]

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take the sender, unless this smarthost is spoilt."""
        if server.transport.get_extra_info("ssl_object") is None:
            print(f"IN CLEAR: MAIL FROM:<{address}>", flush=True)
        if "mail" in self.said:
            await asyncio.sleep(self.said.get("after", 0))
            return str(self.said["mail"])
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take the recipient, unless it is one that nobody is to have."""
        if address.startswith(REFUSED):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Deliver before answering."""
        tls = server.transport.get_extra_info("ssl_object")
        trace = f"Received: by {self.name} (login {session.auth_data}, {tls.version() if tls else 'IN CLEAR'})\r\n"
        content = trace.encode() + (envelope.original_content or b"")
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._deliver, envelope, content)
        except (OSError, smtplib.SMTPException) as problem:
            return f"451 4.4.1 not delivered: {' '.join(str(problem).split())}"
        return "250 2.0.0 delivered"

    def _deliver(self, envelope: Envelope, content: bytes) -> None:
        source = (str(self.said["address"]), 0)
        with smtplib.SMTP(RECEIVER, 25, local_hostname=self.name, timeout=30, source_address=source) as client:
            client.starttls()
            client.sendmail(envelope.mail_from or "", envelope.rcpt_tos, content)

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        """Compare with the logins there are (aiosmtpd's authenticator)."""
        if server.transport.get_extra_info("ssl_object") is None:
            print("IN CLEAR: AUTH", flush=True)
        known = self.said["logins"]
        if isinstance(data, LoginPassword):
            login, password = data.login.decode(), data.password.decode()
            if known.get(login) == password:
                return AuthResult(success=True, auth_data=login)
        return AuthResult(success=False, handled=False)


async def serve(name: str) -> None:
    """Listen on ports 465 and 587, for ever."""
    said = json.loads(Path(f"/etc/lab/{name}.json").read_text("utf-8"))
    spoilt = Path(f"/run/lab/{name}.json")
    said |= json.loads(spoilt.read_text("utf-8")) if spoilt.exists() else {}
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(said.get("certificate", f"/etc/lab/{name}.crt"), said.get("key", f"/etc/lab/{name}.key"))
    handler = Handler(name, said)
    loop = asyncio.get_running_loop()
    clear = said.get("starttls") is False

    def session(*, wrapped: bool) -> SMTP:
        plain = wrapped or clear
        return SMTP(
            handler, hostname=handler.name, ident="ESMTP", loop=loop, tls_context=None if plain else context,
            require_starttls=not plain, auth_require_tls=not plain,
            authenticator=handler.authenticate,
        )  # fmt: skip

    servers = [
        await loop.create_server(partial(session, wrapped=port == IMPLICIT), address, port, backlog=1024, ssl=tls)
        for address in (said["address"], said["address6"])
        for port, tls in ((IMPLICIT, context), (587, None))
    ]
    print("listening on ports 465 and 587", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
