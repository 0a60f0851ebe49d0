# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What could not be delivered: what came back, from the mail services' journal, and what waits, from the queue.

Addresses are as the journal has them: with ``postseal_log.addresses`` hashed or dropped, so are they here. Standard
library, Python 3.9.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from . import mailqueue
from .errors import HostError

# What clients and other servers wrote stands behind what is looked at, or cannot hold the blanks and commas here.
_ADDRESS = r'<((?:"(?:[^"\\]|\\.)*"|[^>\s"])*)>'
_LINE = re.compile(r"(\d+\.\d+) \S+ postfix/[\w/.-]+\[\d+\]: (\w+): (.*)")
_ATTEMPT = re.compile(
    rf"to={_ADDRESS}, (?:orig_to={_ADDRESS}, )?relay=([^,\s]+), (?:\w+=[\d./]+, )*dsn=([\d.]+), "
    r"status=(bounced|deferred) \((.*)\)$"
)
_SENDER = re.compile(rf"from={_ADDRESS}, ")
# smtpd(8), before it has the sender.
_LOGIN = re.compile(r"client=[^\s,]+, sasl_method=\w+, sasl_username=([^\s,]+)")
# qmgr(8): "from=<a@b.example>, status=expired, returned to sender", of all recipients that still wait.
_EXPIRED = re.compile(rf"from={_ADDRESS}, status=((?:force-)?expired), returned to sender$")
# The last attempt of a message that expires may have been that long before (maximal_backoff_time, and some).
_BEFORE = 2 * 3600
_AT_ONCE = 200


class Returned(NamedTuple):
    """A recipient whose message came back: ``status`` is ``bounced``, ``expired`` or ``force-expired``.

    ``recipient`` is empty where the log names none, ``login`` where no application submitted the message, or to another
    entry of the queue: one that was handed over on its way.
    """

    id: str
    when: float
    sender: str
    recipient: str
    server: str
    code: str
    status: str
    reason: str
    login: str


def read(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return ``returned``, the newest ``limit`` of the last ``seconds``, ``total``, and ``queue``, what is deferred."""
    limit, since = int(arguments["limit"]), time.time() - float(arguments["seconds"])
    ended = [match for line in _journal(since, "status=(bounced|(force-)?expired)") if (match := _LINE.match(line))]
    ids = list(dict.fromkeys(match[2] for match in ended))
    lines: list[str] = []
    for start in range(0, len(ids), _AT_ONCE):
        lines += _journal(since - _BEFORE, rf"^({'|'.join(ids[start : start + _AT_ONCE])}): (from=<|to=<|client=)")
    found = sorted((one for one in returned(lines) if one.when >= since), key=lambda one: -one.when)
    queue = mailqueue.show({"wanted": {"queues": ["deferred"]}, "limit": limit})
    return {"returned": [one._asdict() for one in found[:limit]], "total": len(found), "queue": queue}


def returned(lines: Iterable[str]) -> list[Returned]:
    """Return what came back by lines of Postfix's log (journalctl -o short-unix), in their order."""
    senders: dict[str, str] = {}
    logins: dict[str, str] = {}
    waiting: dict[str, dict[str, Returned]] = {}
    found: list[Returned] = []
    for line in lines:
        match = _LINE.match(line)
        if not match:
            continue
        when, name, text = float(match[1]), match[2], match[3]
        if attempt := _ATTEMPT.match(text):
            recipient, _, server, code, status, reason = attempt.groups()
            sender, login = senders.get(name, ""), logins.get(name, "")
            one = Returned(name, when, sender, recipient, server, code, status, reason, login)
            if status == "bounced":
                waiting.get(name, {}).pop(recipient, None)
                found.append(one)
            else:
                waiting.setdefault(name, {})[recipient] = one
        elif expired := _EXPIRED.match(text):
            # What was given up before it was ever tried has no line for its recipients.
            unknown = Returned(name, when, "", "", "none", "4.7.0", "", "", logins.get(name, ""))
            left = waiting.pop(name, {}).values() or [unknown]
            found += [one._replace(when=when, sender=expired[1], status=expired[2]) for one in left]
        elif queued := _SENDER.match(text):
            senders[name] = queued[1]
        elif submitted := _LOGIN.match(text):
            logins[name] = submitted[1]
    return found


def _journal(since: float, pattern: str) -> list[str]:
    """Return lines of Postfix in the mail services' journal, and of the filter that may stand before it."""
    units = ("postfix.service", "postfix@-.service")
    command = [
        "journalctl",
        "-q",
        "--namespace=+postseal",
        "--no-pager",
        "-o",
        "short-unix",
        f"--since=@{max(since, 0):.6f}",
    ]
    command += [f"--grep={pattern}", "--case-sensitive=yes", *(f"_SYSTEMD_UNIT={unit}" for unit in units)]
    command += ["+", "_SYSTEMD_UNIT=postseal-log-filter.service", *(f"OBJECT_SYSTEMD_UNIT={unit}" for unit in units)]
    answer = mailqueue.run(*command, good=(0, 1))
    # 1 without a word: nothing is found.
    if answer.returncode and answer.stderr.strip():
        raise HostError(f"journalctl: {answer.stderr.strip()[-300:]}")
    return answer.stdout.splitlines()
