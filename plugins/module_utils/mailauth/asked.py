# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What no zone can hold of that which an inventory asks for: seen before any key is made and any zone is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from ..dkim.lifecycle import unused
from ..dns.claims import Claim
from ..dns.findings import ERROR, Finding
from ..dns.records import Key, RRset, Value
from ..model.rules import zone_provider
from ..model.types import Model
from . import dkim, lint_names
from .claims import desired_claims
from .rules import View


@dataclass(frozen=True)
class Unpublishable:
    """A rule (:data:`.rules.RULES`) that the records of ``subject`` break, and the provider they were meant for."""

    subject: str
    provider: str
    finding: Finding

    @property
    def place(self) -> str:
        """Who asks, and where."""
        return f"{self.subject} at provider {self.provider}"

    @property
    def reason(self) -> str:
        """What is wrong with which record, and what to do."""
        found = self.finding
        return f"{found.name} {found.type}: {found.message} [{found.rule}]. {found.fix}"


def unpublishable(model: Model, today: date) -> Iterator[Unpublishable]:
    """Yield every error of size, and every alias that does not stand alone.

    :param today: a part of the names of keys that are still to be made
    """
    claims: dict[Key, list[Claim]] = {}
    for claim in desired_claims(model, ()):
        claims.setdefault(claim.key, []).append(claim)
    rrsets = {key: RRset.of(*key, made[0].ttl, [claim.value for claim in made]) for key, made in claims.items()}
    view = View(model, "", rrsets, frozenset(rrsets), _nobody, {})
    for key, (first, *_) in claims.items():
        yield from _errors(model, first.subject, first.anchor, lint_names.check_sizes(view, key))
        if key[1] == "CNAME":
            yield from _errors(model, first.subject, first.anchor, lint_names.check_cname(view, key))
    for domain in model.sending_domains:
        for algorithm in domain.dkim.algorithms:
            name = dkim.record_name(domain.name, unused(model.environment, today, algorithm, ()))
            found = lint_names.check_sizes(view, (name, "TXT"))
            yield from _errors(model, f"domain {domain.name}", domain.name, found)


def _errors(model: Model, subject: str, anchor: str, found: Iterator[Finding]) -> Iterator[Unpublishable]:
    for finding in found:
        if finding.severity == ERROR:
            yield Unpublishable(subject, zone_provider(model, anchor) or "(none)", finding)


def _nobody(_: str, __: str) -> Sequence[Value]:
    return ()
