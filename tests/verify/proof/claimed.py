# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the DNS has to say: the claims of the engine that publishes them, asked of every authoritative server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.postseal.mail.plugins.module_utils.dns.claims import Claim
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import PlanError
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.claims import desired
from ansible_collections.postseal.mail.plugins.module_utils.model.keyplan import from_dict, relevant
from ansible_collections.postseal.mail.plugins.module_utils.model.keys import HostKeys
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Domain

from .names import Answer
from .observe import Observed, Observer
from .outcome import NotTestedError

Asked = tuple[Claim, Observed[tuple[Answer, ...]]]
"""A claim, and what every authoritative server says at its place."""


def held_keys(observed: Observer) -> tuple[HostKeys, ...]:
    """Return the public halves of every mail host's keys; raises NotTestedError if a host cannot be asked."""
    return tuple(
        relevant(observed.model, from_dict({"host": host.name, **_public(observed.host_facts(host, "keys"))}))
        for host in observed.model.hosts
    )


def _public(facts: dict[str, Any]) -> dict[str, Any]:
    return {part: facts[part] for part in ("dkim", "tls", "state")}


class Claims:
    """The claims of a model, and what the authoritative servers say to each. Claims without keys need no host."""

    def __init__(self, observed: Observer) -> None:
        self._observed = observed
        self._asked: dict[tuple[str, str], Observed[tuple[Answer, ...]]] = {}
        self._with_keys: tuple[Claim, ...] | None = None
        # Asked now, so that the answers are there when the first check wants them.
        self._without_keys = desired(observed.model, ()).claims
        for claim in self._without_keys:
            self._ask(claim.name, claim.type)

    def of(self, label: str, owners: Sequence[str]) -> list[Asked]:
        """Return the claims whose slot begins with ``label`` made on behalf of ``owners``, with the answers.

        Raises NotTestedError where a claim needs keys and they cannot be read or contradict each other.
        """
        needs_keys = label.startswith(("dkim", "tlsa"))
        claims = self._all() if needs_keys else self._without_keys
        return [
            (claim, self._ask(claim.name, claim.type))
            for claim in claims
            if claim.slot.label.startswith(label) and claim.anchor in owners
        ]

    def announcing(self, domain: Domain, policy: str) -> list[Asked]:
        """Return the claim that announces the MTA-STS policy with the id ``policy``, with the answers."""
        claims = desired(self._observed.model, (), {domain.name: policy}).claims
        own = (claim for claim in claims if claim.slot.label == "sts" and claim.anchor == domain.name)
        return [(claim, self._ask(claim.name, claim.type)) for claim in own]

    def announced(self, owner: str) -> tuple[Value, ...]:
        """Return the TLSA data at ``owner`` on all authoritative servers; raises NotTestedError if one is silent."""
        answers = self._ask(owner, "TLSA").result()
        for answer in answers:
            if answer.failure:
                raise NotTestedError(f"{answer.server.name} ({answer.server.address}) {answer.failure}")
        return tuple(dict.fromkeys(value for answer in answers for value in answer.values))

    def _all(self) -> tuple[Claim, ...]:
        if self._with_keys is None:
            try:
                self._with_keys = desired(self._observed.model, held_keys(self._observed)).claims
            except PlanError as error:
                raise NotTestedError(str(error)) from None
        return self._with_keys

    def _ask(self, name: str, rdtype: str) -> Observed[tuple[Answer, ...]]:
        if (name, rdtype) not in self._asked:
            self._asked[name, rdtype] = self._observed.start(self._observed.names.ask_all, name, rdtype)
        return self._asked[name, rdtype]
