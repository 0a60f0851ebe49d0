# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Mail without a pause through both hosts while something happens, and the foreign receiver's word on every message."""

from __future__ import annotations

import json
import smtplib
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any, Self

from tests.lab.applications import RECIPIENT, Application, authenticate, session
from tests.lab.site import HOSTS, LAB_STATE

MAILBOX = LAB_STATE / "mail"
ALGORITHMS = ["ed25519-sha256", "rsa-sha256"]
SENDERS = 8
# More than that on the way would only make a queue.
UNDER_WAY = 150
LOOK = 0.1
# Replies: logged in, taken; from 500 on they are final (RFC 5321 4.2.1).
LOGGED_IN, TAKEN, FINAL = 235, 250, 500
# Files that begin with a dot are being written.
_KEPT = "[!.]*.json"


@dataclass
class Outcome:
    """What became of the messages.

    :param accepted: numbers of those that a mail host took
    :param verified: numbers of those that arrived with every signature they should have, all good, and DMARC pass
    :param wrong: the receiver's verdict on all others that arrived
    :param deferred: how often a host asked to come again
    :param refused: answers that were final
    :param selectors: by domain and algorithm, with which selectors was signed
    """

    accepted: set[int] = field(default_factory=set)
    verified: set[int] = field(default_factory=set)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    deferred: int = 0
    refused: list[str] = field(default_factory=list)
    selectors: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def lost(self) -> set[int]:
        """Numbers of messages that were taken and never came."""
        return self.accepted - self.verified if not self.wrong else set()

    def add(self, number: int, domain: str, verdict: dict[str, Any]) -> None:
        """Count a message that arrived."""
        signatures = verdict["dkim"]
        for one in signatures:
            self.selectors[one["domain"], one["algorithm"]].add(one["selector"])
        good = sorted(one["algorithm"] for one in signatures if (one["result"], one["domain"]) == ("pass", domain))
        if good == ALGORITHMS and len(signatures) == len(good) and verdict["dmarc"] == "pass":
            self.verified.add(number)
        else:
            self.wrong.append(verdict)


class Load:
    """Sends from each of ``domains`` in turn, by one credential that may, from entering it until :meth:`stop`.

    Sessions are kept; each message that the receiver judged well is taken out of its mailbox.
    """

    def __init__(self, by: Application, domains: Sequence[str]) -> None:
        self.outcome = Outcome()
        self._by, self._domains, self._run = by, domains, token_hex(8)
        self._number, self._judged, self._lock = 0, 0, threading.Lock()
        self._ends, self._read = threading.Event(), threading.Event()
        self._senders = [
            threading.Thread(target=self._send, args=(HOSTS[place % len(HOSTS)],)) for place in range(SENDERS)
        ]
        self._reader = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        for thread in (self._reader, *self._senders):
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._ends.set()
        self._read.set()

    def reach(self, count: int, seconds: float = 600.0) -> None:
        """Go on until ``count`` messages were taken, for ``seconds`` at most."""
        end = time.monotonic() + seconds
        while len(self.outcome.accepted) < count and time.monotonic() < end:
            time.sleep(LOOK)

    def stop(self, patience: float = 60.0) -> Outcome:
        """Send no more, wait until all that was taken has come or nothing came for ``patience``, return what was."""
        self._ends.set()
        for thread in self._senders:
            thread.join()
        judged, end = -1, 0.0
        while self._judged < len(self.outcome.accepted) and (judged != self._judged or time.monotonic() < end):
            if judged != self._judged:
                judged, end = self._judged, time.monotonic() + patience
            time.sleep(LOOK)
        self._read.set()
        self._reader.join()
        return self.outcome

    def _send(self, host: str) -> None:
        while not self._ends.is_set():
            try:
                with session(host) as client:
                    if authenticate(client, self._by.login, self._by.password)[0] == LOGGED_IN:
                        self._talk(client)
            except (OSError, smtplib.SMTPException):
                # A change of Postfix ends sessions; what was being sent then is not counted as taken.
                pass
            self._ends.wait(LOOK)

    def _talk(self, client: smtplib.SMTP) -> None:
        while not self._ends.is_set():
            while len(self.outcome.accepted) - self._judged > UNDER_WAY:
                if self._ends.wait(LOOK / 10):
                    return
            with self._lock:
                self._number += 1
                number = self._number
            sender = f"load@{self._domains[number % len(self._domains)]}"
            text = (
                f"From: {sender}\r\nTo: {RECIPIENT}\r\nSubject: {number}\r\nX-Load: {self._run} {number}\r\n\r\nx\r\n"
            )
            code, answer = client.mail(sender)
            if code == TAKEN:
                code, answer = client.rcpt(RECIPIENT)
            if code == TAKEN:
                code, answer = client.data(text)
            with self._lock:
                if code == TAKEN:
                    self.outcome.accepted.add(number)
                elif code < FINAL:
                    self.outcome.deferred += 1
                else:
                    self.outcome.refused.append(f"{code} {answer.decode(errors='replace')}")
            if code != TAKEN:
                # A session whose signer began anew is put off to its end (milter_default_action), so begin another.
                return

    def _look(self) -> None:
        known = set(MAILBOX.glob(_KEPT))
        last = False
        while not last:
            last = self._read.wait(LOOK)
            for path in set(MAILBOX.glob(_KEPT)) - known:
                self._read_one(path)
                known.add(path)

    def _read_one(self, path: Path) -> None:
        raw = path.with_suffix(".eml").read_bytes()
        _, found, rest = raw.partition(f"X-Load: {self._run} ".encode())
        if not found:
            return
        number = int(rest.split(b"\r\n", 1)[0])
        wrong = len(self.outcome.wrong)
        self.outcome.add(number, self._domains[number % len(self._domains)], json.loads(path.read_text("utf-8")))
        self._judged += 1
        if len(self.outcome.wrong) == wrong:
            path.unlink()
            path.with_suffix(".eml").unlink()
