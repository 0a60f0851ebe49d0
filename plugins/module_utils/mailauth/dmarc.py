# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""DMARC records (RFC 9989, which obsoletes RFC 7489): build and parse."""

from __future__ import annotations

from dataclasses import dataclass

from . import tags

POLICIES = ("none", "quarantine", "reject")
# In RFC 7489 but not in RFC 9989: receivers ignore them now.
REMOVED = ("pct", "rf", "ri")


@dataclass(frozen=True)
class Dmarc:
    """What a policy record says. ``adkim`` and ``aspf`` are ``r`` or ``s``; ``removed`` lists tags RFC 9989 dropped."""

    policy: str
    subdomain_policy: str | None = None
    rua: tuple[str, ...] = ()
    adkim: str = "r"
    aspf: str = "r"
    testing: bool = False
    removed: tuple[str, ...] = ()


def record_name(domain: str) -> str:
    """Return where the policy of ``domain`` is published."""
    return f"_dmarc.{domain}"


def is_dmarc(data: bytes) -> bool:
    """Tell whether TXT data is a DMARC record: ``v=DMARC1`` first, white space around it allowed (RFC 9989 4.8)."""
    name, _, value = data.partition(b";")[0].partition(b"=")
    return name.strip() == b"v" and value.strip() == b"DMARC1"


def build(policy: Dmarc) -> bytes:
    """Return the record as TXT data; tags at their default are left out. Report addresses are ``mailto:`` URIs.

    Raises :class:`ValueError` for a policy that RFC 9989 does not know.
    """
    for value in filter(None, (policy.policy, policy.subdomain_policy)):
        if value not in POLICIES:
            raise ValueError(f"{value} is not a DMARC policy (RFC 9989 4.7)")
    found = [("v", "DMARC1"), ("p", policy.policy)]
    found += [("sp", policy.subdomain_policy)] if policy.subdomain_policy else []
    found += [(tag, value) for tag, value in (("adkim", policy.adkim), ("aspf", policy.aspf)) if value != "r"]
    found += [("t", "y")] if policy.testing else []
    # A comma ends an address and an exclamation mark began a size in RFC 7489, so both must be encoded within one.
    uris = [uri.replace(",", "%2C").replace("!", "%21").replace(";", "%3B") for uri in policy.rua]
    return tags.build([*found, *([("rua", ",".join(uris))] if uris else [])])


def parse(data: bytes) -> Dmarc:
    """Return what the record in TXT data says; raises :class:`ValueError` for one that receivers discard."""
    found = tags.parse(data)
    if not is_dmarc(data):
        raise ValueError("v=DMARC1 must come first (RFC 9989 4.7)")
    for tag in ("p", "sp"):
        if tag in found and found[tag].lower() not in POLICIES:
            raise ValueError(f"{tag}={found[tag]} is not one of {', '.join(POLICIES)} (RFC 9989 4.7)")
    return Dmarc(
        policy=found.get("p", "none").lower(),
        subdomain_policy=found["sp"].lower() if "sp" in found else None,
        rua=tuple(uri.strip() for uri in found.get("rua", "").split(",") if uri.strip()),
        adkim=found.get("adkim", "r").lower(),
        aspf=found.get("aspf", "r").lower(),
        testing=found.get("t", "n").lower() == "y",
        removed=tuple(tag for tag in REMOVED if tag in found),
    )
