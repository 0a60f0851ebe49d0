# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a mail host has to know to send a message onward when it has sent enough directly on a day (WarmUp)."""

from __future__ import annotations

from typing import Any

from .relays import DIRECT, Route
from .types import Model
from .ways_rules import by_login


def onward(model: Model, route: Route) -> str | None:
    """Return where mail of ``route`` goes that may not go directly, as FILTER names it (access(5)).

    ``None``: it does not begin directly anyway.
    """
    if route.via[0] != DIRECT:
        return None
    handover = model.transports.of(route).handover
    return handover.onward.target if handover else None


def warm_up_plan(model: Model) -> dict[str, Any]:
    """Return the numbers of the days, and where the mail of each login, recipient domain and sender goes onward.

    Who asks must look in the order of :func:`.ways_rules.choose`.
    """
    warm_up = model.pace.warm_up
    if warm_up is None:
        raise ValueError("the inventory has no warm_up")
    logins = ((one.login, by_login(model, one)) for one in model.credentials if one.active)
    return {
        "start": warm_up.start.isoformat(),
        "numbers": list(warm_up.numbers),
        "logins": {login: onward(model, choice.route) for login, choice in logins if choice},
        "recipients": {one: onward(model, route) for route in model.routes for one in route.recipient_keys},
        "senders": {one: onward(model, route) for route in model.routes for one in route.senders},
        "bounces": {name: one.bounce for one in model.sending_domains if one.bounce for name in one.names},
        "default": onward(model, model.default_route),
    }
