# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Everything that is looked at, started at once and asked for later: checks only judge what was observed.

A host sees at most ``PER_HOST`` connections of ours at a time, so that its own limits do not colour the picture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Semaphore
from typing import Any, Generic, ParamSpec, TypeVar

from ansible_collections.postseal.mail.plugins.module_utils.mailauth.policyhost import Fetched
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.spf_check import Verdict
from ansible_collections.postseal.mail.plugins.module_utils.model.types import (
    Credential,
    Domain,
    MailHost,
    Model,
    Probe,
)
from ansible_collections.postseal.mail.plugins.plugin_utils import replies

from . import authenticated, hosts, limits, mailbox, mailboxes, manners, published, scan, sts, submission, tls
from .hello import HYBRID, LEGACY, ODD_CURVES, SHA_1, STRONG, WEAK
from .names import LookupFailedError, Names
from .outcome import NotApplicableError, NotTestedError
from .sending import QUEUED
from .smtp import Closed, Reply, UnavailableError
from .targets import Endpoint, endpoints, first_address

PER_HOST = 8
WORKERS = 64
SOME = 8  # names that a host's resolver is tried with
UNKNOWN_USER = "postseal-nobody"
OFFERS = (LEGACY, WEAK, ODD_CURVES, SHA_1, STRONG, HYBRID)
T = TypeVar("T")
P = ParamSpec("P")


class Observed(Generic[T]):
    """Something that is being looked at."""

    def __init__(self, future: Future[T]) -> None:
        self._future = future

    def result(self) -> T:
        """Wait for it and return it; raises :class:`NotTestedError` with the cause if it could not be seen."""
        try:
            return self._future.result()
        except (UnavailableError, LookupFailedError) as error:
            raise NotTestedError(str(error)) from None

    def failure(self) -> UnavailableError | None:
        """Wait for it and return why it could not be seen, ``None`` if it could."""
        error = self._future.exception()
        return error if isinstance(error, UnavailableError) else None


@dataclass(frozen=True)
class Reverse:
    """The reverse names of an address, and the addresses of the right one if it is among them."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Signatures:
    """DNSSEC of a zone: every server signs, the resolver vouches for it, and for any answer at all.

    ``until`` is when the first signature of the zone's SOA expires, in seconds of the epoch; 0 without any.
    """

    signed: bool
    trusted: bool
    validating: bool
    until: int


@dataclass(frozen=True)
class Settings:
    """How to look: a private directory for ssh's configuration, seconds to wait for the message, sslyze if there."""

    directory: Path
    delivery_seconds: float = 30.0
    sslyze: Path | None = None


class Observer:
    """Starts every probe that the model gives reason to; the attributes hold what comes of them, by target."""

    def __init__(self, model: Model, connections: Mapping[str, hosts.Connection], settings: Settings) -> None:
        self.model, self.settings = model, settings
        self.names = Names(model.dns.resolvers)
        self.endpoints = endpoints(model)
        self.first = first_address(model, self.endpoints)
        self.started = time.time()
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="probe")
        self._gates = {host.name: Semaphore(PER_HOST) for host in model.hosts}
        ca = model.tls.ca
        starttls = [endpoint for endpoint in self.endpoints if not endpoint.implicit_tls]
        implicit = [endpoint for endpoint in self.endpoints if endpoint.implicit_tls]

        # What takes longest comes first: delivery, then refused passwords, which the server answers late on purpose.
        self.sent: dict[Endpoint, Observed[mailbox.Sent]] = {}
        self.received: dict[Endpoint, Observed[mailbox.Received | None]] = {}
        self.login: dict[Endpoint, Observed[authenticated.Login]] = {}
        self.taken: dict[Endpoint, Observed[limits.Taken]] = {}
        self.beyond: dict[Endpoint, Observed[Reply]] = {}
        self.smuggling: dict[Endpoint, Observed[tuple[authenticated.Smuggling, ...]]] = {}
        if model.probe:
            self.sent = {e: self._at(e, mailbox.send, model, e) for e in self.first}
        self.mailboxes = self._start(mailboxes.groups, model, self.names)
        self.facts: dict[str, Observed[dict[str, Any]]] = {
            name: self._start(self._collect, name, connection) for name, connection in connections.items()
        }
        self.wrong_password: dict[Endpoint, Observed[submission.WrongLogin]] = {}
        if model.credentials:
            known = model.credentials[0].login
            self.wrong_password = {e: self._at(e, submission.wrong_login, e, known) for e in self.first}
        unknown = f"{UNKNOWN_USER}@{model.domains[0].name if model.domains else submission.FOREIGN}"
        self.unknown_user = {e: self._at(e, submission.wrong_login, e, unknown) for e in self.first}
        if model.probe:
            credential = model.credential(model.probe.credential)
            with_credential = (credential, model.probe.secret, model.probe.recipient, ca)
            self._look_at_limits(model, credential, model.probe, ca)
            self.login = {e: self._at(e, authenticated.login, e, *with_credential) for e in self.first}
            self.smuggling = {e: self._at(e, authenticated.smuggling, e, *with_credential) for e in self.first}
            self.received = {
                e: self._start(self._receive, sent, Path(model.probe.mailbox), settings.delivery_seconds)
                for e, sent in self.sent.items()
            }
        self.left = {
            name: self._start(self._left, name, connection)
            for name, connection in connections.items()
            if any(endpoint.host == name for endpoint in self.sent)
        }
        self.errors = {e: self._at(e, manners.errors_borne, e) for e in self.first}
        self.pipelining = {e: self._at(e, manners.pipelining, e) for e in self.first}
        self.secured = {e: self._at(e, submission.secured, e, ca) for e in self.endpoints}
        self.cleartext = {e: self._at(e, submission.cleartext, e) for e in starttls}
        self.injection = {e: self._at(e, _injection, e) for e in starttls}
        self.plaintext = {e: self._at(e, submission.plaintext_answer, e) for e in implicit}
        self.relay = {e: self._at(e, submission.relay, e) for e in self.first}
        self.offers = {(e, offer): self._at(e, tls.offer, e, offer) for e in self.first for offer in OFFERS}
        self.scans: dict[bool, Observed[dict[Endpoint, scan.Compliance]]] = {}
        if settings.sslyze:
            kinds = {kind: [e for e in self.first if e.implicit_tls is kind] for kind in (False, True)}
            self.scans = {kind: self._start(scan.scan, settings.sslyze, of, ca) for kind, of in kinds.items()}
        self.port_25: dict[str, Observed[submission.Port25]] = {}
        for endpoint in self.first:
            if endpoint.host not in self.port_25:
                self.port_25[endpoint.host] = self._at(endpoint, submission.port_25, endpoint)
        self._look_at_names(model, ca)

    def _look_at_limits(self, model: Model, credential: Credential, probe: Probe, ca: str | None) -> None:
        said = model.submission
        self.taken = {e: self._at(e, limits.taken, e, credential, probe, said, ca) for e in self.first}
        number = limits.recipients_of_a_period(credential, said.limits.recipients)
        if number is not None:
            self.beyond = {e: self._at(e, limits.beyond, e, credential, probe, number + 1, ca) for e in self.first}

    def _look_at_names(self, model: Model, ca: str | None) -> None:
        self.pointers = {
            (host.name, address): self._start(self._reverse, host.name, address)
            for host in model.hosts
            for address in host.addresses
        }

        self.published = {d.name: self._start(published.judge, model, d, self.names) for d in model.domains}
        elsewhere = [domain.name for domain in model.domains if domain.mta_sts and not domain.mta_sts.served]
        self.sts = {name: self._start(sts.fetch, name, self.names, ca) for name in elsewhere}
        everywhere = [address for host in model.hosts for address in host.addresses]
        self.own_sts = {
            domain.name: self._start(sts.fetch_own, domain.name, self.names, ca, everywhere)
            for domain in model.policy_domains
        }
        senders = [(domain.name, host.addresses) for domain in model.sending_domains for host in model.hosts]
        senders += [(host.name, host.addresses) for host in model.hosts]
        self._spf = {
            (name, address): self._start(published.spf_verdict, address, name, self.names)
            for name, addresses in senders
            for address in addresses
        }
        self.branches = {d.name: self._start(self.names.exists, f"_domainkey.{d.name}") for d in model.sending_domains}
        everybody = dict.fromkeys((*(d.name for d in model.domains), *(host.name for host in model.hosts)))
        self.signed = {name: self._start(self._signed, name) for name in everybody}

    def _collect(self, name: str, connection: hosts.Connection) -> dict[str, Any]:
        # One host asks for all; and none where port 25 may well be closed, because mail leaves by relays.
        asks = self.model.delivers_directly and name == self.model.hosts[0].name
        asked = mailboxes.argument(self.mailboxes.result()) if asks else []
        names = (name, *sorted(self.model.named)[:SOME])
        return hosts.collect(name, connection, self.settings.directory, names, asked)

    def taken_for(self, addresses: Sequence[str]) -> list[str]:
        """Return what the servers that receive mail for ``addresses`` answered, if they take it for all of them.

        Raises :class:`CheckFailedError` and :class:`NotTestedError` as :func:`mailboxes.expect_taken`.
        """
        if not self.model.delivers_directly:
            raise NotApplicableError("all mail leaves by relays, so no host asks other servers")
        asked = self.mailboxes.result()
        said = mailboxes.answers(asked, self.host_facts(self.model.hosts[0], "mailboxes"))
        return mailboxes.expect_taken(addresses, asked, said)

    def close(self) -> None:
        """Stop what has not begun and wait for the rest; every probe has its own time limit."""
        self._pool.shutdown(cancel_futures=True)

    def host_facts(self, host: MailHost, part: str) -> Any:
        """Return one part of a host's facts; raises :class:`NotTestedError` if it could not be collected."""
        facts = self.facts[host.name].result()
        if part in facts["problems"]:
            raise NotTestedError(f"{part} of {host.name}: {facts['problems'][part]}")
        return facts[part]

    def policies(self, domain: Domain) -> tuple[Fetched, ...]:
        """Return what was fetched as the MTA-STS policy of ``domain``."""
        if domain.name in self.own_sts:
            return self.own_sts[domain.name].result()
        return (self.sts[domain.name].result(),)

    def spf(self, name: str) -> dict[str, Observed[Verdict]]:
        """Return by address what SPF makes of it under ``name``, a domain or a HELO name; empty if it never sends."""
        return {address: found for (under, address), found in self._spf.items() if under == name}

    def start(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Observed[T]:
        """Look at something else beside the rest."""
        return self._start(function, *args, **kwargs)

    def _start(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Observed[T]:
        return Observed(self._pool.submit(function, *args, **kwargs))

    def _at(self, endpoint: Endpoint, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Observed[T]:
        gate = self._gates[endpoint.host]

        def gated() -> T:
            with gate:
                return function(*args, **kwargs)

        return Observed(self._pool.submit(gated))

    def _reverse(self, name: str, address: str) -> Reverse:
        # Only the right name is followed: what a wrong one leads to is nobody's business, and may never answer.
        names = self.names.pointers(address)
        return Reverse(names, self.names.addresses(name) if name in names else ())

    def _signed(self, name: str) -> Signatures:
        answers = self.names.ask_all(name, "SOA")
        for answer in answers:
            if answer.failure:
                raise LookupFailedError(f"{answer.server.name} ({answer.server.address}) {answer.failure}")
        trusted = self.names.authenticated(name, "SOA")
        known = (".", *self.model.named, *(host.name for host in self.model.hosts))
        return Signatures(
            signed=all(answer.signed for answer in answers),
            trusted=trusted,
            validating=trusted or any(self.names.authenticated(other, "SOA") for other in known),
            until=min((answer.until for answer in answers), default=0),
        )

    def level(self, endpoint: Endpoint) -> str:
        """Return by which level of TLS the message left the host, in Postfix's word; nothing if that is not known."""
        try:
            log = self.left[endpoint.host].result()
        except (NotTestedError, KeyError):
            return ""
        queued = QUEUED.search(str(self.sent[endpoint].result().reply))
        return replies.level(log, queued[1]) if queued else ""

    def _left(self, name: str, connection: hosts.Connection) -> str:
        # By the time that a message has arrived, its line is written, or all but.
        for endpoint, received in self.received.items():
            if endpoint.host == name:
                received.failure()
        return hosts.deliveries(name, connection, self.settings.directory, self.started)

    def _receive(self, sent: Observed[mailbox.Sent], directory: Path, seconds: float) -> mailbox.Received | None:
        try:
            handed_over = sent.result()
        except NotTestedError as error:
            raise UnavailableError(str(error)) from None
        if not handed_over.reply.accepted:
            raise UnavailableError(f"the message was not accepted: {handed_over.reply}")
        return mailbox.wait_for(handed_over, directory, self.started - 1, seconds)


def _injection(endpoint: Endpoint) -> Reply | None:
    """Return the reply to the injected command, ``None`` if the server broke the connection off instead."""
    try:
        return submission.injection(endpoint)
    except Closed:
        return None
