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
STATUS_EVERY = 0.25
# Automatic restarts after which a service that dies at once is taken for dead.
RESTARTS = 2
# Postfix's master acts on a reload some hundredths of a second after systemctl has returned.
SETTLE = 0.1
CAUSE = re.compile(r"\b(?:bad|cannot|couldn't|error|fail\w*|fatal|invalid|no such|panic|unknown)\b", re.I)


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
    time.sleep(SETTLE if service.name == "postfix" else 0)
    deadline = time.monotonic() + patience
    first = service.status().restarts
    looked = time.monotonic()
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
        time.sleep(POLL)


def _complaint(
    service: Service, probes: tuple[Probe, ...], paths: Paths, before: frozenset[int], instances: tuple[str, ...]
) -> str:
    try:
        answers = [examine(probe, paths) for probe in probes]
    except ProbeError as problem:
        return str(problem)
    if any(answer and answer in instances for answer in answers) or (before and before & service.generation()):
        return f"{service.name} goes on with its old configuration"
    return ""
