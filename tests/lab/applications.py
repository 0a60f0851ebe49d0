# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Applications that the lab's inventory does not have, and a client's side of their sessions."""

from __future__ import annotations

import json
import smtplib
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from ansible_collections.postseal.mail.plugins.module_utils.model.passwords import new_token, ssha512
from ansible_collections.postseal.mail.plugins.module_utils.model.secret import Secret

from .site import HOSTS, LAB_STATE, Run, on, play

ADDRESSES = dict(zip(HOSTS, ("10.97.0.21", "10.97.0.22"), strict=True))
RECIPIENT = "probe@receiver.test"
CLIENT = "client.lab.test"
HEADERS = "From: {login}\nTo: probe@receiver.test\nSubject: {token}"


@dataclass(frozen=True)
class Application:
    """A credential for the inventory and the password that goes with it; ``more`` are further keys of the former."""

    name: str
    password: str
    more: dict[str, Any]
    domain: str = "shop.test"

    @property
    def login(self) -> str:
        """What the application types as its user name."""
        return f"{self.name}@{self.domain}"

    def entry(self) -> dict[str, Any]:
        """Return its element of ``postseal_credentials``."""
        return {
            "name": self.name,
            "domain": self.domain,
            "secret_hash": ssha512(Secret(self.password), self.login.encode()).reveal(),
            **self.more,
        }


def application(name: str, **more: Any) -> Application:
    """Return an application with a new password."""
    return Application(name, new_token().reveal(), more)


def shop() -> Application:
    """Return the application that the lab's inventory has."""
    return Application("shop", (LAB_STATE / "secrets/shop").read_text("ascii").strip(), {})


def deployed() -> dict[str, Any]:
    """Return the shop's element of ``postseal_credentials``."""
    digest = (LAB_STATE / "secrets/shop.hash").read_text().strip()
    return {"name": "shop", "domain": "shop.test", "secret_hash": digest}


def deploy(
    directory: Path, applications: list[Application], *arguments: str, publish: bool = False, **variables: Any
) -> Run:
    """Have both hosts serve ``applications`` besides the shop, with further inventory ``variables``.

    ``publish`` the records too: what a new domain's mail is signed with must be in the DNS first.
    """
    said = {"postseal_credentials": [deployed(), *(one.entry() for one in applications)], **variables}
    file = directory / f"applications-{token_hex(4)}.json"
    file.write_text(json.dumps(said), "utf-8")
    names = ["playbooks/dns.yml"] if publish else []
    return play("playbooks/keys.yml", *names, "playbooks/services.yml", "-e", f"@{file}", *arguments)


@contextmanager
def session(host: str, port: int = 465) -> Iterator[smtplib.SMTP]:
    """Yield an encrypted session whose certificate was checked for the host's own name."""
    context = ssl.create_default_context(cafile=str(LAB_STATE / "ca.pem"))
    client: smtplib.SMTP = (
        smtplib.SMTP_SSL(timeout=30, context=context, local_hostname=CLIENT)
        if port == 465
        else smtplib.SMTP(timeout=30, local_hostname=CLIENT)
    )
    client._host = host  # type: ignore[attr-defined]  # the name to check; this machine's resolver knows nothing of .test
    client.connect(ADDRESSES[host], port)
    try:
        if port != 465:
            client.starttls(context=context)
        client.ehlo()
        yield client
    finally:
        client.close()


def login(host: str, user: str, password: str, port: int = 465) -> tuple[int, str, float]:
    """Return the reply to AUTH PLAIN, and how many seconds it took."""
    with session(host, port) as client:
        begun = time.monotonic()
        code, text = authenticate(client, user, password)
        return code, text, time.monotonic() - begun


def authenticate(client: smtplib.SMTP, user: str, password: str) -> tuple[int, str]:
    """Send AUTH PLAIN and return the reply."""
    token = b64encode(f"\0{user}\0{password}".encode()).decode()
    code, text = client.docmd("AUTH", f"PLAIN {token}")
    return code, text.decode()


@dataclass(frozen=True)
class Outcome:
    """What became of a message: the reply that ended it, and the token by which the receiver's copy is found."""

    code: int
    text: str
    token: str


def send(host: str, by: Application, headers: str = HEADERS, **how: Any) -> Outcome:
    """Log in and submit one message as :func:`submit` does."""
    with session(host) as client:
        code, answer = authenticate(client, by.login, by.password)
        return submit(client, by, headers, **how) if code == 235 else Outcome(code, answer, "")


def submit(
    client: smtplib.SMTP,
    by: Application,
    headers: str = HEADERS,
    *,
    envelope: str | None = None,
    recipients: tuple[str, ...] = (RECIPIENT,),
    body: str = "Hello",
) -> Outcome:
    """Submit one message in an open session; in ``headers`` the words ``{login}`` and ``{token}`` are filled in."""
    token = token_hex(12)
    lines = headers.replace("{login}", by.login).replace("{token}", token)
    text = f"{lines}\nX-Test: {token}\n\n{body}\n"
    code, answer = client.mail(by.login if envelope is None else envelope)
    for recipient in recipients if code == 250 else ():
        code, answer = client.rcpt(recipient)
        if code != 250:
            break
    if code == 250:
        # Bytes as they are: smtplib's own data() would put line ends right.
        client.docmd("DATA")
        client.send(text.replace("\n", "\r\n").encode("utf-8", "surrogateescape") + b".\r\n")
        code, answer = client.getreply()
    return Outcome(code, answer.decode(), token)


def arrived(token: str, seconds: float = 20.0) -> tuple[bytes, dict[str, Any]] | None:
    """Return the message that holds ``token`` and the receiver's verdict on it, ``None`` if it did not come in time."""
    end = time.monotonic() + seconds
    while True:
        # Files that begin with a dot are being written.
        for path in (LAB_STATE / "mail").glob("[!.]*.json"):
            raw = path.with_suffix(".eml").read_bytes()
            if token.encode() in raw:
                return raw, json.loads(path.read_text("utf-8"))
        if time.monotonic() > end:
            return None
        time.sleep(0.1)


def copies(token: str) -> int:
    """Return how often the message that holds ``token`` has come."""
    return sum(token.encode() in path.read_bytes() for path in (LAB_STATE / "mail").glob("[!.]*.eml"))


def logged(host: str, unit: str, since: float) -> str:
    """Return what a unit wrote to the journal since ``since`` (seconds since 1970)."""
    return on(host, f"journalctl -q --namespace=+postseal -u {unit} -o cat --no-pager --since=@{int(since)}")
