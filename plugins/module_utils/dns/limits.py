# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a plan may not do unless its own fingerprint is given back: a bug upstream must not empty a zone."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import DnsError, LimitExceeded
from .plan import ZonePlan
from .snapshot import Snapshot


@dataclass(frozen=True)
class Limits:
    """How many of our values in a zone one plan may remove, and which share of them it may remove or replace.

    The share only counts above the number: in a small zone every change is a large share.
    """

    max_deletes: int = 5
    max_changed_percent: int = 30


def refusals(plan: ZonePlan, snapshot: Snapshot, limits: Limits) -> list[DnsError]:
    """Return the reasons not to apply ``plan``; none if it may be applied."""
    reasons = [*_protected(plan, snapshot), *_excess(plan, limits)]
    return [LimitExceeded(f"zone {plan.zone}: {reason}") for reason in reasons]


def _protected(plan: ZonePlan, snapshot: Snapshot) -> list[str]:
    reasons = []
    for change in plan.changes:
        name, rrtype = change.key
        if name == plan.zone and rrtype in ("SOA", "NS"):
            reasons.append(f"the plan changes {rrtype} at the apex, which belongs to whoever runs the zone")
        if rrtype == "MX" and change.before and not change.after:
            reasons.append(f"the plan removes the last MX of {name}, so it would receive no mail")
    if plan.changes and (plan.zone, "SOA") not in snapshot.rrsets:
        reasons.append("the provider's listing has no SOA, so it is not the whole zone")
    if plan.changes and not snapshot.values((plan.zone, "NS")):
        reasons.append("the provider's listing has no NS at the apex, so it is not the whole zone")
    return reasons


def _excess(plan: ZonePlan, limits: Limits) -> list[str]:
    removed = sum(change.removed for change in plan.changes)
    changed = removed + sum(change.replaced for change in plan.changes)
    reasons = []
    if removed > limits.max_deletes:
        reasons.append(f"the plan removes {removed} values, postseal_dns.limits.max_deletes is {limits.max_deletes}")
    if changed > limits.max_deletes and changed * 100 > limits.max_changed_percent * plan.owned:
        reasons.append(
            f"the plan changes {changed} of our {plan.owned} values, "
            f"postseal_dns.limits.max_changed_percent is {limits.max_changed_percent}"
        )
    return reasons
