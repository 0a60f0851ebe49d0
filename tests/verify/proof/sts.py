# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The MTA-STS policy of a domain, fetched as senders fetch it (RFC 8461 3.2, 3.3), from every address of its host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.postseal.mail.plugins.module_utils.mailauth import mtasts, policyhost
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.policyhost import Fetched
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Domain

from .names import Names
from .outcome import CheckFailedError, NotTestedError
from .smtp import UnavailableError
from .tls import of_the_world

DAY = 86400


def fetch(domain: str, names: Names, ca: str | None, port: int = 443) -> Fetched:
    """Fetch the policy of ``domain``; raises :class:`UnavailableError` if its host does not answer in time."""
    host = mtasts.policy_host(domain)
    addresses = names.addresses(host)
    if not addresses:
        return Fetched(failure=f"{host} has no address")
    try:
        return policyhost.fetch(domain, addresses[0], of_the_world(ca), port)
    except policyhost.UnreachableError as error:
        raise UnavailableError(f"{host} ({addresses[0]}) {error}") from None


def fetch_own(domain: str, names: Names, ca: str | None, addresses: Sequence[str]) -> tuple[Fetched, ...]:
    """Fetch a policy that the mail hosts serve from each of their ``addresses``: those of its host, and no others.

    Raises :class:`UnavailableError` where this machine has no way to any of them.
    """
    host = mtasts.policy_host(domain)
    known = set(names.addresses(host))
    if missing := set(addresses) - known:
        return (Fetched(failure=f"{host} has no address {', '.join(sorted(missing))}"),)
    if others := known - set(addresses):
        return (Fetched(failure=f"{host} leads to {', '.join(sorted(others))} too, which is no mail host"),)
    context = of_the_world(ca)
    found = []
    for address in addresses:
        try:
            found.append(policyhost.fetch(domain, address, context))
        except policyhost.NoWayError:
            continue
        except policyhost.UnreachableError as error:
            found.append(Fetched(failure=f"{host} ({address}) {error}"))
    if not found:
        raise UnavailableError(f"{host} cannot be reached from here")
    return tuple(found)


def expect_policy(domain: Domain, fetched: Fetched, exchanges: Iterable[str]) -> None:
    """Pass if senders can use the policy, and it covers every host that receives mail.

    A policy that the mail hosts serve is also the one that the inventory asks for, or the same in testing.
    """
    try:
        policy = fetched.policy()
    except ValueError as error:
        raise CheckFailedError(str(error), domain=domain.name) from None
    switched_off = domain.mta_sts is not None and domain.mta_sts.mode == "none"
    wrong = [f"its mode is {policy.mode}"] if policy.mode == "none" and not switched_off else []
    if policy.max_age < DAY:
        wrong.append(f"its max_age is {policy.max_age}, less than a day")
    left_out = [] if policy.mode == "none" else mtasts.uncovered(policy, exchanges)
    wrong += [f"it does not name {host}, which receives mail" for host in left_out]
    if domain.mta_sts and domain.mta_sts.served and fetched.text not in texts(domain):
        wrong.append("it is not the one that the inventory asks for")
    if wrong:
        raise CheckFailedError("; ".join(wrong), domain=domain.name)


def texts(domain: Domain) -> list[str]:
    """Return the texts that the mail hosts may serve for ``domain``."""
    return [policy.text for policy in mtasts.acceptable(domain)]


def announced(domain: Domain, fetched: Iterable[Fetched]) -> str:
    """Return the id under which the policy that was fetched is to be announced.

    Raises :class:`NotTestedError` where several policies were fetched, or none.
    """
    found = {one.text for one in fetched if one.text}
    if len(found) != 1:
        raise NotTestedError(f"it is not known which policy is served for {domain.name}: see STS-2")
    return mtasts.identifier(found.pop())
