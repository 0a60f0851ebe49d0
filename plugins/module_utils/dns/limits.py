# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a plan may not do unless its own fingerprint is given back: a bug upstream must not empty a zone.

The only place of the engine that knows what records mean for mail, so that it protects them whoever plans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from .errors import LimitExceeded
from .order import is_dkim
from .plan import ZonePlan
from .records import Key, RRset, Value
from .snapshot import Change, Snapshot

_DMARC_LABEL = "_dmarc."


@dataclass(frozen=True)
class Limits:
    """How many of our values in a zone one plan may remove, and which share of them it may remove or replace.

    The share only counts above the number: in a small zone every change is a large share.
    """

    max_deletes: int = 5
    max_changed_percent: int = 30

    def allow(self, count: int, total: int) -> bool:
        """Tell whether ``count`` of ``total`` values are few enough to be touched or to be missing."""
        return count <= self.max_deletes or count * 100 <= self.max_changed_percent * total


def refusals(
    plan: ZonePlan,
    snapshot: Snapshot,
    limits: Limits,
    last_owned: int = 0,
    ended: AbstractSet[Key] = frozenset(),
) -> list[LimitExceeded]:
    """Return the reasons not to apply ``plan``; none if it may be applied.

    :param last_owned: how many values of ours the zone held when it was last seen, 0 if that is not known
    :param ended: sets that are known to be over, one by one: removing them is no sign of a mistake
    """
    if plan.empty:
        return []
    final = [LimitExceeded(f"zone {plan.zone}: {reason}", final=True) for reason in _never(plan, snapshot)]
    reasons = [
        *_suspicious(plan, limits, last_owned),
        *_protected(plan, snapshot, ended),
        *_excess(plan, limits, ended),
    ]
    return [*final, *(LimitExceeded(f"zone {plan.zone}: {reason}") for reason in reasons)]


def _never(plan: ZonePlan, snapshot: Snapshot) -> Iterator[str]:
    """Yield why the listing cannot be the zone: no approval of a plan made from it counts."""
    if (plan.zone, "SOA") not in snapshot.rrsets:
        yield "the provider's listing has no SOA, so it is not the whole zone"
    if not snapshot.values((plan.zone, "NS")):
        yield "the provider's listing has no NS at the apex, so it is not the whole zone"


def _suspicious(plan: ZonePlan, limits: Limits, last_owned: int) -> Iterator[str]:
    """Yield why the listing may lack a part of the zone."""
    lost = last_owned - plan.owned
    if last_owned and not plan.owned:
        yield f"the provider's listing has none of the {last_owned} values of ours that were there last time"
    elif lost > 0 and not limits.allow(lost, last_owned):
        yield f"the provider's listing has {plan.owned} values of ours, and {last_owned} were there last time"
    elif plan.missing and not limits.allow(plan.missing, plan.missing + plan.owned):
        yield f"the provider's listing lacks {plan.missing} values that we wrote, and has {plan.owned}"


def _protected(plan: ZonePlan, snapshot: Snapshot, ended: AbstractSet[Key]) -> Iterator[str]:
    if not plan.asked and plan.owned:
        yield f"the inventory wants nothing there any more, and the plan removes what is left of {plan.owned} values"
    after = plan.after(snapshot)
    for change in plan.changes:
        name, rrtype = change.key
        if name == plan.zone and rrtype in ("SOA", "NS"):
            yield f"the plan changes {rrtype} at the apex, which belongs to whoever runs the zone"
        if rrtype == "MX" and change.before and not change.after:
            yield f"the plan removes the last MX of {name}, so it would receive no mail"
        if rrtype == "TXT" and _loses(change, _is_spf) and _gets_mail(name, after):
            yield f"the plan removes SPF of {name}, which has MX records"
        owner = name.removeprefix(_DMARC_LABEL)
        if owner != name and rrtype == "TXT" and _loses(change, _is_dmarc) and _gets_mail(owner, after):
            yield f"the plan removes DMARC of {owner}, which has MX records"
        is_over = change.key in ended or _aliased(name, after)
        if is_dkim(name) and change.before and not change.after and not is_over:
            yield f"the plan removes the DKIM key {name}, and mail that was signed with it may still be on its way"


def _loses(change: Change, is_one: Callable[[Value], bool]) -> bool:
    before, after = change.before.values if change.before else (), change.after.values if change.after else ()
    return any(map(is_one, before)) and not any(map(is_one, after))


def _gets_mail(name: str, after: Mapping[Key, RRset]) -> bool:
    found = after.get((name, "MX"))
    return found is not None and any(str(value).split()[-1] != "." for value in found.values)  # "0 ." is RFC 7505


def _aliased(name: str, after: Mapping[Key, RRset]) -> bool:
    """Tell whether the key is still found, as TXT or through an alias."""
    return (name, "CNAME") in after or (name, "TXT") in after


def _is_spf(value: Value) -> bool:
    return isinstance(value, bytes) and value[:7].lower().rstrip(b" ") == b"v=spf1"


def _is_dmarc(value: Value) -> bool:
    return isinstance(value, bytes) and value[:8].lower() == b"v=dmarc1"


def _excess(plan: ZonePlan, limits: Limits, ended: AbstractSet[Key]) -> Iterator[str]:
    removed = sum(change.removed for change in plan.changes if change.key not in ended)
    changed = removed + sum(change.replaced for change in plan.changes)
    if removed > limits.max_deletes:
        yield f"the plan removes {removed} values, postseal_dns.limits.max_deletes is {limits.max_deletes}"
    if not limits.allow(changed, plan.owned):
        yield (
            f"the plan changes {changed} of our {plan.owned} values, "
            f"postseal_dns.limits.max_changed_percent is {limits.max_changed_percent}"
        )
