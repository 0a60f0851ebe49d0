# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a verifier spends on an SPF record, and whether that is too much (RFC 7208 4.6.4).

Computed for the sender that no mechanism matches: a match ends the evaluation of its record. Where that would only
lead elsewhere (a failing mechanism inside an included record that else passes everybody) both ways are counted, so
that no sender ever costs more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..dns.records import Value
from . import spf, spf_terms

LOOKUPS, VOIDS, EXCHANGES = 10, 2, 10
# Where records branch without end, enough is known long before this.
_ENOUGH = 100
_QUERIES = ("include", "a", "mx", "ptr", "exists")
_ADDRESSES = {4: "A", 6: "AAAA"}

Resolve = Callable[[str, str], Sequence[Value]]
"""``resolve(name, type)``: the values in the DNS, none for NXDOMAIN and NODATA; raises :class:`Unresolvable`."""


class Unresolvable(Exception):
    """The DNS gave no usable answer; the text says for what and why."""


@dataclass(frozen=True)
class Budget:
    """What the evaluation of one record takes.

    :param lookups: terms that query the DNS, of :data:`LOOKUPS` allowed
    :param voids: queries answered with nothing, of :data:`VOIDS`, for the kind of client that meets most of them
    :param empty: the names behind ``voids``
    :param broken: why verifiers answer permerror, apart from the two limits
    :param unfollowed: what includes and redirects lead to and could not be looked up: all the rest is a lower bound
    :param unresolved: what else could not be looked up, so that it may be void
    :param costs: what each term of the record itself costs, in lookups
    """

    lookups: int
    voids: int
    empty: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    unfollowed: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    costs: tuple[tuple[str, int], ...] = ()

    @property
    def fits(self) -> bool:
        """Tell whether verifiers come to a result, as far as the DNS could be asked."""
        return self.lookups <= LOOKUPS and self.voids <= VOIDS and not self.broken


def evaluate(record: bytes, domain: str, resolve: Resolve, families: Sequence[int] = (4, 6)) -> Budget:
    """Return what a verifier spends on ``record`` of ``domain``.

    :param families: IP versions of the clients to think of: void lookups of ``a`` and ``mx`` depend on them
    """
    walk = _Walk(resolve, tuple(families))
    costs = walk.record(domain, record, (domain,))[1]
    voids = max((len(found) for found in walk.voids.values()), default=0)
    empty = tuple(dict.fromkeys(name for found in walk.voids.values() for name in found))
    return Budget(
        walk.lookups, voids, empty, tuple(walk.broken), tuple(walk.unfollowed), tuple(walk.unresolved), tuple(costs)
    )


@dataclass
class _Walk:
    """One evaluation: follows every term and counts."""

    resolve: Resolve
    families: tuple[int, ...]
    lookups: int = 0
    voids: dict[int, list[str]] = field(default_factory=dict)
    broken: dict[str, None] = field(default_factory=dict)
    unfollowed: dict[str, None] = field(default_factory=dict)
    unresolved: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.voids = {family: [] for family in self.families}

    def record(self, domain: str, data: bytes, path: tuple[str, ...]) -> tuple[bool, list[tuple[str, int]]]:
        """Follow one record; return whether it passes every sender whatsoever, and what its terms cost."""
        costs: list[tuple[str, int]] = []
        try:
            parsed = spf.parse(data)
        except ValueError as error:
            self.broken[f"{domain}: {error}"] = None
            return False, costs
        passes = True  # so far nobody can have got another result
        for term in parsed.mechanisms:
            before = self.lookups
            directive = spf_terms.directive(term)
            assert directive is not None  # noqa: S101  # parsed
            decided = self._mechanism(directive, domain, path)
            passes = passes and directive.qualifier == "+"
            if self.lookups > before:
                costs.append((term, self.lookups - before))
            if decided:
                return passes, costs
        if parsed.redirect is None or self.lookups >= _ENOUGH:
            return passes and parsed.all == "+", costs
        before = self.lookups
        self.lookups += 1
        there = self._follow(f"redirect={parsed.redirect}", parsed.redirect, domain, path)
        costs.append((f"redirect={parsed.redirect}", self.lookups - before))
        return passes and there, costs

    def _mechanism(self, directive: spf_terms.Directive, domain: str, path: tuple[str, ...]) -> bool:
        """Follow one mechanism; return whether it matches every sender whatsoever."""
        mechanism = directive.mechanism
        if mechanism not in _QUERIES or self.lookups >= _ENOUGH:
            return False
        self.lookups += 1
        if mechanism == "include":
            return self._follow(f"include:{directive.target}", directive.target, domain, path)
        name = spf_terms.expand(directive.target, domain)
        if name is None:  # known only once there is a message
            return False
        if mechanism == "a":
            self._addresses(name)
        elif mechanism == "mx":
            self._exchanges(name)
        elif mechanism == "exists":
            self._void(self._ask(name, "A"), name, "A", self.families)
        return False

    def _follow(self, term: str, target: str, domain: str, path: tuple[str, ...]) -> bool:
        """Follow include or redirect; return whether the record there passes every sender whatsoever."""
        name = spf_terms.expand(target, domain)
        if name is None:
            return False
        if name in path:
            self.broken[f"{domain}: {term} leads back to {name}, so evaluation never ends"] = None
            return False
        found = self._ask(name, "TXT")
        if found is None:
            return False
        records = [value for value in found if isinstance(value, bytes) and spf.is_spf(value)]
        self._void(found, name, "TXT", self.families)
        if len(records) != 1:
            count = "no SPF record" if not records else f"{len(records)} SPF records"
            self.broken[f"{domain}: {term} leads to {name}, which has {count} (RFC 7208 4.5, 5.2)"] = None
            return False
        return self.record(name, records[0], (*path, name))[0]

    def _addresses(self, name: str) -> None:
        for family in self.families:
            rrtype = _ADDRESSES[family]
            self._void(self._ask(name, rrtype), name, rrtype, (family,))

    def _exchanges(self, name: str) -> None:
        found = self._ask(name, "MX")
        self._void(found, name, "MX", self.families)
        hosts = [str(value).split()[-1].rstrip(".").lower() for value in found or ()]
        if len(hosts) > EXCHANGES:
            self.broken[f"mx of {name} names {len(hosts)} hosts, more than {EXCHANGES} (RFC 7208 4.6.4)"] = None
        for host in filter(None, hosts[:EXCHANGES]):
            self._addresses(host)

    def _void(self, found: Sequence[Value] | None, name: str, rrtype: str, families: tuple[int, ...]) -> None:
        """Count a query that was answered with nothing."""
        if found is not None and not found:
            for family in families:
                self.voids[family].append(f"{name} {rrtype}")

    def _ask(self, name: str, rrtype: str) -> Sequence[Value] | None:
        try:
            return self.resolve(name, rrtype)
        except Unresolvable as error:
            (self.unfollowed if rrtype == "TXT" else self.unresolved)[str(error)] = None
            return None
