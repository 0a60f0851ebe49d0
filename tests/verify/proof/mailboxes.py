# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whether somebody reads what comes to a domain: its MX is asked, from a mail host, which is allowed to use port 25."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.postseal.mail.plugins.module_utils.model.types import Domain, Model

from .names import LookupFailedError, Names
from .outcome import CheckFailedError, NotTestedError

# RFC 5321 4.5.1, RFC 2142 2 and 4.
DUTIES = ("postmaster", "abuse")
# What one proof asks for at most: domains, servers of one, and addresses of one.
MOST, SERVERS, ADDRESSES = 40, 4, 20


@dataclass(frozen=True)
class Group:
    """Addresses of one domain, and the hosts that receive its mail in the order of their preference.

    :param failure: why the hosts are not known
    """

    hosts: tuple[str, ...]
    recipients: tuple[str, ...]
    failure: str = ""


def duties(domain: Domain) -> tuple[str, ...]:
    """Return the addresses that a domain with mail must have."""
    return tuple(f"{name}@{domain.name}" for name in DUTIES)


def returns(model: Model, domain: Domain) -> tuple[str, ...]:
    """Return where what cannot be delivered comes back to, as far as whole addresses are known."""
    if domain.bounce:
        return (domain.bounce,)
    senders = [
        sender for one in model.credentials if one.active for sender in one.senders if not sender.startswith("@")
    ]
    return tuple(dict.fromkeys(sender for sender in senders if sender.rpartition("@")[2] in domain.names))


def groups(model: Model, names: Names) -> list[Group]:
    """Return all that is to be asked, looked up in the DNS."""
    wanted: dict[str, list[str]] = {}
    for domain in model.sending_domains:
        for address in (*duties(domain), *returns(model, domain)):
            wanted.setdefault(address.rpartition("@")[2], []).append(address)
    found: list[Group] = []
    for name, addresses in list(wanted.items())[:MOST]:
        recipients = tuple(dict.fromkeys(addresses))[:ADDRESSES]
        try:
            found.append(Group(_exchanges(names, name)[:SERVERS], recipients))
        except LookupFailedError as error:
            found.append(Group((), recipients, str(error)))
    return found


def _exchanges(names: Names, domain: str) -> tuple[str, ...]:
    """Return the hosts that receive mail for ``domain`` (RFC 5321 5.1); without an MX that is the domain itself."""
    said = [str(value).split() for value in names.resolve(domain, "MX")]
    hosts = sorted((int(preference), host.rstrip(".")) for preference, host in said)
    return tuple(host for _, host in hosts) if hosts else (domain,)


def answers(asked: Sequence[Group], said: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return by address what its server answered; empty where none could be asked."""
    return {
        recipient: answer
        for group, answered in zip(asked, said, strict=True)
        for recipient, answer in zip(group.recipients, answered, strict=True)
    }


def expect_taken(addresses: Sequence[str], asked: Sequence[Group], said: Mapping[str, str]) -> list[str]:
    """Return the answers if all ``addresses`` are taken, as evidence.

    Raises :class:`CheckFailedError` for those that are refused for good, :class:`NotTestedError` for others.
    """
    known = {recipient: group for group in asked for recipient in group.recipients}
    refused = [f"{address}: {said[address]}" for address in addresses if said.get(address, "").startswith("5")]
    if refused:
        raise CheckFailedError("; ".join(refused))
    for address in addresses:
        if address not in known:
            raise NotTestedError(
                f"{address}: no more than {MOST} domains, {ADDRESSES} addresses of each, are asked for"
            )
        if known[address].hosts == ("",):
            raise CheckFailedError(f"{address}: the domain says that it takes no mail (null MX)")
        if not said.get(address):
            reason = known[address].failure or f"{', '.join(known[address].hosts)} cannot be asked on port 25"
            raise NotTestedError(f"{address}: {reason}")
        if not said[address].startswith("2"):
            raise NotTestedError(f"{address}: {said[address]}")
    return [f"{address}: {said[address]}" for address in addresses]


def argument(asked: Sequence[Group]) -> list[dict[str, Any]]:
    """Return the groups as :func:`host.mailboxes.ask` takes them."""
    return [{"hosts": [host for host in group.hosts if host], "recipients": list(group.recipients)} for group in asked]
