# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""script/send: one message through the lab as its application sends it, and what the foreign receiver says of it."""

from __future__ import annotations

import argparse
import json
import smtplib
import socket
import ssl
import sys
import time
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

from . import config

# What inventories/lab says: the name applications connect to, the credential.
NAME, LOGIN = "smtp.sender.test", "shop@shop.test"
RECIPIENT = "customer@receiver.test"
PATIENCE = 60.0


class Submission(smtplib.SMTP_SSL):
    """Implicit TLS (RFC 8314 3.3) to an address, checked against a name that this machine cannot resolve."""

    context: ssl.SSLContext

    def _get_socket(self, host: str, port: int, timeout: float) -> ssl.SSLSocket:
        plain = socket.create_connection((host, port), timeout)
        return self.context.wrap_socket(plain, server_hostname=NAME)


def main() -> int:
    """Send, wait for the receiver, print what it says; 0 if SPF, DKIM and DMARC all pass."""
    senders = {host.name: host for host in config.load().hosts if host.fqdn.endswith(".sender.test")}
    parser = argparse.ArgumentParser(prog="script/send", description=__doc__)
    parser.add_argument("host", nargs="?", default="sender-a", choices=sorted(senders))
    parser.add_argument("subject", nargs="?", default="Your order")
    arguments = parser.parse_args()
    try:
        message_id = submit(senders[arguments.host].address, arguments.subject)
    except (OSError, smtplib.SMTPException) as error:
        hint = "script/demo brings it up"
        print(f"script/send: {arguments.host} did not take the message: {error}; {hint}", file=sys.stderr)
        return 1
    print(f"{arguments.host} took {message_id} from {LOGIN} to {RECIPIENT}")
    verdict = wait_for(message_id)
    if verdict is None:
        hint = f"look at: script/lab logs {arguments.host} -u 'postfix*' -n 20"
        print(f"script/send: nothing arrived within {PATIENCE:.0f} s; {hint}", file=sys.stderr)
        return 1
    for line in describe(verdict):
        print(line)
    results = [verdict["spf"], verdict["dmarc"], *(one["result"] for one in verdict["dkim"])]
    return 0 if verdict["dkim"] and set(results) == {"pass"} else 1


def submit(address: str, subject: str) -> str:
    """Submit a message with the application's credential; return its Message-ID. Raises what smtplib raises."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = LOGIN, RECIPIENT, subject
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=LOGIN.partition("@")[2])
    message.set_content("Thank you.\n")
    context = ssl.create_default_context(cafile=str(config.CA_BUNDLE))
    with Submission(address, 465, timeout=20, context=context) as server:
        server.login(LOGIN, (config.SECRETS / "shop").read_text("ascii").strip())
        server.send_message(message)
    return str(message["Message-ID"])


def wait_for(message_id: str) -> dict[str, Any] | None:
    """Return the receiver's verdict of the message, ``None`` if it does not come."""
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        for path in config.MAIL.glob("*.json"):
            if message_id.encode() in path.with_suffix(".eml").read_bytes():
                found: dict[str, Any] = json.loads(path.read_text("utf-8"))
                return found
        time.sleep(0.2)
    return None


def describe(verdict: dict[str, Any]) -> list[str]:
    """Return the verdict as lines for people."""
    signatures = [f"{one['algorithm']} {one['selector']}._domainkey.{one['domain']}" for one in verdict["dkim"]]
    protection = verdict["tls"] or "no encryption"
    return [
        f"{verdict['helo']} [{verdict['peer']}] delivered it to the receiver over {protection}",
        f"  SPF    {verdict['spf']}  {verdict['spf_domain']}",
        *(f"  DKIM   {one['result']}  {name}" for one, name in zip(verdict["dkim"], signatures, strict=True)),
        f"  DMARC  {verdict['dmarc']}  p={verdict['dmarc_policy']} of {verdict['header_from']}",
    ]


if __name__ == "__main__":
    sys.exit(main())
