# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Read what protects the service: limits, firewall, containment, and what its logs keep."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from . import values
from .defences import Bounces, Containment, CounterStore, Firewall, Log, Spike
from .passwords import check_strength
from .problems import Invalid, Section
from .types import MailHost, Secret

LIMITS_KEYS = ("default", "store")
STORE_KEYS = ("host", "address", "port", "password")
FIREWALL_KEYS = ("enabled", "failures", "within", "ban", "never")
CONTAINMENT_KEYS = ("spike", "bounces", "notify")
SPIKE_KEYS = ("factor", "at_least")
BOUNCES_KEYS = ("percent", "at_least")
LOG_KEYS = ("retention", "addresses", "readers")
ADDRESSES = ("keep", "hash", "drop")
_GROUP = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
# It stands unquoted in two languages of configuration.
_STORE_PASSWORD = re.compile(r"[A-Za-z0-9._~+/=-]+")
LOOPBACK = "127.0.0.1"
_MINUTE, _DAY = 60, 86400


def read_store(limits: Section, hosts: tuple[MailHost, ...], counted: bool) -> CounterStore | None:
    """Return where is counted what credentials send; ``None`` if nothing has to be (``counted``) or nowhere.

    ``limits`` is ``postseal_limits``. Without a word of it the first mail host keeps the counters.
    """
    store = limits.section("store", STORE_KEYS, secret=True)
    by_name = {host.name: host for host in hosts}
    name = store.get("host", values.domain_name, None)
    address = store.get("address", values.address, None)
    port = store.get("port", values.port, CounterStore.port)
    password = store.get("password", _store_password, None, secret=True)
    if name is not None and name not in by_name:
        store.collector.add(store.at("host"), f"is not a mail host; they are {', '.join(by_name)}", name)
        return None
    if name is None and address is None and hosts:
        name = hosts[0].name
    if not counted or (name is None and address is None):
        return None
    alone = name is not None and len(hosts) == 1
    if address is None:
        address = LOOPBACK if alone else by_name[str(name)].addresses[0]
    if not alone:
        _check_shared(store, address, password)
    return CounterStore(name, address, port, password)


def _check_shared(store: Section, address: str, password: Secret | None) -> None:
    """Note what several hosts that count in one place need: a password, and a network nobody else listens in."""
    if password is None and not store.has("password"):
        fix = "is missing; several hosts count in one place, so give it a random password, from your vault"
        store.collector.add(store.at("password"), fix)
    if not ipaddress.ip_address(address).is_private:
        fix = "must be a private address, since counters travel unencrypted; set one that the mail hosts share"
        store.collector.add(store.at("address"), fix, address)


def _store_password(value: Any) -> Secret:
    written = values.text(value)
    if not _STORE_PASSWORD.fullmatch(written):
        raise Invalid("must be letters, digits and ._~+/=- only; make one with: openssl rand -base64 24")
    return check_strength(written)


def read_firewall(variables: Section) -> Firewall:
    """Return who is banned from the submission ports after how many failed logins."""
    said = variables.section("postseal_firewall", FIREWALL_KEYS)
    return Firewall(
        enabled=said.get("enabled", values.boolean, Firewall.enabled),
        failures=said.get("failures", values.integer(3, 1000), Firewall.failures),
        within=said.get("within", _seconds(_MINUTE, _DAY, "1m to 1d"), Firewall.within),
        ban=said.get("ban", _seconds(_MINUTE, 30 * _DAY, "1m to 30d"), Firewall.ban),
        never=said.each("never", values.network),
    )


def read_containment(variables: Section) -> Containment:
    """Return what suspends a credential by itself: nothing, unless it is said."""
    said = variables.section("postseal_containment", CONTAINMENT_KEYS)
    spike, bounces = said.section("spike", SPIKE_KEYS), said.section("bounces", BOUNCES_KEYS)
    notify = said.each("notify", values.mail_address)
    if notify and not (said.has("spike") or said.has("bounces")):
        fix = "has nothing to tell of; say what suspends a credential: spike: {}, bounces: {}, or both"
        said.collector.add(said.at("notify"), fix, list(notify))
    return Containment(
        spike=Spike(
            factor=spike.get("factor", values.integer(2, 1000), Spike.factor),
            at_least=spike.get("at_least", values.integer(1, 10**9), Spike.at_least),
        )
        if said.has("spike")
        else None,
        bounces=Bounces(
            percent=bounces.get("percent", values.integer(1, 100), Bounces.percent),
            at_least=bounces.get("at_least", values.integer(1, 10**9), Bounces.at_least),
        )
        if said.has("bounces")
        else None,
        notify=notify,
    )


def read_log(variables: Section) -> Log:
    """Return how long logs are kept, and what becomes of the addresses in them."""
    said = variables.section("postseal_log", LOG_KEYS)
    return Log(
        retention=said.get("retention", _seconds(_DAY, 3650 * _DAY, "1d to 3650d"), Log.retention),
        addresses=said.get("addresses", values.choice(ADDRESSES), Log.addresses),
        readers=said.get("readers", _group, Log.readers),
    )


def _seconds(lowest: int, highest: int, meant: str) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        seconds = values.duration(value)
        if not lowest <= seconds <= highest:
            raise Invalid(f"must be from {meant}")
        return seconds

    return parse


def _group(value: Any) -> str:
    written = values.text(value)
    if not _GROUP.fullmatch(written):
        raise Invalid("must be the name of a group on the mail hosts, like adm")
    return written
