# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""See which MTA-STS policies every mail host serves: only those are announced (RFC 8461 8.1: first the policy)."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ..module_utils.mailauth import mtasts, policyhost
from ..module_utils.mailauth.spf_budget import Resolve, Unresolvable
from ..module_utils.model.types import Domain, Model

PORT = 443
# A firewall that does not know of the port yet lets questions vanish: they are few, one an address, and short.
PATIENCE = 3.0
WORKERS = 16


@dataclass(frozen=True)
class Announcements:
    """What may be announced.

    :param ids: by domain the id of its policy
    :param withheld: by domain why the policy of the inventory is not, or not yet, announced
    """

    ids: Mapping[str, str]
    withheld: Mapping[str, str]


def announcements(model: Model, resolve: Resolve) -> Announcements:
    """Return what may be announced of the policies that the mail hosts serve.

    A policy that is announced already is not fetched again: a run that changes nothing asks the DNS, and no host.
    """
    ids: dict[str, str] = {}
    withheld: dict[str, str] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        standing = pool.map(lambda domain: announced(domain, resolve), model.policy_domains)
        due = []
        for domain, found in zip(model.policy_domains, standing, strict=True):
            wanted = mtasts.policy_of(domain).id
            if found == {wanted}:
                ids[domain.name] = wanted
            else:
                due.append(domain)
        if not due:
            return Announcements(ids, withheld)
        closed = _closed(model, pool)
        context = policyhost.trusting_the_world(model.tls.ca)
        seen = pool.map(lambda domain: _seen(domain, closed, context), due)
        for domain, (policy, problem) in zip(due, seen, strict=True):
            if policy is not None:
                ids[domain.name] = policy.id
            if problem:
                withheld[domain.name] = problem
    return Announcements(ids, withheld)


def announced(domain: Domain, resolve: Resolve) -> set[str]:
    """Return the ids that the DNS announces for ``domain``; nothing where nobody knows."""
    try:
        values = resolve(mtasts.record_name(domain.name), "TXT")
    except Unresolvable:
        return set()
    found = set()
    for value in values:
        if isinstance(value, bytes) and mtasts.is_sts(value):
            try:
                found.add(mtasts.parse(value))
            except ValueError:
                found.add("")
    return found


def _closed(model: Model, pool: ThreadPoolExecutor) -> dict[str, str]:
    """Return by address why nothing can be fetched from it; empty if something may.

    Addresses that this machine has no way to are left out where it has one to another address of that host.
    """
    addresses = [address for host in model.hosts for address in host.addresses]
    found = dict(zip(addresses, pool.map(_knock, addresses), strict=True))
    kept: dict[str, str] = {}
    for host in model.hosts:
        near = [address for address in host.addresses if not isinstance(found[address], policyhost.NoWayError)]
        kept |= {address: str(found[address] or "") for address in near or host.addresses}
    return kept


def _knock(address: str) -> policyhost.UnreachableError | None:
    try:
        policyhost.reach(address, PORT, PATIENCE).close()
    except policyhost.UnreachableError as problem:
        return problem
    return None


def _seen(domain: Domain, closed: Mapping[str, str], context: ssl.SSLContext) -> tuple[mtasts.Policy | None, str]:
    """Return the policy that all addresses serve, if it is one that may be announced, and what is still wrong."""
    host = mtasts.policy_host(domain.name)
    found: set[str] = set()
    for address, problem in closed.items():
        if problem:
            return None, f"{host} at {address}: {problem}"
        try:
            fetched = policyhost.fetch(domain.name, address, context)
            fetched.policy()
        except (ValueError, policyhost.UnreachableError) as error:
            return None, f"{host} at {address}: {error}"
        found.add(fetched.text)
    acceptable = {policy.text: policy for policy in mtasts.acceptable(domain)}
    wanted = mtasts.policy_of(domain)
    if found == {wanted.text}:
        return wanted, ""
    if len(found) == 1 and (policy := acceptable.get(found.pop())):
        return policy, f"{host} serves the policy in mode {policy.mode}, not {wanted.mode}"
    return None, f"{host} serves another policy than the inventory has"
