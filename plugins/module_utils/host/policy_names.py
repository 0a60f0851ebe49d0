# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Keep a certificate for each name that MTA-STS policies are fetched from. Standard library, Python 3.9.

Each has a lineage of its own, so that a name that does not lead here yet keeps no other certificate from its renewal.
Nothing depends on their keys, which certbot makes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import acme, policies, settled
from .certificate import CA_FILE, OVERDUE, TIMER, locked
from .errors import HostError
from .lineage import LETSENCRYPT, Lineage, Order
from .request import Paths
from .responder import WEBROOT
from .system import SupportFile, install, port_user

THING = "policies"
PREFIX = "mta-sts."
HOOK = SupportFile(
    Path("/etc/letsencrypt/renewal-hooks/deploy/postseal-policies"),
    f"""\
#!/bin/sh
# Written by Postseal. certbot runs this after each renewal (certbot(1), renewal-hooks/deploy); nginx reads certificates
# when it is started or reloaded.
case "$RENEWED_LINEAGE" in {LETSENCRYPT}/live/{PREFIX}*) ;; *) exit 0 ;; esac
systemctl is-active --quiet nginx || exit 0
exec systemctl reload nginx
""",
    0o755,
)


def ensure(arguments: dict[str, Any]) -> dict[str, Any]:
    """Make this host hold a certificate for each of ``names``, and certbot renew no other one of this kind.

    ``arguments``: ``names``, ``directory``, ``contact``, ``ca``, ``check`` and ``settles`` as those of
    :func:`.certificate.ensure`. A name without a certificate is no failure, for mail does not depend on it: returns
    ``{"changed", "held", "problems", "diff"}``, the names that have one, and by name why another has none. Raises
    :class:`HostError` where another program has the port of the policies.
    """
    if arguments["names"] and not Path(policies.CONF).exists() and (program := port_user(policies.PORT)):
        raise HostError(
            f"port {policies.PORT} is in use by {program}; MTA-STS policies are served there: stop that program, or "
            "have somebody else serve the policies (postseal_domains[].mta_sts with id and host)"
        )
    orders = [
        Order(name, (name,), Path(), arguments["directory"], arguments.get("contact"), arguments.get("ca"))
        for name in arguments["names"]
    ]
    missing = [(order, reason) for order in orders if (reason := _need(order))]
    stale = [lineage for lineage in _lineages() if lineage.name not in arguments["names"]]
    ended = [lineage for lineage in stale if lineage.conf.exists()]
    pending = [HOOK] if orders and not HOOK.current() else []
    lines = [f"certificate of {order.name}: {reason}" for order, reason in missing]
    lines += [f"certificate of {lineage.name}: not renewed any more" for lineage in ended]
    lines += [f"write {file.path}" for file in pending]
    problems: dict[str, str] = {}
    if not arguments.get("check"):
        with locked():
            install(pending)
            for lineage in stale:
                _forget(lineage)
            problems = _issue([order for order, _ in missing])
        if not problems:
            _settle(orders, arguments.get("settles"))
    held = [order.name for order in orders if _there(Lineage(order.name))]
    changed = bool(pending or ended or len(problems) < len(missing))
    return {
        "changed": changed,
        "held": held,
        "problems": problems,
        "diff": {"prepared": "".join(f"+ {line}\n" for line in lines)},
    }


def _need(order: Order) -> str:
    """Return why a certificate must be asked for; empty if none must."""
    lineage = Lineage(order.name)
    try:
        found = lineage.certificate() if lineage.conf.exists() else None
    except HostError as problem:
        return str(problem)
    if found is None:
        return "there is none yet"
    if found.not_after - time.time() < OVERDUE * (found.not_after - found.not_before):
        return "it has not been renewed in time"
    if set(found.names) != set(order.names):
        return f"it names {', '.join(found.names)}"
    server = lineage.renewal().get("server")
    return "" if server == order.directory else f"it came from {server}, not {order.directory}"


def _there(lineage: Lineage) -> bool:
    return lineage.conf.exists() and lineage.fullchain.exists() and lineage.live.joinpath("privkey.pem").exists()


def _lineages() -> Iterator[Lineage]:
    """The lineages of policy names that are ours: those of other people's web servers have another webroot."""
    for live in sorted((LETSENCRYPT / "live").glob(f"{PREFIX}*")):
        lineage = Lineage(live.name)
        if not lineage.conf.exists() or lineage.renewal().get("webroot_path", "").rstrip(",") == str(WEBROOT):
            yield lineage


def _forget(lineage: Lineage) -> None:
    """Renew a certificate no more; its files go once no server has them in its configuration."""
    lineage.conf.unlink(missing_ok=True)
    if lineage.name.removeprefix(PREFIX) not in policies.served():
        for folder in (lineage.live, lineage.archive):
            shutil.rmtree(folder, ignore_errors=True)


def _issue(orders: list[Order]) -> dict[str, str]:
    """Ask for certificates, one after the other; return by name why it was not given."""
    problems: dict[str, str] = {}
    try:
        if orders:
            acme.probe(orders[0].directory, orders[0].ca)
    except HostError as problem:
        return {order.name: str(problem) for order in orders}
    for order in orders:
        lineage = Lineage(order.name)
        if not lineage.conf.exists():
            # Of a name that was given up before: certbot would not write there.
            for folder in (lineage.live, lineage.archive):
                shutil.rmtree(folder, ignore_errors=True)
        try:
            acme.certbot(order, CA_FILE if order.ca else None)
        except HostError as problem:
            problems[order.name] = str(problem)
    return problems


def _settle(orders: list[Order], request: str | None) -> None:
    """Note that nothing is left to do until a certificate is overdue."""
    found = [(lineage, lineage.certificate()) for lineage in (Lineage(order.name) for order in orders)]
    overdue = [held.not_after - OVERDUE * (held.not_after - held.not_before) for _, held in found if held]
    settled.keep(
        THING,
        request,
        Paths(),
        places=[str(HOOK.path), *(str(lineage.conf) for lineage, _ in found)] if orders else [],
        active=[TIMER] if orders else [],
        until=min(overdue, default=None),
    )
