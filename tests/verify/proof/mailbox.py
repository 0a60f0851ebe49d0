# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The messages that prove the whole line: made here, handed to a mail host, found at a receiver.

The mailbox is a directory into which a receiver writes each message as NAME.eml, the bytes as they came, and NAME.json
with its verdicts: ``{"from", "to", "helo", "peer", "tls", "spf", "dmarc", "dkim": [{"domain", "selector", "algorithm",
"result"}]}``.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.policy import compat32
from pathlib import Path
from secrets import token_hex
from typing import Any

from ansible_collections.postseal.mail.plugins.module_utils.model.relays import DIRECT
from ansible_collections.postseal.mail.plugins.module_utils.model.types import MailHost, Model
from ansible_collections.postseal.mail.plugins.module_utils.model.ways_rules import choose

from .authenticated import own_address, submit
from .outcome import NotTestedError
from .smtp import Reply, UnavailableError
from .targets import Endpoint
from .tls import session, verifying

PAUSE = 0.05
STRAY = "stray"
# What an application may add: a receiver has no use for it, and nobody may see it.
AGENT = "postseal-agent.invalid"
# Marketing mail has these (RFC 8058); signatures have to cover them. The page does not exist.
UNSUBSCRIBE = (
    "List-Unsubscribe: <https://postseal-unsubscribe.invalid/>",
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
)
HIDDEN = "postseal-hidden@postseal-secret.invalid"  # in Bcc alone: nothing is sent there, and nobody may see it


@dataclass(frozen=True)
class Sent:
    """A message that was handed over: the token that identifies it, our address as the host saw it, the last reply."""

    token: str
    own_address: str
    reply: Reply


@dataclass(frozen=True)
class Received:
    """A message as it arrived, and what the receiver made of it; ``raw`` are its octets."""

    sent: Sent
    message: Message
    verdict: dict[str, Any]
    raw: bytes = b""

    def dkim(self) -> list[dict[str, str]]:
        """Return the receiver's verdicts on the DKIM signatures."""
        found = self.verdict.get("dkim")
        return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def send(model: Model, endpoint: Endpoint) -> Sent:
    """Submit one message over verified TLS; the host must add Date and Message-ID and take Bcc away."""
    probe = model.probe
    if probe is None:
        raise UnavailableError("postseal_probe is not set")
    credential = model.credential(probe.credential)
    token = token_hex(12)
    lines = (
        f"From: {own_address(credential)}",
        f"To: {probe.recipient}",
        f"Bcc: {HIDDEN}",
        f"Subject: Postseal probe {token}",
        f"User-Agent: {AGENT}",
        *UNSUBSCRIBE,
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        # A stray carriage return, as some applications write it: it must not leave the host.
        f"{STRAY}\r{STRAY}",
        f"Sent through {endpoint.host}, port {endpoint.port}, to prove that mail from here is delivered and trusted.",
    )
    with session(endpoint, verifying(model.tls.ca)) as client:
        auth = client.authenticate(credential.login, probe.secret.reveal())
        if auth.code != 235:
            raise UnavailableError(f"the probe credential is answered {auth}")
        reply = submit(client, own_address(credential), probe.recipient, "\r\n".join(lines).encode())
        client.quit()
        return Sent(token, client.own_address, reply)


def wait_for(sent: Sent, directory: Path, since: float, seconds: float) -> Received | None:
    """Return the message with the token, or ``None`` if it has not come within ``seconds``.

    One that only carries it, as the report of a failed delivery does (RFC 3462), is another one.
    Only files changed after ``since`` (seconds of the epoch) are read. Raises :class:`UnavailableError` if the mailbox
    cannot be read or a verdict is not JSON.
    """
    deadline = time.monotonic() + seconds
    seen: set[Path] = set()
    while True:
        for path in _fresh(directory, since):
            if path in seen:
                continue
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue  # whoever keeps the mailbox tidied it up meanwhile
            message = message_from_bytes(content, policy=compat32)
            if sent.token not in str(message["Subject"]):
                seen.add(path)
                continue
            verdict = path.with_suffix(".json")
            if verdict.exists():
                return Received(sent, message, _verdict(verdict), content)
        if time.monotonic() >= deadline:
            return None
        time.sleep(PAUSE)


def delivered_by_relay(model: Model, host: MailHost, helo: str, peer: str) -> bool:
    """Whether a relay of its way delivered the message, so that the name ``helo`` and the address ``peer`` are its."""
    if model.probe is None or helo == host.name or peer in host.addresses:
        return False
    credential = model.credential(model.probe.credential)
    way = choose(model, credential, own_address(credential), model.probe.recipient).route.via
    return way != (DIRECT,)


def _fresh(directory: Path, since: float) -> list[Path]:
    try:
        with os.scandir(directory) as entries:
            return [Path(entry.path) for entry in entries if entry.name.endswith(".eml") and _changed(entry) >= since]
    except OSError as error:
        raise UnavailableError(f"the probe mailbox {directory} cannot be read: {error.strerror}") from None


def _changed(entry: os.DirEntry[str]) -> float:
    """Return when the file was changed; long ago if it is gone by now."""
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _verdict(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UnavailableError(f"{path} is not a verdict: {error}") from None
    if not isinstance(found, dict):
        raise UnavailableError(f"{path} is not a verdict: it holds no object")
    return found


def stray_line_ends(raw: bytes) -> str:
    """Return what is wrong with the line ends of a message as it came over SMTP (RFC 5321 2.3.8), empty if nothing.

    Raises :class:`NotTestedError` for one that was stored with line ends of another kind: nobody knows what came.
    """
    pairs = raw.count(b"\r\n")
    feeds, returns = raw.count(b"\n") - pairs, raw.count(b"\r") - pairs
    if not pairs:
        raise NotTestedError("the mailbox does not keep the line ends of a message")
    wrong = [
        f"{number} {what} alone" for number, what in ((feeds, "line feeds"), (returns, "carriage returns")) if number
    ]
    return " and ".join(wrong)
