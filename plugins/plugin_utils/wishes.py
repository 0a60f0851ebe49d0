# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the operator wishes for keys, and what was seen of them, from the arguments of a task to the lifecycle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ..module_utils.dkim.lifecycle import Sight, Turn, Wishes
from ..module_utils.dkim.signing import seen, switched
from ..module_utils.dkim.states import Lifecycle, moment
from ..module_utils.model import values
from ..module_utils.model.problems import Invalid
from ..module_utils.model.types import Model

WISHES = {
    "domain": {"type": "list", "elements": "str", "default": []},
    "rotate": {"type": "bool", "default": False},
    "cancel": {"type": "bool", "default": False},
    "postpone": {"type": "str", "default": ""},
    "revoke": {"type": "bool", "default": False},
    "lost": {"type": "bool", "default": False},
}


def wishes(said: Mapping[str, Any], model: Model, now: datetime) -> Wishes:
    """Return the wishes for the domains that are named, for all that send if none is.

    Raises :class:`ValueError` for a domain that does not send, or a time that is none.
    """
    sending = [domain.name for domain in model.sending_domains]
    named = said.get("domain") or []
    unknown = [name for name in named if name not in sending]
    if unknown:
        raise ValueError(f"domain: {', '.join(unknown)} does not send here; those that do are {', '.join(sending)}")
    domains = frozenset(named or sending)
    drastic = [wish for wish in ("revoke", "lost") if said.get(wish)]
    if drastic and not named:
        raise ValueError(f"{drastic[0]}: say which domain it is for, -e domain={sending[0]}")

    def if_said(wish: str) -> frozenset[str]:
        return domains if said.get(wish) else frozenset()

    return Wishes(
        rotate=if_said("rotate"),
        cancel=if_said("cancel"),
        postpone=_postponed(said.get("postpone") or "", domains, now),
        revoke=if_said("revoke"),
        lost=if_said("lost"),
    )


def _postponed(said: str, domains: Iterable[str], now: datetime) -> dict[str, datetime]:
    if not said:
        return {}
    try:
        seconds = 0 if said == "0" else values.duration(said)
    except Invalid as error:
        raise ValueError(f"postpone: {said}: {error}; 0 takes it back") from None
    return dict.fromkeys(domains, now + timedelta(seconds=seconds))


def sights(model: Model, known: Lifecycle, found: Iterable[Mapping[str, Any]]) -> Turn:
    """Return what keys come to by what the ``dns`` action saw of their records."""
    return seen(model, known, [Sight(**{**one, "at": moment(one["at"])}) for one in found])


def switches(model: Model, known: Lifecycle, found: Iterable[Mapping[str, Any]], run: str, otherwise: datetime) -> Turn:
    """Return what keys come to by what hosts were seen to sign with in this ``run``, as of the last of them.

    A fact cache may remember another run's. ``otherwise`` is when nothing was seen.
    """
    listed = [one for one in found if one["run"] == run]
    signing = {one["host"]: [(domain, selector) for domain, selector in one["keys"]] for one in listed}
    return switched(model, known, signing, max((moment(one["at"]) for one in listed), default=otherwise))
