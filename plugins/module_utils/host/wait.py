# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Wait until a changed service answers as the new configuration says, or show why it does not.

Standard library, Python 3.9.
"""

from __future__ import annotations

import re
import time

from .errors import HostError
from .request import Paths, Probe
from .services import Service
from .smoke import ProbeError, examine

POLL = 0.02
LONGEST_POLL = 0.5
STATUS_EVERY = 0.25
# Automatic restarts after which a service that dies at once is taken for dead.
RESTARTS = 2
# Postfix's master acts on a reload some hundredths of a second after systemctl has returned, and an old worker of
# rspamd, which shares its socket with the new one, has taken a connection just after that one was there.
SETTLE = {"postfix": 0.1, "rspamd": 1.0}
# What rspamd says of each message is not about its configuration.
CAUSE = re.compile(
    r"^(?!.*\brspamd_(?:add|message|milter|mime|task)_)"
    r".*\b(?:bad|cannot|couldn't|error|fail\w*|fatal|invalid|no such|panic|unknown)\b",
    re.I,
)


def await_service(
    service: Service,
    probes: tuple[Probe, ...],
    paths: Paths,
    *,
    before: frozenset[int],
    instances: tuple[str, ...],
    since: float,
    patience: float,
) -> None:
    """Return once every probe's whole dialog succeeds with a process that has read the new configuration.

    ``before`` and ``instances`` are the working processes and the answers of the old one. ``since`` is when the change
    began (seconds since 1970), ``patience`` how long it may take (seconds). Raises :class:`HostError` with the last
    complaint and the service's own words.
    """
    deadline = time.monotonic() + patience
    while before and not service.generation() - before and time.monotonic() < deadline:
        time.sleep(POLL)
    if before or instances:
        time.sleep(SETTLE.get(service.name, 0.0))
    first = service.status().restarts
    looked = time.monotonic()
    pause = POLL
    while True:
        complaint = _complaint(service, probes, paths, before, instances)
        if not complaint:
            return
        now = time.monotonic()
        if now - looked > STATUS_EVERY:
            looked, status = now, service.status()
            if status.failed or status.restarts >= first + RESTARTS:
                complaint, deadline = f"{service.name} ends as soon as it is started", 0.0
        if now > deadline:
            words = [line for line in service.log(since) if CAUSE.search(line)][-5:]
            raise HostError("; ".join([complaint, *words]))
        time.sleep(pause)
        pause = min(pause * 1.2, LONGEST_POLL)  # every try leaves lines in a log


def _complaint(
    service: Service, probes: tuple[Probe, ...], paths: Paths, before: frozenset[int], instances: tuple[str, ...]
) -> str:
    # An old worker that is busy may stay for a while, but takes no new connections.
    renewed = not before or service.generation() - before
    try:
        answers = [examine(probe, paths) for probe in probes]
    except ProbeError as problem:
        return str(problem)
    if not renewed or any(answer and answer in instances for answer in answers):
        return f"{service.name} goes on with its old configuration"
    return ""
