# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""SPF records (RFC 7208): build, parse, unite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from . import spf_terms

VERSION = b"v=spf1"
_QUALIFIERS = {"fail": "-", "softfail": "~", "neutral": "?", "pass": "+"}
_STRICTEST_FIRST = "-~?+"


@dataclass(frozen=True)
class Spf:
    """A parsed record.

    :param mechanisms: directives except ``all``, in order, each with its qualifier unless that is ``+``
    :param all: qualifier of ``all``: one of ``-~?+``, ``None`` without it
    :param redirect: target of ``redirect=``
    :param modifiers: other modifiers, such as ``exp=...``
    """

    mechanisms: tuple[str, ...]
    all: str | None = None
    redirect: str | None = None
    modifiers: tuple[str, ...] = ()

    def __str__(self) -> str:
        terms = [VERSION.decode(), *self.mechanisms]
        terms += [f"{self.all}all".removeprefix("+")] if self.all else []
        terms += [f"redirect={self.redirect}"] if self.redirect else []
        return " ".join([*terms, *self.modifiers])

    def encode(self) -> bytes:
        """Return the record as TXT data."""
        return str(self).encode("ascii")


def is_spf(data: bytes) -> bool:
    """Tell whether TXT data is an SPF record: the version alone or followed by a space (RFC 7208 4.5)."""
    return data[:7].lower().rstrip(b" ") == VERSION and data[6:7] in (b"", b" ")


def for_addresses(addresses: Iterable[str], include: Iterable[str] = (), final: str = "fail") -> Spf:
    """Return the record by which ``addresses`` and what ``include`` names may send.

    :param final: result for everyone else: ``fail``, ``softfail`` or ``neutral``
    """
    networks = [f"ip{address.version}:{address}" for address in map(ip_address, addresses)]
    return Spf((*networks, *(f"include:{name}" for name in include)), _QUALIFIERS[final])


def for_nobody() -> Spf:
    """Return the record of a domain that never sends (RFC 7208 10.1.2)."""
    return Spf((), "-")


def for_helo() -> Spf:
    """Return the record of a name used in HELO: its own addresses and nobody else (RFC 7208 2.3)."""
    return Spf(("a",), "-")


@lru_cache(maxsize=4096)  # what everybody includes is read again for every domain
def parse(data: bytes) -> Spf:
    """Return the record in TXT data; raises :class:`ValueError` naming the term that RFC 7208 does not allow."""
    if not is_spf(data):
        raise ValueError("it does not begin with v=spf1")
    try:
        terms = data.decode("ascii").split(" ")[1:]
    except UnicodeDecodeError:
        raise ValueError("it holds characters outside ASCII (RFC 7208 3.1)") from None
    mechanisms: list[str] = []
    modifiers: list[str] = []
    found: dict[str, str] = {}
    for term in filter(None, terms):
        directive, modifier = spf_terms.directive(term), spf_terms.modifier(term)
        if directive and directive.mechanism == "all":
            found.setdefault("all", directive.qualifier)
        elif directive:
            if "all" not in found:  # what follows all is ignored, 5.1
                mechanisms.append(_canonical(term))
        elif modifier and modifier[0] in ("redirect", "exp") and modifier[0] in found:
            raise ValueError(f"{modifier[0]}= stands twice (RFC 7208 6)")
        elif modifier and modifier[0] == "redirect":
            found["redirect"] = modifier[1]
        elif modifier:
            found.setdefault(modifier[0], modifier[1])
            modifiers.append(term)
        else:
            raise ValueError(f"{term!r} is neither a mechanism nor a modifier of RFC 7208")
    redirect = None if "all" in found else found.get("redirect")  # all makes redirect void, 6.1
    return Spf(tuple(mechanisms), found.get("all"), redirect, tuple(modifiers))


def _canonical(term: str) -> str:
    """Return a directive without a needless ``+`` and with its mechanism in lower case."""
    bare = term.removeprefix("+")
    end = next((at for at, character in enumerate(bare) if character in ":/"), len(bare))
    return bare[:end].lower() + bare[end:]


def unite(ours: Spf, found: Sequence[Spf], share: Spf | None, others: Sequence[Spf] = ()) -> tuple[Spf, Spf]:
    """Return one record for us and for those who stand in ``found``, and the share of it that we ask for.

    Our mechanisms come first, the strictest explicit ``all`` wins, and a foreign ``redirect`` becomes an ``include``
    (with ``all`` present it would be void). ``share`` is what we asked for when ``found`` was written, ``others`` what
    other environments did: the rest is other people's, and in nobody's share.
    """
    had = share or Spf(())
    theirs = {mechanism for other in others for mechanism in other.mechanisms}
    foreign = tuple(
        mechanism
        for record in found
        for mechanism in (*record.mechanisms, *([f"include:{record.redirect}"] if record.redirect else []))
        if mechanism not in had.mechanisms or mechanism in theirs
    )
    their_all = {other.all for other in others}
    foreign_all = [record.all for record in found if record.all and (record.all != had.all or record.all in their_all)]
    modifiers = tuple(dict.fromkeys(term for record in found for term in record.modifiers))
    final = min([ours.all or "+", *foreign_all], key=_STRICTEST_FIRST.index)
    united = Spf(tuple(dict.fromkeys((*ours.mechanisms, *foreign))), final, None, modifiers)
    mine = tuple(mechanism for mechanism in ours.mechanisms if mechanism not in foreign or mechanism in theirs)
    is_peoples = final in foreign_all and final not in their_all
    return united, Spf(mine, final if final == (ours.all or "+") and not is_peoples else None)
