# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""DMARC records (RFC 9989, which obsoletes RFC 7489): build and parse."""

from __future__ import annotations

from dataclasses import dataclass

from . import tags

VERSION = "DMARC1"
# What a report receiver publishes for a domain; nothing else in it counts (RFC 9990 4).
AUTHORISATION = b"v=DMARC1;"
POLICIES = ("none", "quarantine", "reject")
# In RFC 7489 but not in RFC 9989: receivers ignore them now.
REMOVED = ("pct", "rf", "ri")


@dataclass(frozen=True)
class Dmarc:
    """What a policy record says. ``adkim`` and ``aspf`` are ``r`` or ``s``; ``removed`` lists tags RFC 9989 dropped.

    :param nonexistent_policy: ``np=``, for subdomains that do not exist
    :param testing: ``t=y``, receivers apply the policy one level lower
    :param psd: ``psd=``: ``y`` for a registry, ``n`` for an Organizational Domain, ``u`` unsaid
    """

    policy: str
    subdomain_policy: str | None = None
    rua: tuple[str, ...] = ()
    adkim: str = "r"
    aspf: str = "r"
    testing: bool = False
    removed: tuple[str, ...] = ()
    nonexistent_policy: str | None = None
    psd: str = "u"


def record_name(domain: str) -> str:
    """Return where the policy of ``domain`` is published."""
    return f"_dmarc.{domain}"


def is_dmarc(data: bytes) -> bool:
    """Tell whether TXT data is a DMARC record: ``v=DMARC1`` first, white space around it allowed (RFC 9989 4.8)."""
    return tags.begins_with(data, VERSION)


def authorisation_name(domain: str, receiver: str) -> str:
    """Return where ``receiver`` says that it takes the reports on ``domain`` (RFC 9990 4)."""
    return f"{domain}._report._dmarc.{receiver}"


def receiver_of(uri: str) -> str:
    """Return the domain that a ``mailto:`` URI sends reports to, canonical; empty for other URIs."""
    if not uri.lower().startswith("mailto:"):
        return ""
    return uri[len("mailto:") :].partition("?")[0].partition("!")[0].rpartition("@")[2].rstrip(".").lower()


def external(domain: str, receiver: str) -> bool:
    """Tell whether reports on ``domain`` to ``receiver`` need its consent, as far as the names alone can tell.

    RFC 9990 4 asks whether both have one Organizational Domain. Where neither contains the other that needs the tree
    walk; an authorisation that was not necessary does no harm.
    """
    return not (domain == receiver or domain.endswith("." + receiver) or receiver.endswith("." + domain))


def build(policy: Dmarc) -> bytes:
    """Return the record as TXT data; tags at their default are left out. Report addresses are ``mailto:`` URIs.

    Raises :class:`ValueError` for a policy that RFC 9989 does not know.
    """
    for value in filter(None, (policy.policy, policy.subdomain_policy, policy.nonexistent_policy)):
        if value not in POLICIES:
            raise ValueError(f"{value} is not a DMARC policy (RFC 9989 4.7)")
    found = [("v", "DMARC1"), ("p", policy.policy)]
    found += [("sp", policy.subdomain_policy)] if policy.subdomain_policy else []
    found += [("np", policy.nonexistent_policy)] if policy.nonexistent_policy else []
    found += [(tag, value) for tag, value in (("adkim", policy.adkim), ("aspf", policy.aspf)) if value != "r"]
    found += [("t", "y")] if policy.testing else []
    found += [("psd", policy.psd)] if policy.psd != "u" else []
    uris = list(map(tags.encoded_uri, policy.rua))
    return tags.build([*found, *([("rua", ",".join(uris))] if uris else [])])


def parse(data: bytes) -> Dmarc:
    """Return what the record in TXT data says; raises :class:`ValueError` for one that receivers discard."""
    found = tags.parse(data)
    if not is_dmarc(data):
        raise ValueError("v=DMARC1 must come first (RFC 9989 4.7)")
    for tag in ("p", "sp", "np"):
        if tag in found and found[tag].lower() not in POLICIES:
            raise ValueError(f"{tag}={found[tag]} is not one of {', '.join(POLICIES)} (RFC 9989 4.7)")
    return Dmarc(
        policy=found.get("p", "none").lower(),
        subdomain_policy=found["sp"].lower() if "sp" in found else None,
        rua=tuple(uri.strip() for uri in found.get("rua", "").split(",") if uri.strip()),
        adkim=found.get("adkim", "r").lower(),
        aspf=found.get("aspf", "r").lower(),
        testing=found.get("t", "n").lower() == "y",
        nonexistent_policy=found["np"].lower() if "np" in found else None,
        psd=found.get("psd", "u").lower(),
        removed=tuple(tag for tag in REMOVED if tag in found),
    )
