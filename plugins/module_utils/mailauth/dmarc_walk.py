# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which DMARC policy receivers apply to a domain: the tree walk of RFC 9989 4.10."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import dmarc
from .spf_budget import Resolve

_MOST = 8  # queries, and so labels looked at, RFC 9989 4.10
_LOWER = {"reject": "quarantine", "quarantine": "none", "none": "none"}


@dataclass(frozen=True)
class Effective:
    """What receivers do with mail of a domain that fails: ``policy`` from the record at ``source``, ``tag`` says which.

    ``policy`` is already lowered where the record asks for that with ``t=y``; without any record it is ``none`` and
    ``source`` is empty.
    """

    policy: str
    source: str = ""
    tag: str = ""


def places(domain: str) -> Iterator[str]:
    """Yield the domains whose records the walk asks for: the domain, then its ancestors, at most eight in all."""
    labels = domain.split(".")
    yield domain
    for count in range(min(len(labels) - 1, _MOST - 1), 0, -1):
        yield ".".join(labels[-count:])


def walk(domain: str, resolve: Resolve) -> dict[str, dmarc.Dmarc]:
    """Return the records of ``domain`` and of those above it, by domain, as far as the walk goes.

    A domain with two records has none. Raises what ``resolve`` raises.
    """
    found: dict[str, dmarc.Dmarc] = {}
    for place in places(domain):
        record = _record(place, resolve)
        if record is not None:
            found[place] = record
            if record.psd in ("n", "y") and not (record.psd == "y" and place == domain):
                break
    return found


def _record(place: str, resolve: Resolve) -> dmarc.Dmarc | None:
    texts = [value for value in resolve(dmarc.record_name(place), "TXT") if isinstance(value, bytes)]
    records = [value for value in texts if dmarc.is_dmarc(value)]
    if len(records) != 1:
        return None
    try:
        return dmarc.parse(records[0])
    except ValueError:
        # What cannot be read counts as not said (4.7): no more than that there is a record.
        return dmarc.Dmarc("none")


def organizational(domain: str, found: dict[str, dmarc.Dmarc]) -> str:
    """Return the Organizational Domain of ``domain`` from what :func:`walk` found (RFC 9989 4.10.2)."""
    for place, record in found.items():
        if record.psd == "n":
            return place
        if record.psd == "y" and place != domain:
            below = domain.removesuffix("." + place).rpartition(".")[2]
            return f"{below}.{place}"
    return min(found, key=lambda place: place.count("."), default=domain)


def effective(domain: str, resolve: Resolve, *, exists: bool = True) -> Effective:
    """Return the policy for mail whose author is at ``domain`` (RFC 9989 4.10.1).

    :param exists: whether the domain is in the DNS at all; for one that is not, ``np`` counts
    Raises what ``resolve`` raises.
    """
    found = walk(domain, resolve)
    if domain in found:
        return _effective(found[domain], domain, "p", found[domain].policy)
    registry = [place for place, record in found.items() if record.psd == "y"]
    for place in (organizational(domain, found), *registry):
        if place in found:
            record = found[place]
            np = None if exists else record.nonexistent_policy
            tag = "np" if np else "sp" if record.subdomain_policy else "p"
            return _effective(record, place, tag, np or record.subdomain_policy or record.policy)
    return Effective("none")


def _effective(record: dmarc.Dmarc, place: str, tag: str, policy: str) -> Effective:
    return Effective(_LOWER[policy] if record.testing else policy, place, tag)


def aligned(author: str, other: str, mode: str, resolve: Resolve) -> bool:
    """Tell whether an authenticated domain speaks for ``author``: the same, or (``mode`` ``r``) of one organization."""
    if author == other or mode == "s":
        return author == other
    return organizational(author, walk(author, resolve)) == organizational(other, walk(other, resolve))
