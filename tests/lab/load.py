# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Mail without a pause through both hosts while something happens, and the foreign receiver's word on every message."""

from __future__ import annotations

import json
import re
import smtplib
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any, Self

from .applications import RECIPIENT, Application, authenticate, session
from .site import HOSTS, LAB_STATE

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
# Which mail host took a message, and as which entry of its queue.
_ENTRY = re.compile(rb"^Received: by (\S+) \(Postfix\).* id (\w+)", re.MULTILINE)
# How often it is asked whether queues are empty, in seconds.
SETTLES = 2.0


@dataclass
class Outcome:
    """What became of the messages.

    :param accepted: numbers of those that a mail host took, and which one
    :param arrived: numbers of those that arrived, with host and queue entry of each copy
    :param verified: numbers of those that arrived with every signature they should have, all good, and DMARC pass
    :param wrong: the receiver's verdict on all others that arrived
    :param deferred: answers that asked to come again
    :param refused: answers that were final
    :param broken: how many sessions ended without an answer
    :param selectors: by domain and algorithm, with which selectors was signed
    """

    accepted: dict[int, str] = field(default_factory=dict)
    arrived: dict[int, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    verified: set[int] = field(default_factory=set)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    deferred: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    broken: int = 0
    selectors: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def lost(self) -> set[int]:
        """Numbers of messages that were taken and never came."""
        return self.accepted.keys() - self.arrived.keys()

    @property
    def unanswered(self) -> set[int]:
        """Numbers of messages that came although no host had said that it took them (RFC 1047)."""
        return self.arrived.keys() - self.accepted.keys()

    @property
    def copies(self) -> dict[int, list[tuple[str, str]]]:
        """What came more than once."""
        return {number: entries for number, entries in self.arrived.items() if len(entries) > 1}

    def add(self, number: int, domain: str, entry: tuple[str, str], verdict: dict[str, Any]) -> None:
        """Count a message that arrived."""
        signatures = verdict["dkim"]
        for one in signatures:
            self.selectors[one["domain"], one["algorithm"]].add(one["selector"])
        good = sorted(one["algorithm"] for one in signatures if (one["result"], one["domain"]) == ("pass", domain))
        if good == ALGORITHMS and len(signatures) == len(good) and verdict["dmarc"] == "pass":
            self.verified.add(number)
        else:
            self.wrong.append(verdict)
        self.arrived[number].append(entry)


class Load:
    """Sends from each of ``domains`` in turn, by one credential that may, from entering it until :meth:`stop`.

    Sessions are kept, for as many messages as ``session_messages``. Each message that the receiver judged well is taken
    out of its mailbox.
    """

    def __init__(self, by: Application, domains: Sequence[str], session_messages: int = sys.maxsize) -> None:
        self.outcome = Outcome()
        self._by, self._domains, self._run = by, domains, token_hex(8)
        self._session_messages = session_messages
        self._number, self._lock = 0, threading.Lock()
        self._waiting: set[int] = set()
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

    def stop(self, patience: float = 60.0, settled: Callable[[], bool] = lambda: True) -> Outcome:
        """Send no more, wait until all that was taken has come or nothing came for ``patience``, return what was.

        ``settled`` says whether the hosts' queues are empty: what is still there may come a second time.
        """
        self._ends.set()
        for thread in self._senders:
            thread.join()
        left, end, asked = -1, time.monotonic() + patience, 0.0
        while time.monotonic() < end:
            if left != len(self._waiting):
                left, end = len(self._waiting), time.monotonic() + patience
            if time.monotonic() > asked + SETTLES:
                done = settled()
                if done and not self._waiting:
                    break
                asked = time.monotonic()
            time.sleep(LOOK)
        self._read.set()
        self._reader.join()
        return self.outcome

    def _send(self, host: str) -> None:
        while not self._ends.is_set():
            try:
                with session(host) as client:
                    code, answer = authenticate(client, self._by.login, self._by.password)
                    if code == LOGGED_IN:
                        self._talk(client, host)
                    else:
                        self._count(code, answer)
            except smtplib.SMTPResponseException as error:
                self._count(error.smtp_code, str(error.smtp_error))
            except (OSError, smtplib.SMTPException):
                # A change of Postfix ends sessions; what was being sent then is not counted as taken.
                self.outcome.broken += 1
            self._ends.wait(LOOK)

    def _talk(self, client: smtplib.SMTP, host: str) -> None:
        for _ in range(self._session_messages):
            if self._ends.is_set():
                return
            while len(self._waiting) > UNDER_WAY:
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
            if code == TAKEN:
                with self._lock:
                    self.outcome.accepted[number] = host
                    if number not in self.outcome.arrived:
                        self._waiting.add(number)
            else:
                self._count(code, answer.decode(errors="replace"))
                # A session whose signer began anew is put off to its end (milter_default_action), so begin another.
                return

    def _count(self, code: int, answer: str) -> None:
        (self.outcome.deferred if code < FINAL else self.outcome.refused).append(f"{code} {answer}")

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
        entry = _ENTRY.search(raw)
        by = (entry[1].decode(), entry[2].decode()) if entry else ("", "")
        domain = self._domains[number % len(self._domains)]
        with self._lock:
            self.outcome.add(number, domain, by, json.loads(path.read_text("utf-8")))
            self._waiting.discard(number)
        if len(self.outcome.wrong) == wrong:
            path.unlink()
            path.with_suffix(".eml").unlink()
