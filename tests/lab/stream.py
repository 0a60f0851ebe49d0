# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Mail that goes on while something is done to its hosts, and the receiver's verdict on every message of it."""

from __future__ import annotations

import json
import smtplib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

from .applications import Application, authenticate, session
from .site import HOSTS, LAB_STATE


class Mail(threading.Thread):
    """Sends as one application through one host until it is told to stop, in sessions of a few messages."""

    def __init__(self, host: str, by: Application) -> None:
        super().__init__()
        self.host, self.by, self.ended = host, by, threading.Event()
        self.accepted: list[str] = []
        self.refused: list[str] = []

    def run(self) -> None:
        """Send; what is not accepted is kept with the answer."""
        while not self.ended.is_set():
            try:
                with session(self.host) as client:
                    assert authenticate(client, self.by.login, self.by.password)[0] == 235
                    for _ in range(20):
                        self._one(client)
                        if self.ended.wait(0.1):
                            break
            except smtplib.SMTPServerDisconnected as error:
                self.refused.append(f"421 the session ended: {error}")
            except OSError as error:  # the host is cut off
                self.refused.append(f"no session: {error}")
                self.ended.wait(0.5)

    def _one(self, client: Any) -> None:
        token = token_hex(8)
        for command in (f"MAIL FROM:<{self.by.login}>", "RCPT TO:<probe@receiver.test>", "DATA"):
            code, text = client.docmd(command)
            if code not in (250, 354):
                self.refused.append(f"{code} {text.decode()}")
                client.rset()
                return
        headers = f"From: {self.by.login}\r\nTo: probe@receiver.test\r\nSubject: {token}\r\nX-Rotation: {token}"
        client.send(f"{headers}\r\n\r\n{token}\r\n.\r\n".encode())
        code, text = client.getreply()
        if code == 250:
            self.accepted.append(token)
        else:
            self.refused.append(f"{code} {text.decode()}")


@contextmanager
def mail(senders: dict[str, Application], *, lossless: bool = True) -> Iterator[list[Mail]]:
    """Send all the while; every message that was accepted must have arrived, with two signatures that verified.

    Where hosts stay up (``lossless``) all of it has arrived, and what was not accepted was told to come again: a
    session that outlives a change of the signer has lost the process it was talking to.
    """
    streams = [Mail(host, by) for host in HOSTS for by in senders.values()]
    for stream in streams:
        stream.start()
    try:
        yield streams
    finally:
        for stream in streams:
            stream.ended.set()
        for stream in streams:
            stream.join()
    accepted = {token for stream in streams for token in stream.accepted}
    assert all(len(stream.accepted) > 5 for stream in streams), [len(stream.accepted) for stream in streams]
    if lossless:
        refused = [f"{stream.host}: {text}" for stream in streams for text in stream.refused if text[0] != "4"]
        assert refused == [], refused[:3]
    verdicts = received(accepted)
    assert not lossless or accepted <= set(verdicts), len(accepted - set(verdicts))
    wrong = [found for found in verdicts.values() if [one["result"] for one in found["dkim"]] != ["pass", "pass"]]
    assert wrong == [], wrong[:2]
    assert {found["dmarc"] for found in verdicts.values()} == {"pass"}


def received(tokens: set[str], seconds: float = 20.0) -> dict[str, dict[str, Any]]:
    """Return the receiver's verdicts on the messages with those tokens, once all are there or the time is up."""
    end = time.monotonic() + seconds
    read: dict[Path, str] = {}
    while True:
        for path in (LAB_STATE / "mail").glob("[!.]*.json"):
            if path not in read:
                raw = path.with_suffix(".eml").read_bytes()
                read[path] = raw.partition(b"X-Rotation: ")[2][:16].decode("ascii", "replace")
        if time.monotonic() > end or tokens <= set(read.values()):
            return {token: json.loads(path.read_text("utf-8")) for path, token in read.items() if token in tokens}
        time.sleep(0.2)
