# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the inventory says of each domain: who may send as it, where its mail and its reports go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

_HOUR, _DAY = 3600, 86400


@dataclass(frozen=True)
class Spf:
    """What an SPF record says besides the hosts' own addresses (RFC 7208). ``all`` is ``fail`` or ``softfail``."""

    include: tuple[str, ...] = ()
    all: str = "fail"
    merge: bool = True


@dataclass(frozen=True)
class Dkim:
    """DKIM policy of a domain. Algorithms: ``rsa2048``, ``rsa3072``, ``rsa4096``, ``ed25519``.

    :param delegate: pairs of a selector and the name where another service that signs for the domain publishes its key
    :param rotate_every: after how many seconds a key that signs gets a successor; 0 for never
    :param prepublish: how many seconds a key is published at least before it signs
    :param grace: how many seconds a key stays published after its last signature
    :param revoke: what comes then: ``empty_p`` publishes for as long again that it is revoked, ``remove`` nothing
    """

    algorithms: tuple[str, ...] = ("rsa2048", "ed25519")
    delegate: tuple[tuple[str, str], ...] = ()
    rotate_every: int = 180 * _DAY
    prepublish: int = _HOUR
    grace: int = 14 * _DAY
    revoke: str = "empty_p"


@dataclass(frozen=True)
class Dmarc:
    """DMARC policy of a domain (RFC 9989).

    :param nonexistent_policy: for subdomains that do not exist
    :param testing: receivers apply the policy one level lower
    """

    policy: str = "none"
    subdomain_policy: str | None = None
    rua: tuple[str, ...] = ()
    alignment: str = "relaxed"
    nonexistent_policy: str | None = None
    testing: bool = False


@dataclass(frozen=True)
class MtaSts:
    """The MTA-STS policy of a domain (RFC 8461): one that the mail hosts serve, or that somebody else does.

    :param id: announces somebody else's policy, and changes with it; ``None``: the mail hosts serve it
    :param host: who serves somebody else's policy
    :param mode: ``testing``, ``enforce`` or ``none``
    :param max_age: for how many seconds senders may remember it
    :param mx: the hosts that receive mail, ``*.`` for one label
    """

    id: str | None = None
    host: str | None = None
    mode: str = "testing"
    max_age: int = 28 * _DAY
    mx: tuple[str, ...] = ()

    @property
    def served(self) -> bool:
        """Whether the mail hosts serve it."""
        return self.id is None


def covers(pattern: str, host: str) -> bool:
    """Tell whether an ``mx`` pattern of a policy matches; a wildcard is the leftmost label (RFC 8461 4.1)."""
    pattern, host = pattern.rstrip(".").lower(), host.rstrip(".").lower()
    return pattern == host or (pattern.startswith("*.") and host.partition(".")[2] == pattern[2:])


@dataclass(frozen=True)
class Mx:
    """One host that receives mail for a domain."""

    host: str
    preference: int = 10


@dataclass(frozen=True)
class Domain:
    """A domain of the environment; ``mx`` is published only where the inventory names it.

    :param parked: it neither sends nor receives mail, and its records say so
    :param tls_rpt: where senders report on TLS towards the domain, ``mailto:`` or ``https:`` URIs (RFC 8460)
    :param bounce: the address that what cannot be delivered goes back to; ``None``: to the sender that the application
        gave
    :param adopt: as :class:`Dns` has it, for this domain alone
    :param subdomains: full names below it that send as well, signed with its keys
    """

    name: str
    spf: Spf = field(default_factory=Spf)
    dkim: Dkim = field(default_factory=Dkim)
    dmarc: Dmarc = field(default_factory=Dmarc)
    mx: tuple[Mx, ...] = ()
    parked: bool = False
    tls_rpt: tuple[str, ...] = ()
    mta_sts: MtaSts | None = None
    adopt: bool = False
    subdomains: tuple[str, ...] = ()
    bounce: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Every domain that mail is sent as: its own name, then its subdomains."""
        return (self.name, *self.subdomains)


def envelope_sender(domains: Iterable[Domain], sender: str) -> str:
    """Return what mail of ``sender`` leaves with, which is where it comes back to if it cannot be delivered.

    ``sender`` is the address, or ``@domain``, that the application gives.
    """
    for domain in domains:
        if domain.bounce and sender.rpartition("@")[2] in domain.names:
            return domain.bounce
    return sender
