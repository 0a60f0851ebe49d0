# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Decide which of the DKIM keys that were found elsewhere are taken over. Pure.

A key is taken over as it is: with its selector, in state ``signing``, its record untouched. So it must be the one that
the world sees now.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ..mailauth import dkim
from ..model.keys import HostKeys
from ..model.types import Model
from .states import REMOVED, REVOKED, SIGNING, UNDER_WAY, KeyState, Lifecycle, united

Published = Mapping[tuple[str, str], Sequence[bytes] | Exception]
"""By domain and selector the TXT data that is published, or why that cannot be told."""
WEAK = 2048


class AdoptionError(Exception):
    """Some key must not be taken over; ``problems`` are all of them, nothing is done."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True)
class Found:
    """A key that lies at ``path``; ``public`` as :class:`~..model.keys.DkimPublicKey` has it."""

    domain: str
    selector: str
    algorithm: str
    bits: int
    public: str
    path: str

    @property
    def name(self) -> tuple[str, str]:
        """Domain and selector."""
        return self.domain, self.selector


@dataclass(frozen=True)
class Adoption:
    """What is known of all keys afterwards, the keys to put on a mail host, and what the operator should hear."""

    known: Lifecycle
    keys: tuple[Found, ...]
    notes: tuple[str, ...]


def adopt(
    model: Model,
    held: Sequence[HostKeys],
    found: Iterable[Found],
    published: Published,
    now: datetime,
    *,
    weak: bool = False,
) -> Adoption:
    """Return what taking over ``found`` leads to.

    ``held`` is what every mail host holds. A key that is not published, or is revoked, is left out; ``weak`` lets RSA
    keys of less than 2048 bits pass. Raises :class:`AdoptionError`.
    """
    judge = _Judge(model, held, published, weak)
    # Of a selector only the published key passes, so that what is found twice is the same.
    taken = list({key.name: key for key in found if judge.takes(key)}.values())
    if not taken and not judge.problems:
        judge.problems.append("; ".join(("no key is left to take over", *judge.notes)))
    if judge.problems:
        raise AdoptionError(dict.fromkeys(judge.problems))
    known = _as_it_is(model, held, now)
    for key in taken:
        if known.find(*key.name) is None:
            # Keys that were made meanwhile and do not sign yet would retire it at once.
            spare = [one for one in known.of(key.domain, *UNDER_WAY) if one.algorithm == key.algorithm]
            known = known.put(*(replace(one, state=REMOVED, since=now) for one in spare))
            known = known.put(KeyState(*key.name, key.algorithm, SIGNING, now, judge.record(key)))
    return Adoption(known, tuple(taken), tuple(judge.notes))


def _called(key: Found) -> str:
    return f"{key.path} ({dkim.record_name(key.domain, key.selector)})"


def _as_it_is(model: Model, held: Sequence[HostKeys], now: datetime) -> Lifecycle:
    """Return what is known; where nothing was ever written down, all that hosts hold signs."""
    known = united(keys.lifecycle for keys in held)
    if known.known:
        return known
    sending = {domain.name for domain in model.sending_domains}
    there = {key for keys in held for key in keys.dkim if key.domain in sending}
    return known.put(*(KeyState(key.domain, key.selector, key.algorithm, SIGNING, now) for key in there))


@dataclass
class _Judge:
    model: Model
    held: Sequence[HostKeys]
    published: Published
    weak: bool
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def takes(self, key: Found) -> bool:
        """Tell whether ``key`` is taken over; if not, a note or a problem says why."""
        domain = next((one for one in self.model.sending_domains if one.name == key.domain), None)
        if domain is None:
            self.notes.append(f"{_called(key)} was left alone: no domain of postseal_domains sends as {key.domain}")
            return False
        before = len(self.notes) + len(self.problems)
        self._published(key)
        self._free(key)
        if key.bits < WEAK and key.algorithm != "ed25519" and not self.weak:
            self.problems.append(
                f"{_called(key)} has {key.bits} bits, and less than {WEAK} is weak (RFC 8301 3.2). To take it over "
                "until its successor signs: -e weak=true"
            )
        taken = len(self.notes) + len(self.problems) == before
        if taken and key.algorithm not in domain.dkim.algorithms:
            self.notes.append(
                f"{_called(key)} is {key.algorithm}, which dkim.algorithms of {key.domain} does not name: it retires "
                "once a key that is named signs"
            )
        return taken

    def record(self, key: Found) -> str:
        """Return the text that is published for a key that is taken over."""
        found = self.published[key.name]
        return "" if isinstance(found, Exception) else found[0].decode("ascii")

    def _published(self, key: Found) -> None:
        found = self.published.get(key.name, ())
        if isinstance(found, Exception):
            self.problems.append(f"{_called(key)} cannot be compared with what is published: {found}")
        elif not found:
            self.notes.append(f"{_called(key)} was left alone: nothing is published for it")
        elif len(found) > 1:
            self.problems.append(
                f"{_called(key)}: {len(found)} records are published there; leave the one that belongs"
            )
        else:
            self._compared(key, found[0])

    def _compared(self, key: Found, data: bytes) -> None:
        try:
            record = dkim.parse(data)
        except ValueError as error:
            self.problems.append(f"{_called(key)}: what is published cannot be read: {error}")
            return
        if not record.public:
            self.notes.append(f"{_called(key)} was left alone: it is revoked")
        elif not belongs(key, record):
            self.problems.append(f"{_called(key)} does not belong to the key that is published there")
        elif record.hashes and "sha256" not in record.hashes:
            self.problems.append(f"{_called(key)}: the record allows {':'.join(record.hashes)} only, not sha256")

    def _free(self, key: Found) -> None:
        """See that the selector holds no other key here, and was not used up."""
        for keys in self.held:
            for other in keys.dkim:
                if (other.domain, other.selector) == key.name and other.public != key.public:
                    self.problems.append(f"{_called(key)}: {keys.host} holds another key of that selector")
        state = united(keys.lifecycle for keys in self.held).find(*key.name)
        if state and state.state in (REVOKED, REMOVED):
            # A backup holds such keys; the one of a selector that is over never signs again.
            self.notes.append(f"{_called(key)} was left alone: it was {state.state} on {state.since:%Y-%m-%d}")


def belongs(key: Found, record: dkim.Dkim) -> bool:
    """Tell whether ``record`` holds the public half of ``key``.

    For RSA both forms count that are in use: SubjectPublicKeyInfo, and the RSAPublicKey inside it, which is what
    RFC 6376 3.6.1 has.
    """
    if record.key_type != dkim.key_type(key.algorithm):
        return False
    mine, theirs = b64decode(key.public), b64decode(record.public)
    return mine == theirs or (record.key_type == "rsa" and 8 * len(theirs) > key.bits and mine.endswith(theirs))
