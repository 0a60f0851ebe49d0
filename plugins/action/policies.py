# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Decide in which mode each MTA-STS policy is served. Documentation: plugins/modules/policies.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils.mailauth.lookup import Lookup
from ..module_utils.mailauth.mtasts import policy_of, unready
from ..module_utils.mailauth.spf_budget import Unresolvable
from ..module_utils.model.types import Domain, Model
from ..plugin_utils.announce import announced
from ..plugin_utils.inventory import load_model
from ..plugin_utils.remote import RemoteAction

AGAIN = "It is served in testing; mend that and run again"


class ActionModule(RemoteAction):
    """What is in effect stays so without a question; what shall be enforced anew is looked at from a mail host."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the modes as a fact, and as warnings what is not as the inventory has it."""
        super().run(tmp, task_vars)
        self.validate_argument_spec({})
        variables = task_vars or {}
        self.check_role(variables)
        model = load_model(variables, self._templar)
        serving = self._serving(model, variables)
        told = [_withdrawn(name, modes) for name, modes in serving.items() if _is_missed(name, modes, model)]
        modes = {domain.name: policy_of(domain).mode for domain in model.policy_domains}
        new = [
            domain
            for domain in model.policy_domains
            if modes[domain.name] == "enforce" and "enforce" not in serving.get(domain.name, ())
        ]
        for name, problem in self._untested(model, new, variables).items():
            modes[name] = "testing"
            told.append(f"the MTA-STS policy of {name} is not enforced yet: {problem}")
        facts = {"postseal_policy_modes": modes}
        return {"changed": False, "ansible_facts": facts, **({"warnings": told} if told else {})}

    def _serving(self, model: Model, variables: Mapping[str, Any]) -> dict[str, set[str]]:
        """Return by domain the modes in which the hosts of this run serve its policy so far."""
        found: dict[str, set[str]] = {}
        for host in variables["ansible_play_hosts_all"]:
            known = variables["hostvars"][host].get("postseal_host")
            for name, mode in known["policies"].items() if isinstance(known, Mapping) else ():
                found.setdefault(name, set()).add(mode)
        return found

    def _untested(self, model: Model, domains: list[Domain], variables: dict[str, Any]) -> dict[str, str]:
        """Return by domain what keeps its policy from being enforced (RFC 8461 5: testing comes first)."""
        if not domains:
            return {}
        lookup, problems, exchanges = Lookup(model.dns.resolvers), {}, {}
        for domain in domains:
            ids = announced(domain, lookup)
            if ids == {policy_of(domain).id}:
                continue  # it is in effect; hosts that serve it are not part of this run, or are new
            if ids != {policy_of(domain, "testing").id}:
                problems[domain.name] = (
                    "nobody has seen it in testing. It is served and announced in testing now; run again when reports "
                    "on TLS (tls_rpt) show no failures"
                )
                continue
            try:
                exchanges[domain.name] = [str(mx).split()[-1].rstrip(".") for mx in lookup(domain.name, "MX")]
            except Unresolvable as error:
                problems[domain.name] = f"{error}. {AGAIN}"
        asked = sorted({host for hosts in exchanges.values() for host in hosts})
        wrong = self.call("exchanges.look", {"hosts": asked}, variables)["wrong"] if asked else {}
        for domain in domains:
            if domain.name in exchanges:
                said = unready(policy_of(domain), exchanges[domain.name], wrong)
                if said:
                    problems[domain.name] = f"{'; '.join(said)}. {AGAIN}"
        return problems


def _is_missed(name: str, modes: set[str], model: Model) -> bool:
    """Tell whether senders may still hold to a policy that nobody serves any more."""
    return name not in {domain.name for domain in model.policy_domains} and modes != {"none"}


def _withdrawn(name: str, modes: set[str]) -> str:
    return (
        f"the MTA-STS policy of {name}, in mode {' and '.join(sorted(modes))}, is not served any more, and "
        "senders that remember it hold to it until its max_age is over. First serve mode: none as long (RFC 8461 8.3)"
    )
