# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ask the DNS as the rest of the world does, through a resolver, each question once. Needs dnspython."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import dns.exception
import dns.resolver

from ..dns.authority import resolver
from ..dns.records import Key, Value
from ..dns.wire import absolute, value_of
from .spf_budget import Unresolvable

_LIFETIME = 6.0
# After so many questions in a row without any answer nobody is there to ask.
_PATIENCE = 3


class Lookup:
    """A :data:`~.spf_budget.Resolve` that remembers. Safe to use from several threads.

    :param resolvers: addresses to ask; empty: those that this machine asks
    :param port: where they listen
    :param lifetime: seconds that one question may take in all; where nobody answers at all, only a few are asked
    """

    def __init__(self, resolvers: Sequence[str] = (), *, port: int = 53, lifetime: float = _LIFETIME) -> None:
        self._resolver = resolver(resolvers)
        self._resolver.port = port
        self._lifetime = lifetime
        self._lock = Lock()
        self._known: dict[Key, tuple[Value, ...] | Unresolvable] = {}
        self._silences = 0

    def __call__(self, name: str, rrtype: str) -> Sequence[Value]:
        """Return the values at ``name``, aliases followed, none if there are none.

        Raises :class:`Unresolvable` where nobody knows: SERVFAIL, no answer, failed validation.
        """
        with self._lock:
            found = self._known.get((name, rrtype))
        if found is None:
            found = self._ask(name, rrtype)
            with self._lock:
                self._known[name, rrtype] = found
        if isinstance(found, Unresolvable):
            raise found
        return found

    def _ask(self, name: str, rrtype: str) -> tuple[Value, ...] | Unresolvable:
        try:
            owner = absolute(name)
        except dns.exception.DNSException:
            return ()  # no name of the DNS, so nothing is there
        if self._silences >= _PATIENCE:
            return Unresolvable(f"{name} {rrtype}: not asked, no resolver answers")
        try:
            answer = self._resolver.resolve(
                owner, rrtype, raise_on_no_answer=False, search=False, lifetime=self._lifetime
            )
        except dns.resolver.NXDOMAIN:
            self._silences = 0
            return ()
        except dns.exception.DNSException as error:
            self._silences = self._silences + 1 if isinstance(error, dns.exception.Timeout) else 0
            cause = " ".join(str(error).split()) or type(error).__name__
            return Unresolvable(f"{name} {rrtype}: {cause}")
        self._silences = 0
        return tuple(value_of(rdata) for rdata in answer.rrset or ())
