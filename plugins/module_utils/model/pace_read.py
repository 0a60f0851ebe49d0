# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Read how fast mail goes to the recipients' own servers: ``postseal_pace``."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

from . import values
from .credentials import PERIODS
from .pace import BUILT_IN, Pace, Receiver, by_domain
from .problems import Collector, Invalid, Section, nearest
from .relays import DIRECT
from .types import Model
from .warm_up import WarmUp

VARIABLE = "postseal_pace"
PACE_KEYS = ("concurrency", "receivers", "warm_up")
RECEIVER_KEYS = ("domains", "concurrency", "rate")
WARM_UP_KEYS = ("start", "first_day", "growth", "until", "hosts")
_MOST_CONNECTIONS = 100  # processes of one service (postconf(5), default_process_limit)
_RATE = re.compile(r"([1-9][0-9]{0,8})\s*/\s*(m|h)")
_HOUR = 3600
_MOST_A_DAY = 10**7
_FAR = 2900
_LEAST_GROWTH, _MOST_GROWTH = 1.01, 10


def read_pace(variables: Section) -> Pace:
    """Return the pace; absent parts have the defaults of :class:`Pace`."""
    said = variables.section(VARIABLE, PACE_KEYS)
    return Pace(
        concurrency=said.get("concurrency", values.integer(1, _MOST_CONNECTIONS), Pace.concurrency),
        receivers=_receivers(said),
        warm_up=_warm_up(said) if said.has("warm_up") else None,
    )


def _receivers(pace: Section) -> tuple[Receiver, ...]:
    section = pace.mapping("receivers")
    found = {receiver.name: receiver for receiver in BUILT_IN}
    known = tuple(found)
    for written, value in section.values.items():
        path = section.at(str(written))
        name = pace.collector.parse(path, written, _name)
        said = Section(value, path, pace.collector, RECEIVER_KEYS)
        if name is None:
            continue
        if name in found and name not in known:
            pace.collector.add(path, "is listed twice; remove one", written)
        found[name] = _receiver(said, name, found.get(name), known)
    owners: dict[str, str] = {}
    for receiver in found.values():
        for domain in receiver.domains:
            owner = owners.setdefault(domain, receiver.name)
            if owner != receiver.name:
                fix = f"is a domain of {owner} already; remove it here, or say the pace of {owner}"
                pace.collector.add(f"{section.at(receiver.name)}.domains", fix, domain)
    return tuple(found.values())


def _receiver(said: Section, name: str, before: Receiver | None, known: tuple[str, ...]) -> Receiver:
    domains = said.each("domains", values.domain_name)
    if before is None and not said.values.get("domains"):
        hint = nearest(name, known) or f"the receivers that are known are {', '.join(known)}"
        said.collector.add(said.at("domains"), f"is missing; list the recipient domains that are meant; {hint}")
    delay = said.get("rate", _delay, 0)
    if said.has("rate") and said.has("concurrency"):
        fix = "has no effect beside rate, which sends one message after the other; remove one of the two"
        said.collector.add(said.at("concurrency"), fix, said.values["concurrency"])
    concurrency = said.get(
        "concurrency", values.integer(1, _MOST_CONNECTIONS), before.concurrency if before else Pace.concurrency
    )
    mine = Receiver(name, domains, 1 if delay else concurrency, delay, said=True)
    return replace(mine, domains=(*before.domains, *domains)) if before else mine


def _warm_up(pace: Section) -> WarmUp | None:
    said = pace.section("warm_up", WARM_UP_KEYS)
    start = said.require("start", _start, "give the first day on which mail leaves directly, like 2027-01-15")
    number = values.integer(1, _MOST_A_DAY)
    first, until = said.get("first_day", number, WarmUp.first_day), said.get("until", number, WarmUp.until)
    growth = said.get("growth", _growth, WarmUp.growth)
    hosts = said.each("hosts", values.domain_name)
    if said.values.get("hosts") == []:
        said.collector.add(said.at("hosts"), "is empty; list the mail hosts with a new address, or remove it")
    if first >= until:
        fix = f"must be above first_day, which is {first}: it is the number at which the limit ends"
        said.collector.add(said.at("until"), fix, until)
        return None
    return None if start is None else WarmUp(start, first, growth, until, hosts)


def check(model: Model, collector: Collector) -> None:
    """Note a pace without mail that it is about, and a warm-up that nobody takes the rest of."""
    paced = by_domain(model.pace.receivers, model.routes, model.transports)
    for receiver in model.pace.receivers:
        if receiver.said and receiver.domains and not any(domain in paced for domain in receiver.domains):
            _check_idle(model, receiver, collector)
    if model.pace.warm_up:
        _check_warm_up(model, model.pace.warm_up, collector)


def _check_idle(model: Model, receiver: Receiver, collector: Collector) -> None:
    path = f"{VARIABLE}.receivers.{receiver.name}"
    if any(route.senders for route in model.routes):
        fix = (
            "has no effect: postseal_routes has routes by sender, which a pace by recipient would undo; name credential"
            " or stream there instead of sender, or remove this"
        )
    else:
        fix = f"has no effect: postseal_routes sends none of its domains to {DIRECT} first; remove it"
    collector.add(path, fix)


def _check_warm_up(model: Model, warm_up: WarmUp, collector: Collector) -> None:
    path = f"{VARIABLE}.warm_up"
    names = [host.name for host in model.hosts]
    for host in warm_up.hosts:
        if host not in names:
            hint = nearest(host, names) or f"they are {', '.join(names)}"
            collector.add(f"{path}.hosts", f"is not a mail host; {hint}", host)
    if not any(route.via[0] == DIRECT for route in model.routes):
        fix = (
            f"has no effect: no route begins with {DIRECT}; say via: [{DIRECT}, RELAY] in postseal_routes, or remove it"
        )
        collector.add(path, fix)
    for index, route in enumerate(model.routes):
        if route.via == (DIRECT,):
            fix = (
                f"leads to {DIRECT} alone, so nobody takes what exceeds the number of a day (postseal_pace.warm_up);"
                f" name a relay behind it: via: [{DIRECT}, RELAY]"
            )
            collector.add(f"postseal_routes[{index}].via", fix, DIRECT)


def _name(value: Any) -> str:
    name = values.text(value).lower()
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?", name):
        hint = "; its domains belong below it, in domains" if "." in name else ""
        raise Invalid(f"must be a name of at most 20 letters, digits and inner hyphens{hint}")
    return name


def _delay(value: Any) -> int:
    """Return the seconds between two messages of a rate, never too few: Postfix knows whole ones alone."""
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise Invalid("must be a number for each minute or hour, like 30/m or 200/h")
    seconds, count = next(period for period, letter in PERIODS.items() if letter == match[2]), int(match[1])
    if count > seconds:
        raise Invalid(
            "must be at most 60/m, which is 3600/h: Postfix sends one message a second; say concurrency instead"
        )
    return -(-seconds // count)


def _start(value: Any) -> date:
    day = values.day(value)
    if day.year >= _FAR:
        raise Invalid("is too far away; must be the first day on which mail leaves directly, like 2027-01-15")
    return day


def _growth(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _LEAST_GROWTH <= value <= _MOST_GROWTH:
        raise Invalid(f"must be a number from {_LEAST_GROWTH} to {_MOST_GROWTH}, by which each day has more, like 1.5")
    return float(value)
