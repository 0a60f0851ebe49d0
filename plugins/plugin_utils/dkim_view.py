# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What can be told of every DKIM key: its state and next step, who answers what, which hosts sign with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..module_utils.dkim.lifecycle import next_step
from ..module_utils.dkim.signing import signing_keys
from ..module_utils.dkim.states import REMOVED, KeyState, text, united
from ..module_utils.model.keys import HostKeys
from ..module_utils.model.types import Model

if TYPE_CHECKING:
    from ..module_utils.dns.sight import Seen


@dataclass(frozen=True)
class KeyView:
    """One key as the status shows it; ``hosts`` sign with it, ``servers`` pairs a name server with its answer."""

    key: KeyState
    step: str
    when: datetime | None
    hosts: tuple[str, ...]
    servers: tuple[tuple[str, str], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "domain": self.key.domain,
            "selector": self.key.selector,
            "algorithm": self.key.algorithm,
            "state": self.key.state,
            "since": text(self.key.since),
            "next": self.step,
            "not_before": text(self.when) if self.when else None,
            "signing_hosts": list(self.hosts),
            "servers": [{"server": server, "answer": answer} for server, answer in self.servers],
        }

    def lines(self) -> list[str]:
        """Return it as text: a line for the key, and one for each server that answers otherwise than it should."""
        when = f" from {text(self.when)}" if self.when else ""
        signing = f"; signs on {', '.join(self.hosts)}" if self.hosts else ""
        current = sum(1 for _, answer in self.servers if answer == "current")
        told = f"; {current} of {len(self.servers)} name servers as they should be" if self.servers else ""
        state = f"{self.key.state} since {text(self.key.since)}"
        first = f"{self.key.selector}: {state}{signing}{told}; next: {self.step}{when}"
        return [first, *(f"  {server}: {answer}" for server, answer in self.servers if answer != "current")]


def views(model: Model, held: Sequence[HostKeys], seen: Mapping[str, Seen]) -> list[KeyView]:
    """Return a view of every key that is not gone. ``seen`` is by record name."""
    signing: dict[tuple[str, str], list[str]] = {}
    for keys in held:
        for key in signing_keys(keys):
            signing.setdefault((key.domain, key.selector), []).append(keys.host)
    domains = {domain.name: domain for domain in model.sending_domains}
    found = []
    for state in united(keys.lifecycle for keys in held).keys:
        if state.state == REMOVED:
            continue
        answer = seen.get(f"{state.selector}._domainkey.{state.domain}")
        step, when = next_step(state, domains.get(state.domain), max(answer.stale, model.dns.ttl) if answer else 0)
        servers = tuple((str(one.server), one.detail or one.state) for one in answer.servers) if answer else ()
        found.append(KeyView(state, step, when, tuple(signing.get(state.name, ())), servers))
    return found


def by_domain(found: Iterable[KeyView]) -> dict[str, list[str]]:
    """Return the text of all views by domain."""
    told: dict[str, list[str]] = {}
    for view in found:
        told.setdefault(view.key.domain, []).extend(view.lines())
    return told
