# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""From the variables of an inventory to a :class:`~.types.Model`, or to a list of everything that is wrong."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from . import outbound_read, pace_read, rules, values, ways_rules
from .applications import read_credentials, read_probe, read_rate
from .credentials import Rate
from .defences import SendingLimits
from .dns import read_dns
from .guards import LIMITS_KEYS, read_containment, read_firewall, read_log, read_store
from .placeholders import refuse_placeholders
from .problems import Collector, Invalid, InventoryError, Section, nearest
from .senders import read_domains
from .services import read_submission, read_tls
from .types import MailHost, Model
from .ways import read_relays, read_routes

VARIABLES = (
    "postseal_environment",
    "postseal_submission",
    "postseal_tls",
    "postseal_dns",
    "postseal_domains",
    "postseal_credentials",
    "postseal_relays",
    "postseal_routes",
    "postseal_outbound_tls",
    "postseal_pace",
    "postseal_limits",
    "postseal_firewall",
    "postseal_containment",
    "postseal_log",
    "postseal_probe",
)
HOST_VARIABLES = ("postseal_addresses",)
GROUP = "postseal_submission"


@dataclass(frozen=True)
class HostVariables:
    """What the inventory says of one mail host: where Ansible reaches it, the ``postseal_*`` variables it sees."""

    ansible_host: str | None = None
    addresses: Any = None


@dataclass(frozen=True)
class Inventory:
    """The raw input: the inventory folder's name, ``postseal_*`` variables, mail hosts by name in inventory order."""

    folder: str
    variables: Mapping[str, Any]
    hosts: Mapping[str, HostVariables] = field(default_factory=dict)


def load(inventory: Inventory, today: date) -> Model:
    """Return the model of ``inventory`` on the day ``today`` (UTC).

    Raises :class:`InventoryError` with every problem found, not the first.
    """
    collector = Collector()
    _unknown_variables(inventory.variables, collector)
    refuse_placeholders(inventory.variables, collector)
    variables = Section(
        {key: value for key, value in inventory.variables.items() if key in VARIABLES},
        "",
        collector,
        VARIABLES,
    )
    hosts = _hosts(inventory.hosts, collector)
    environment = variables.get("postseal_environment", values.environment, "")
    if not environment and not variables.has("postseal_environment"):
        environment = (
            collector.parse(
                "postseal_environment (default: the inventory folder's name)", inventory.folder, values.environment
            )
            or ""
        )
    submission = read_submission(variables)
    tls = read_tls(variables)
    dns = read_dns(variables)
    domains = read_domains(variables)
    limits = variables.section("postseal_limits", LIMITS_KEYS)
    default_rate = read_rate(limits, "default", Rate())
    credentials = read_credentials(variables, today, default_rate)
    probe = read_probe(variables, credentials)
    containment = read_containment(variables)
    counted = containment.enabled or any(credential.rate for credential in credentials)
    store = read_store(limits, hosts, counted)
    relays = read_relays(variables)
    routes = read_routes(variables)
    outbound, pace = outbound_read.read_outbound(variables), pace_read.read_pace(variables)
    firewall, log = read_firewall(variables), read_log(variables)
    if dns is None or tls is None:
        raise InventoryError(collector.problems)
    model = Model(
        environment,
        hosts,
        submission,
        tls,
        dns,
        domains,
        credentials,
        probe,
        SendingLimits(default_rate, store),
        firewall,
        containment,
        log,
        relays,
        routes,
        outbound,
        pace,
    )
    rules.check(model, collector)
    ways_rules.check(model, collector)
    outbound_read.check(model, collector)
    pace_read.check(model, collector)
    if collector.problems:
        raise InventoryError(collector.problems)
    return model


def _unknown_variables(variables: Mapping[str, Any], collector: Collector) -> None:
    for name in variables:
        if name.startswith("postseal_") and name not in VARIABLES + HOST_VARIABLES:
            hint = nearest(name, VARIABLES + HOST_VARIABLES) or f"the variables are {', '.join(VARIABLES)}"
            collector.add(name, f"is not a variable that is known here; {hint}")


def _hosts(hosts: Mapping[str, HostVariables], collector: Collector) -> tuple[MailHost, ...]:
    if not hosts:
        collector.add(f"group {GROUP}", f"has no hosts; name at least one mail host in hosts.yml below {GROUP}.hosts")
    return tuple(host for name, said in hosts.items() if (host := _host(name, said, collector)) is not None)


def _host(name: str, said: HostVariables, collector: Collector) -> MailHost | None:
    where = f"{GROUP}.hosts.{name}"
    canonical = collector.parse(where, name, values.domain_name)
    addresses = _addresses(where, said, collector)
    if canonical is None or not addresses:
        return None
    parsed = [ipaddress.ip_address(address) for address in addresses]
    return MailHost(
        name=canonical,
        ipv4=tuple(str(address) for address in parsed if address.version == 4),  # noqa: PLR2004
        ipv6=tuple(str(address) for address in parsed if address.version == 6),  # noqa: PLR2004
    )


def _addresses(where: str, said: HostVariables, collector: Collector) -> Sequence[str]:
    if said.addresses is not None:
        section = Section({"postseal_addresses": said.addresses}, where, collector, HOST_VARIABLES)
        listed = section.each("postseal_addresses", values.address)
        if not said.addresses:
            collector.add(section.at("postseal_addresses"), "must list the addresses this host sends from")
        return listed
    try:
        return (values.address(said.ansible_host),)
    except Invalid:
        collector.add(
            where,
            "has no address it sends from; make ansible_host an address or list them in postseal_addresses",
            said.ansible_host,
        )
        return ()
