# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Keep one ACME certificate for a key that exists already. Standard library, Python 3.9.

certbot has no option to use a given key and renew, but it renews a lineage with the key it finds there when
``reuse_key`` is set (certbot(1)). So the lineage is seeded with our key and a self-signed placeholder, and certbot
replaces the placeholder at once. Why certbot: docs/decisions/0006-acme-client.md.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import acme, settled
from .errors import HostError
from .lineage import Certificate, Lineage, Order, read_key
from .request import Paths
from .system import SupportFile, install, run_unit, unit_runs

RUN = Path("/run/postseal")
CA_FILE = Path("/etc/postseal/acme-ca.pem")
TIMER = "certbot.timer"
# certbot's own timer renews at a third of the lifetime; a run of ours steps in only when that has clearly failed.
OVERDUE = 0.1


def ensure(arguments: dict[str, Any]) -> dict[str, Any]:
    """Make the lineage of ``arguments`` serve a certificate of the given key and names, and keep itself renewed.

    ``arguments``: ``name`` (the lineage), ``names`` (subject alternative names, in order), ``key`` (path of the
    private key), ``directory`` (ACME directory URL, RFC 8555 7.1.1), ``contact`` (mail address or null), ``ca`` (PEM
    text of the authorities that vouch for the directory, or null for the system's), ``check`` (look, do not touch),
    ``settles`` (name of this request in the note that nothing is left to do).

    Returns ``{"changed", "issued", "reason", "expires", "spki_sha256"}``: why a certificate was (or in check mode
    would be) asked for, and the end of validity in seconds since the epoch. Raises :class:`HostError` with cause and
    remedy; the certificate that served before then still does.
    """
    order = Order(
        name=arguments["name"],
        names=tuple(arguments["names"]),
        key=Path(arguments["key"]),
        directory=arguments["directory"],
        contact=arguments.get("contact"),
        ca=arguments.get("ca"),
    )
    lineage = Lineage(order.name)
    if arguments.get("check"):
        return _look(order, lineage)
    with locked():
        lineage.recover()
        result = _ensure(order, lineage)
        _settle(order, lineage, arguments.get("settles"))
        return result


def _look(order: Order, lineage: Lineage) -> dict[str, Any]:
    """Say what :func:`ensure` would do; a host without the key or OpenSSL is simply a host that needs everything."""
    try:
        reason = need(order, _held(order, lineage), time.time())
    except HostError as problem:
        reason = str(problem)
    pending = [str(path) for path in support(order) if not path.current()]
    return {"issued": False, "reason": reason, **_told(reason, pending, starts=not unit_runs(TIMER))}


def _told(reason: str | None, files: list[str], *, starts: bool) -> dict[str, Any]:
    """Return ``changed``, and what was or would be done as Ansible's ``diff``."""
    lines = [f"certificate: {reason}"] if reason else []
    lines += [f"write {path}" for path in files] + ([f"{TIMER}: start"] if starts else [])
    return {"changed": bool(lines), "diff": {"prepared": "".join(f"+ {line}\n" for line in lines)}}


def _ensure(order: Order, lineage: Lineage) -> dict[str, Any]:
    held = _held(order, lineage)
    reason = need(order, held, time.time())
    files = [file for file in support(order) if not file.current()]
    if reason:
        acme.probe(order.directory, order.ca)
    install(files)
    serving = _issue(order, lineage, held) if reason or held.certificate is None else held.certificate
    started = not unit_runs(TIMER)
    if started:
        run_unit(TIMER)
    return {
        **_told(reason, [str(file.path) for file in files], starts=started),
        "issued": bool(reason),
        "reason": reason,
        "expires": serving.not_after,
        "spki_sha256": serving.spki_sha256,
    }


def _settle(order: Order, lineage: Lineage, request: str | None) -> None:
    """Note that nothing is left to do until the certificate is overdue or something on the host changes."""
    serving = lineage.certificate()
    if serving is not None:
        settled.keep(
            "certificate",
            request,
            Paths(),
            places=[str(path) for path in (*(file.path for file in support(order)), lineage.conf, lineage.backup)],
            contents=[str(lineage.fullchain), str(order.key)],
            active=[TIMER],
            enabled=[TIMER],
            until=serving.not_after - OVERDUE * (serving.not_after - serving.not_before),
        )


@dataclass(frozen=True)
class Held:
    """What the host has: the certificate that serves, certbot's parameters for renewing it, hex SHA-256 of our key's
    SPKI, and the CA certificates certbot trusts the authority by (PEM, ``None`` for the system's).
    """

    certificate: Certificate | None
    renewal: dict[str, str]
    key: str
    trusted: str | None = None


def need(order: Order, held: Held, now: float) -> str | None:
    """Return why a new certificate must be asked for, or ``None``; ``now`` is seconds since the epoch."""
    found = held.certificate
    if found is None:
        return "there is no certificate yet"
    overdue = found.not_after - now < OVERDUE * (found.not_after - found.not_before)
    kept = (held.renewal.get("reuse_key"), held.renewal.get("authenticator")) == ("True", "webroot")
    server = held.renewal.get("server")
    reasons = (
        (found.spki_sha256 != held.key, f"the certificate is not for the key in {order.key}"),
        (found.self_signed, "an earlier run left a placeholder"),
        (set(found.names) != set(order.names), f"it names {', '.join(found.names)}, not {', '.join(order.names)}"),
        (overdue, "it has not been renewed in time"),
        (server != order.directory, f"it came from {server}, not {order.directory}"),
        (not kept, "its renewal would not keep the key"),
        (held.trusted != order.ca, "the authority's CA certificates have changed"),
    )
    return next((reason for applies, reason in reasons if applies), None)


def _held(order: Order, lineage: Lineage) -> Held:
    """Read it from the host; raises :class:`HostError` where there is no key."""
    trusted = CA_FILE.read_text("utf-8") if CA_FILE.exists() else None
    return Held(lineage.certificate(), lineage.renewal(), read_key(order.key), trusted)


def _issue(order: Order, lineage: Lineage, held: Held) -> Certificate:
    """Ask the authority for a certificate; on failure put back what served before."""
    seeded = held.certificate is None or held.certificate.spki_sha256 != held.key
    if seeded:
        lineage.seed(order)
    try:
        acme.certbot(order, CA_FILE if order.ca else None)
        issued = _received(order, lineage, held.key)
    except BaseException:
        if seeded:
            lineage.restore()
        # The timer goes on renewing what serves, from the authority it came from.
        SupportFile(CA_FILE, held.trusted).install()
        raise
    lineage.forget_backup()
    return issued


def _received(order: Order, lineage: Lineage, key: str) -> Certificate:
    found = lineage.certificate()
    if found is None or found.self_signed or found.spki_sha256 != key:
        raise HostError(f"certbot succeeded, but {lineage.fullchain} is no certificate for the key in {order.key}")
    return found


def support(order: Order) -> list[SupportFile]:
    """Return the files certbot's own timer needs to renew as we would: trusted authority, reload of Postfix."""
    drop_in = Path("/etc/systemd/system/certbot.service.d/postseal.conf")
    hook = Path("/etc/letsencrypt/renewal-hooks/deploy/postseal")
    environment = f"""\
# Written by Postseal. certbot asks the authority through python-requests, which trusts what this variable names.
[Service]
Environment=REQUESTS_CA_BUNDLE={CA_FILE}
"""
    reload = f"""\
#!/bin/sh
# Written by Postseal. certbot runs this after each renewal (certbot(1), renewal-hooks/deploy). Postfix reads a
# certificate when an smtpd starts, so without a reload long-lived ones would serve the old one until they end.
[ "$RENEWED_LINEAGE" = {Lineage(order.name).live} ] || exit 0
postfix status >/dev/null 2>&1 || exit 0
exec postfix reload
"""
    return [
        SupportFile(CA_FILE, order.ca, 0o644),
        SupportFile(drop_in, environment if order.ca else None, 0o644),
        SupportFile(hook, reload, 0o755),
    ]


@contextmanager
def locked() -> Iterator[None]:
    """Hold the host's lock on its certificate; raises :class:`HostError` when another run has it."""
    RUN.mkdir(mode=0o755, exist_ok=True)
    handle = os.open(RUN / "certificate.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise HostError("another run is changing this host's certificate; wait for it to end") from None
    finally:
        os.close(handle)
