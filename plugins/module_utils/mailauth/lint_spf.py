# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Rules for SPF records."""

from __future__ import annotations

from collections.abc import Iterator

from ..dns.findings import Finding
from ..dns.records import Key, shown
from . import spf, spf_budget, spf_terms
from .rules import View, finding
from .spf_budget import LOOKUPS, VOIDS, Budget

_LENGTH = 450
_STRAY = (b"v=spf", b"spf1", b"v = spf", b"v:spf")


def check(view: View, key: Key) -> Iterator[Finding]:
    """Yield what is wrong with the SPF records in a TXT set."""
    values = [value for value in view.values(key) if isinstance(value, bytes)]
    records = [value for value in values if spf.is_spf(value)]
    for value in values:
        if value not in records and value.strip().strip(b"\"'").lower().startswith(_STRAY):
            yield finding("spf-stray", key, f"{shown(value)} is no SPF record to anybody", "Remove it")
    if not records:
        return
    if len(records) > 1:
        said = " and ".join(map(shown, records))
        yield finding("spf-several", key, f"{said} stand side by side", "Let spf.merge unite them, or remove one")
    if (key[0], "SPF") in view.rrsets:
        yield finding("spf-type", key, "the same name has a record of the type SPF", "Remove it at the provider")
    for record in records:
        yield from _record(view, key, record)


def _record(view: View, key: Key, record: bytes) -> Iterator[Finding]:
    try:
        parsed = spf.parse(record)
    except ValueError as error:
        yield finding("spf-syntax", key, f"{shown(record)}: {error}", "Correct or remove the term")
        return
    if parsed.all == "+":
        yield finding("spf-all", key, f"{shown(record)} lets everybody send", "End it in -all")
    elif parsed.all == "?" or (parsed.all is None and parsed.redirect is None):
        yield finding("spf-open", key, f"{shown(record)} ends without a decision", "End it in -all")
    if len(record) > _LENGTH:
        fix = "Remove mechanisms, or move some into a record of their own and include that"
        yield finding("spf-length", key, f"the record has {len(record)} octets, more than {_LENGTH}", fix)
    terms = [term for term in map(spf_terms.directive, parsed.mechanisms) if term]
    if any(term.mechanism == "ptr" for term in terms):
        yield finding("spf-ptr", key, f"{shown(record)} uses ptr", "Name the addresses instead")
    families = {4 for host in view.model.hosts if host.ipv4} | {6 for host in view.model.hosts if host.ipv6}
    families |= {int(term.mechanism[2]) for term in terms if term.mechanism in ("ip4", "ip6")}
    yield from _budget(key, spf_budget.evaluate(record, key[0], view.resolve, sorted(families)))


def _budget(key: Key, budget: Budget) -> Iterator[Finding]:
    for reason in budget.broken:
        yield finding("spf-broken", key, reason, "Remove the term that leads there")
    if budget.lookups > LOOKUPS:
        dear = ", ".join(f"{term} {cost}" for term, cost in sorted(budget.costs, key=lambda item: -item[1]))
        message = f"evaluation takes {budget.lookups} lookups of {LOOKUPS}: {dear}"
        yield finding("spf-lookups", key, message, "Remove an include that nobody needs any more")
    if budget.voids > VOIDS:
        message = f"{budget.voids} lookups lead nowhere, {VOIDS} may: {', '.join(budget.empty)}"
        yield finding("spf-voids", key, message, "Remove the terms that lead there")
    for reason in budget.unfollowed:
        fix = "Try again, or remove the term that leads there"
        yield finding("spf-unfollowed", key, f"what it includes cannot be looked up: {reason}", fix)
    for reason in budget.unresolved:
        yield finding("unresolved", key, f"SPF cannot be followed: {reason}")
