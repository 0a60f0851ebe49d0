# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What may not stand in a report: secrets of the inventory in any form they travel in, and people's addresses."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from urllib.parse import quote, quote_plus

from ansible_collections.postseal.mail.plugins.module_utils.model import providers
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Model

from .outcome import Result

SHORTEST_SECRET = 8
# A server or a zone may say as much as it likes; a report is for people.
LONGEST = 2000
MASK = "********"
HIDDEN_LOCAL_PART = "***"
# An address as RFC 5321 4.1.2 and RFC 6531 3.3 have it, more generously: what looks like one to people is one. Before
# the @ a quoted string or anything up to a delimiter; after it a name with a dot, or an address literal.
_ADDRESS = re.compile(
    r"""("(?:[^"\\]|\\.)*"|[^\s"<>()\[\],;:@\\]+)@((?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_][\w-]*|\[[0-9A-Fa-fIPv.:]+\])"""
)
# Addresses of no person: those that the proof makes up, and those that every domain has (RFC 2142).
_NOBODY = re.compile(r"postseal-(?:forged|probe|nobody)|postmaster|hostmaster|abuse|mailer-daemon", re.IGNORECASE)
# What a login consists of, should a server repeat it (RFC 4954 4); words in capitals are further mechanisms.
_LOGIN = re.compile(r"\b((?i:AUTH)\s+[A-Za-z0-9_-]+\s+)(?![A-Z0-9_-]+\b)[A-Za-z0-9+/]{3,}=*")


@dataclass(frozen=True)
class Redaction:
    """Masks ``secrets`` wherever they stand, and the local part of every address that is not in ``public``."""

    secrets: tuple[str, ...] = ()
    public: frozenset[str] = frozenset()

    def text(self, text: str) -> str:
        """Return ``text`` without what nobody may read in it."""
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return _ADDRESS.sub(self._address, _LOGIN.sub(rf"\g<1>{MASK}", text))

    def result(self, result: Result) -> Result:
        """Return ``result`` with its evidence and its remedy masked, and none of them without end."""
        evidence = tuple(map(self._shown, result.evidence))
        observed, remedy = self._shown(result.observed), self._shown(result.remedy)
        return replace(result, observed=observed, remedy=remedy, evidence=evidence)

    def _shown(self, text: str) -> str:
        masked = self.text(text)
        return masked if len(masked) <= LONGEST else f"{masked[:LONGEST]}... ({len(masked)} characters)"

    def _address(self, found: re.Match[str]) -> str:
        local, domain = found[1], found[2]
        if _NOBODY.fullmatch(local) or f"{local.rpartition('=')[2]}@{domain}".lower() in self.public:
            return found[0]
        return f"{HIDDEN_LOCAL_PART}@{domain}"


def redaction(model: Model) -> Redaction:
    """Return what hides the secrets of ``model``.

    Addresses that its records publish to the world stay readable, and so do its logins and senders: they name an
    application, and a remedy has to.
    """
    stored = (model.limits.store.password if model.limits.store else None,)
    held = ((one.secret_hash, one.previous_hash, one.secret) for one in model.credentials)
    found = [secret.reveal() for secret in (*stored, *chain.from_iterable(held)) if secret is not None]
    found += [secret.reveal() for secret in providers.secrets(model.dns.providers)]
    logins: list[tuple[str, str]] = []
    if model.probe:
        found.append(model.probe.secret.reveal())
        logins.append((model.credential(model.probe.credential).login, found[-1]))
    return Redaction(forms(found, logins), frozenset((*_published(model), *_own(model))))


def forms(secrets: Iterable[str], logins: Iterable[tuple[str, str]] = ()) -> tuple[str, ...]:
    """Return how ``secrets`` and ``logins`` (login, secret) may appear, the longest first.

    As they are, as base64 (AUTH LOGIN, RFC 4616 for PLAIN), quoted for URLs and as Python shows them.
    """
    found = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
    encoded = {_base64(secret) for secret in found}
    encoded |= {_base64(f"\0{login}\0{secret}") for login, secret in logins}
    for secret in found:
        encoded |= {quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]}
    return tuple(sorted(found | encoded, key=lambda text: (-len(text), text)))


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def _own(model: Model) -> Iterable[str]:
    """Return the logins of the inventory and the addresses that they write as; a whole domain is no address."""
    senders = (sender for one in model.credentials for sender in one.senders if not sender.startswith("@"))
    return (address.lower() for address in (*(one.login for one in model.credentials), *senders))


def _published(model: Model) -> Iterable[str]:
    """Return the addresses that stand in the DNS: report addresses, and the contact of the certificates."""
    uris = [uri for domain in model.domains for uri in (*domain.dmarc.rua, *domain.tls_rpt)]
    uris += [uri for uri in (model.tls.contact, model.tls.caa.iodef if model.tls.caa else None) if uri]
    return (uri.removeprefix("mailto:").partition("!")[0].lower() for uri in uris)
