# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Decide which host makes which DKIM key and who hands which key to whom, from what every host holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from .keys import DkimPublicKey, HostKeys, TlsPublicKey
from .types import MailHost, Model


class KeyPlanError(Exception):
    """Keys cannot be planned safely; the text says why and what to do."""


@dataclass(frozen=True)
class NewKey:
    """A DKIM key to make."""

    domain: str
    selector: str
    algorithm: str


@dataclass(frozen=True)
class KeyPlan:
    """What one host has to do: make these keys, hand these out, receive these."""

    create: tuple[NewKey, ...]
    export: tuple[DkimPublicKey, ...]
    receive: tuple[DkimPublicKey, ...]
    tls: bool


def from_dict(raw: Mapping[str, Any]) -> HostKeys:
    """Return :class:`HostKeys` from the dict an action handed around (the inverse of :func:`to_dict`)."""
    return HostKeys(
        host=raw["host"],
        dkim=tuple(DkimPublicKey(**key) for key in raw["dkim"]),
        tls=tuple(TlsPublicKey(**key) for key in raw["tls"]),
    )


def to_dict(keys: HostKeys) -> dict[str, Any]:
    """Return ``keys`` as plain dicts and lists, in the shape a fact has."""
    found = asdict(keys)
    return {"host": found["host"], "dkim": list(found["dkim"]), "tls": list(found["tls"])}


def selector(environment: str, today: date, algorithm: str) -> str:
    """Return a selector (RFC 6376 3.1) of environment, day and algorithm, so that none is ever used for two keys."""
    return f"{environment}-{today:%Y%m%d}-{algorithm}"


def relevant(model: Model, keys: HostKeys) -> HostKeys:
    """Return ``keys`` without those of domains or algorithms that the inventory does not name."""
    wanted = _wanted(model)
    names = {host.name for host in model.hosts}
    return HostKeys(
        host=keys.host,
        dkim=tuple(sorted((key for key in keys.dkim if (key.domain, key.algorithm) in wanted), key=_order)),
        tls=tuple(key for key in keys.tls if key.name == keys.host and key.name in names),
    )


def complete(model: Model, keys: HostKeys) -> bool:
    """Tell whether one host holds a key for each domain and algorithm, and its TLS key."""
    return bool(keys.tls) and set(_wanted(model)) == {(key.domain, key.algorithm) for key in relevant(model, keys).dkim}


def plan(model: Model, held: Sequence[HostKeys], host: MailHost, today: date) -> KeyPlan:
    """Return what ``host`` has to do so that every mail host ends up with every DKIM key.

    ``held`` is what each host that was asked holds. The first mail host makes what nobody has; a key is handed out by
    the first host that holds it. Raises :class:`KeyPlanError` when a key is missing everywhere but not everybody was
    asked: a new key would then replace one that exists on the host that is down.
    """
    known = {keys.host: relevant(model, keys) for keys in held}
    exists = {(key.domain, key.algorithm) for keys in known.values() for key in keys.dkim}
    missing = [
        NewKey(domain, selector(model.environment, today, algorithm), algorithm)
        for domain, algorithm in _wanted(model)
        if (domain, algorithm) not in exists
    ]
    silent = [other.name for other in model.hosts if other.name not in known]
    if missing and silent:
        raise KeyPlanError(
            f"no DKIM key for {missing[0].domain} ({missing[0].algorithm}) was found, but {', '.join(silent)} "
            "was not asked and may hold it; run without --limit and with every mail host reachable"
        )
    donors: dict[DkimPublicKey, str] = {}
    for other in model.hosts:
        for key in known[other.name].dkim if other.name in known else ():
            donors.setdefault(key, other.name)
    own = set(known[host.name].dkim) if host.name in known else set()
    lacking = {key for key in donors for keys in known.values() if key not in keys.dkim}
    return KeyPlan(
        create=tuple(missing) if model.hosts[0] == host else (),
        export=tuple(sorted((key for key in lacking if donors[key] == host.name), key=_order)),
        receive=tuple(sorted((key for key in donors if key not in own), key=_order)),
        tls=host.name in known and not known[host.name].tls,
    )


def _wanted(model: Model) -> tuple[tuple[str, str], ...]:
    """Return (domain, algorithm) of every key the inventory asks for; a parked domain has none."""
    return tuple((domain.name, algorithm) for domain in model.sending_domains for algorithm in domain.dkim.algorithms)


def _order(key: DkimPublicKey) -> tuple[str, str, str]:
    return key.domain, key.algorithm, key.selector
