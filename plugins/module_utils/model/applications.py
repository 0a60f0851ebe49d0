# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Read which applications send, and how the proof does: ``postseal_credentials`` and ``postseal_probe``."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from . import values
from .credentials import PERIODS, Credential, Quota, Rate
from .passwords import check_strength, derived_salt, ssha512
from .problems import Collector, Invalid, Section, elements
from .types import Probe, Secret

CREDENTIAL_KEYS = (
    "name",
    "domain",
    "secret_hash",
    "secret",
    "previous_hash",
    "previous_until",
    "senders",
    "networks",
    "rate",
    "expires",
    "stream",
    "suspended",
    "revoked",
)
RATE_KEYS = ("messages", "recipients")
PROBE_KEYS = ("credential", "secret", "recipient", "mailbox")
MAX_OVERLAP_DAYS = 90
UNLIMITED = "unlimited"
_QUOTA = re.compile(r"([1-9][0-9]{0,8})\s*/\s*(m|h|d)")
_SECONDS = {letter: seconds for seconds, letter in PERIODS.items()}
_ISSUE = "issue one with: ansible-playbook playbooks/credential.yml -e name="


def read_credentials(variables: Section, today: date, default: Rate) -> tuple[Credential, ...]:
    """Return the application credentials that are valid on ``today`` (UTC); the others are noted.

    ``default`` is the rate of those that name none.
    """
    listed = elements(variables.values.get("postseal_credentials"), "postseal_credentials", variables.collector)
    found = (_credential(value, path, variables.collector, today, default) for path, value in listed)
    return tuple(credential for credential in found if credential is not None)


def _credential(value: Any, path: str, collector: Collector, today: date, default: Rate) -> Credential | None:
    said = Section(value, path, collector, CREDENTIAL_KEYS)
    name = said.require("name", values.label, "give the application a name, like shop")
    domain = said.require("domain", values.domain_name, "give the domain it sends for")
    revoked = said.get("revoked", _revoked, False)
    senders = said.each("senders", values.sender)
    networks = said.each("networks", _client_network)
    for key, parsed in (("senders", senders), ("networks", networks)):
        if said.has(key) and not parsed:
            collector.add(said.at(key), "must not be empty; leave the key out to have the default")
    credential = Credential(
        name=name or "",
        domain=domain or "",
        secret_hash=None,
        senders=senders or (f"{name}@{domain}",),
        networks=networks,
        rate=read_rate(said, "rate", default),
        expires=_expires(said, today, revoked),
        stream=said.get("stream", values.label, None),
        suspended=said.get("suspended", values.boolean, False),
        revoked=revoked,
    )
    credential = _with_secret(credential, said)
    if name is None or domain is None:
        return None
    return _with_previous(credential, said, today)


def _with_secret(credential: Credential, said: Section) -> Credential:
    """Return ``credential`` with the hash of its password, given or made from the password."""

    def strong(value: Any) -> Secret:
        return check_strength(values.text(value), credential.name, *credential.domain.split("."))

    written = said.get("secret", strong, None, secret=True)
    given = said.get("secret_hash", values.password_hash, None, secret=True)
    if said.has("secret") and said.has("secret_hash"):
        said.collector.add(said.at("secret"), "stands beside secret_hash; keep one of the two")
    elif not said.has("secret") and not said.has("secret_hash") and not credential.revoked:
        said.collector.add(said.at("secret_hash"), f"is missing; {_ISSUE}{credential.name or 'NAME'}")
    if credential.revoked:
        return credential
    if written is not None:
        given = ssha512(written, derived_salt(credential.login))
    return replace(credential, secret_hash=given, secret=written)


def _with_previous(credential: Credential, said: Section, today: date) -> Credential:
    """Return ``credential`` with the password before the last rotation, if that one is still valid."""
    previous = said.get("previous_hash", values.password_hash, None, secret=True)
    until = said.get("previous_until", values.day, None)
    for one, other in (("previous_hash", "previous_until"), ("previous_until", "previous_hash")):
        if said.has(one) and not said.has(other):
            said.collector.add(said.at(other), f"is missing; it belongs to {one}. Say both, or neither")
    if previous is None or until is None:
        return credential
    if until > today + timedelta(days=MAX_OVERLAP_DAYS):
        fix = f"is more than {MAX_OVERLAP_DAYS} days ahead; give the application less time to change its password"
        said.collector.add(said.at("previous_until"), fix, str(until))
    if credential.secret_hash is not None and previous.reveal() == credential.secret_hash.reveal():
        said.collector.add(
            said.at("previous_hash"), "is the same as secret_hash; remove previous_hash and previous_until"
        )
    if until < today or credential.revoked:
        return credential
    return replace(credential, previous_hash=previous, previous_until=until)


def _expires(said: Section, today: date, revoked: bool) -> date | None:
    expires = said.get("expires", values.day, None)
    if expires is not None and expires < today and not revoked:
        fix = f"is past (today is {today} UTC); give a later day, or revoked: true to keep it shut out"
        said.collector.add(said.at("expires"), fix, str(expires))
    return expires


def _revoked(value: Any) -> bool:
    """True, or the day it happened on, which is what the playbook writes."""
    if isinstance(value, bool):
        return value
    try:
        values.day(value)
    except Invalid:
        raise Invalid("must be true, or the day, like 2026-11-22") from None
    return True


def _client_network(value: Any) -> str:
    network = values.network(value)
    if network.endswith("/0"):
        raise Invalid("is every address there is; leave networks out to allow them")
    return network


def read_rate(said: Section, key: str, default: Rate) -> Rate:
    """Return the limits below ``key``; what is not said there is as in ``default``."""
    rate = said.section(key, RATE_KEYS)
    return Rate(*(_quotas(rate, what, getattr(default, what)) for what in RATE_KEYS))


def _quotas(rate: Section, key: str, default: tuple[Quota, ...]) -> tuple[Quota, ...]:
    if not rate.has(key):
        return default
    raw = rate.values[key]
    if raw == UNLIMITED:
        return ()
    if isinstance(raw, list):
        quotas = rate.each(key, _quota)
        if not raw:
            rate.collector.add(rate.at(key), f"must not be empty; say {UNLIMITED} to have no limit")
    else:
        one = rate.collector.parse(rate.at(key), raw, _quota)
        quotas = () if one is None else (one,)
    if len({quota.seconds for quota in quotas}) != len(quotas):
        rate.collector.add(rate.at(key), "has two limits for one period; remove one", raw)
    return tuple(sorted(quotas))


def _quota(value: Any) -> Quota:
    match = _QUOTA.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise Invalid(f"must be a number for each minute, hour or day, like 20/m, 500/h or 2000/d, or {UNLIMITED}")
    return Quota(_SECONDS[match[2]], int(match[1]))


def read_probe(variables: Section, credentials: tuple[Credential, ...]) -> Probe | None:
    """Return how the proof sends its message, or ``None`` when the inventory has no probe."""
    if not variables.has("postseal_probe"):
        return None
    said = variables.section("postseal_probe", PROBE_KEYS)
    credential = said.require("credential", values.name_or_login, "name one of postseal_credentials")
    # Whoever has the password in the inventory already need not say it again.
    known = next((item.secret for item in credentials if credential in (item.name, item.login) and item.secret), None)
    if said.has("secret") or known is None:
        known = said.require("secret", values.secret, "give that credential's password, from your vault", secret=True)
    recipient = said.require("recipient", values.mail_address, "give an address whose mail the controller can read")
    mailbox = said.require("mailbox", values.path, "give the directory where the received messages appear")
    if credential is None or known is None or recipient is None or mailbox is None:
        return None
    return Probe(credential, known, recipient, mailbox)
