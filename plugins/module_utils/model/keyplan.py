# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Decide which host makes which DKIM key and who hands which key to whom, from what every host holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from ..dkim.begin import begin
from ..dkim.lifecycle import NO_WISHES, LifecycleError, Wishes
from ..dkim.states import PRESENT, REMOVED, Lifecycle, from_document, to_document
from .keys import DkimPublicKey, HostKeys, NewKey, TlsPublicKey
from .types import MailHost, Model


@dataclass(frozen=True)
class KeyPlan:
    """What one host has to do: make these keys, delete those, hand these out, receive these.

    :param known: what the host should know of the keys' states afterwards; ``None`` if it does already
    :param notes: what the operator should hear
    """

    create: tuple[NewKey, ...]
    remove: tuple[DkimPublicKey, ...]
    export: tuple[DkimPublicKey, ...]
    receive: tuple[DkimPublicKey, ...]
    tls: bool
    known: Lifecycle | None = None
    notes: tuple[str, ...] = ()


def from_dict(raw: Mapping[str, Any]) -> HostKeys:
    """Return :class:`HostKeys` from the dict an action handed around (the inverse of :func:`to_dict`).

    Raises :class:`~..dkim.states.StateError`.
    """
    state = raw.get("state") or {}
    return HostKeys(
        host=raw["host"],
        dkim=tuple(DkimPublicKey(**key) for key in raw["dkim"]),
        tls=tuple(TlsPublicKey(**key) for key in raw["tls"]),
        lifecycle=from_document(state, str(state.get("environment"))),
    )


def to_dict(keys: HostKeys, environment: str) -> dict[str, Any]:
    """Return ``keys`` as plain dicts and lists, in the shape a fact has."""
    return {
        "host": keys.host,
        "dkim": [asdict(key) for key in keys.dkim],
        "tls": [asdict(key) for key in keys.tls],
        "state": to_document(keys.lifecycle, environment) if keys.lifecycle.known else None,
    }


def relevant(model: Model, keys: HostKeys) -> HostKeys:
    """Return ``keys`` without those of domains that do not send, or of algorithms that were never wanted."""
    wanted = {domain.name: domain.dkim.algorithms for domain in model.sending_domains}
    names = {host.name for host in model.hosts}

    def counts(key: DkimPublicKey) -> bool:
        known = keys.lifecycle.find(key.domain, key.selector) is not None
        return key.domain in wanted and (known or key.algorithm in wanted[key.domain])

    return HostKeys(
        host=keys.host,
        dkim=tuple(sorted(filter(counts, keys.dkim), key=_order)),
        tls=tuple(key for key in keys.tls if key.name == keys.host and key.name in names),
        lifecycle=keys.lifecycle,
    )


def complete(model: Model, keys: HostKeys, now: datetime) -> bool:
    """Tell whether a host has all that it needs and nothing is due, if all other hosts are like it."""
    alike = [replace(keys, host=host.name) for host in model.hosts]
    try:
        turn = begin(model, alike, now)
    except LifecycleError:
        return False
    held = {(key.domain, key.selector) for key in keys.dkim}
    wanted = {key.name for key in turn.known.keys if key.state in PRESENT}
    over = {key.name for key in turn.known.keys if key.state == REMOVED}
    known = turn.known == keys.lifecycle and not turn.create
    return bool(keys.tls) and known and not over & held and _of(model, wanted) <= held


def _of(model: Model, names: set[tuple[str, str]]) -> set[tuple[str, str]]:
    sending = {domain.name for domain in model.sending_domains}
    return {name for name in names if name[0] in sending}


def plan(
    model: Model,
    held: Sequence[HostKeys],
    host: MailHost,
    now: datetime,
    wishes: Wishes = NO_WISHES,
) -> KeyPlan:
    """Return what ``host`` has to do so that every mail host ends up with every DKIM key there is to be.

    ``held`` is what each host that was asked holds. The first mail host makes keys; a key is handed out by the first
    host that holds it. Raises :class:`~..dkim.lifecycle.LifecycleError` when a key is missing everywhere but not
    everybody was asked: a new key would then replace one that exists on the host that is down.
    """
    known = {keys.host: relevant(model, keys) for keys in held}
    turn = begin(model, list(known.values()), now, wishes)
    present = {key.name for key in turn.known.keys if key.state in PRESENT}
    over = {key.name for key in turn.known.keys if key.state == REMOVED}
    donors: dict[DkimPublicKey, str] = {}
    for other in model.hosts:
        for key in known[other.name].dkim if other.name in known else ():
            if (key.domain, key.selector) in present:
                donors.setdefault(key, other.name)
    mine = known.get(host.name)
    own = set(mine.dkim) if mine else set()
    lacking = {key for key in donors for keys in known.values() if key not in keys.dkim}
    return KeyPlan(
        create=turn.create if model.hosts[0] == host else (),
        remove=tuple(sorted((key for key in own if (key.domain, key.selector) in over), key=_order)),
        export=tuple(sorted((key for key in lacking if donors[key] == host.name), key=_order)),
        receive=tuple(sorted((key for key in donors if key not in own), key=_order)),
        tls=mine is not None and not mine.tls,
        known=None if mine is None or mine.lifecycle == turn.known else turn.known,
        notes=turn.notes,
    )


def _order(key: DkimPublicKey) -> tuple[str, str, str]:
    return key.domain, key.algorithm, key.selector
