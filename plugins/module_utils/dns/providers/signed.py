# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Speak with one DNS server, everything signed by TSIG (RFC 8945), every failure explained with its remedy."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.tsig
import dns.update
import dns.xfr
import dns.zone

from ...model.types import Rfc2136 as Settings
from ..errors import AuthError, ConflictError, ProviderError, Refused, TransportError
from ..records import Key
from ..wire import absolute

TIMEOUT = 5.0
_STALE = frozenset({dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN})


class TransferRefused(Exception):
    """The key may not transfer the zone."""


class Signed:
    """Conversations with the server of one provider. Safe to use from several threads."""

    def __init__(self, settings: Settings, timeout: float = TIMEOUT) -> None:
        self.settings, self.timeout = settings, timeout
        self.variable = f"postseal_dns.providers.{settings.name}"
        tsig = settings.tsig
        self._key = dns.tsig.Key(absolute(tsig.name), tsig.secret.reveal(), dns.name.from_text(tsig.algorithm))

    @property
    def where(self) -> str:
        """The server's address, as messages write it."""
        return f"{self.settings.server} port {self.settings.port}"

    def query(self, name: str, rrtype: str, zone: str = "") -> dns.message.Message:
        """Return the answer to one question, by UDP or, if that is too small, TCP.

        It is signed, except for refusals: a server may refuse what is outside its zones without a signature.
        """
        with self._explained(zone):
            try:
                answer = self._ask(self._question(name, rrtype))
            except dns.exception.FormError:
                answer = self._ask(self._question(name, rrtype, signed=False))
        return self._checked(answer, zone)

    def _ask(self, query: dns.message.Message) -> dns.message.Message:
        where, port = self.settings.server, self.settings.port
        return dns.query.udp_with_fallback(query, where, port=port, timeout=self.timeout, ignore_unexpected=True)[0]

    def queries(self, zone: str, keys: Iterable[Key]) -> Iterator[tuple[Key, dns.message.Message]]:
        """Yield the signed answer for each (name, type), all over one TCP connection."""
        with self._explained(zone), self._connection(zone) as stream:
            for key in keys:
                answer = dns.query.tcp(self._question(*key), "", timeout=self.timeout, sock=stream)
                yield key, self._checked(answer, zone)

    def transfer(self, zone: str) -> dns.zone.Zone:
        """Return the whole zone; raises :class:`TransferRefused` where the key may not have it."""
        copy = dns.zone.Zone(absolute(zone), relativize=False)
        query, _ = dns.xfr.make_query(copy, serial=None, keyring=self._key)
        with self._explained(zone):
            try:
                dns.query.inbound_xfr(
                    self.settings.server, copy, query, self.settings.port, timeout=self.timeout, lifetime=60.0
                )
            except dns.xfr.TransferError as error:
                if error.rcode in (dns.rcode.REFUSED, dns.rcode.NOTAUTH):
                    raise TransferRefused from None
                raise
            except dns.tsig.PeerBadKey:
                # Knot says so of a key that it knows and that may not; one that it does not know fails any query too.
                raise TransferRefused from None
        return copy

    def update(self, zone: str, message: dns.update.UpdateMessage) -> None:
        """Send one update and return when the server has accepted it.

        Raises :class:`ConflictError` when a prerequisite does not hold, other errors with cause and remedy.
        """
        message.use_tsig(self._key)
        with self._connection(zone) as stream, self._explained(zone, maybe_applied=True):
            try:
                answer = dns.query.tcp(message, "", timeout=self.timeout, sock=stream)
            except dns.tsig.PeerBadKey:
                self.query(zone, "SOA", zone)  # fails with the true cause where the server does not know the key
                self._refuse_update(zone, dns.rcode.REFUSED)
        if answer.rcode() != dns.rcode.NOERROR:
            self._refuse_update(zone, answer.rcode())
        if not answer.had_tsig:
            raise self._unsigned(zone, maybe_applied=True)

    def _refuse_update(self, zone: str, rcode: dns.rcode.Rcode) -> NoReturn:
        name, said = self.settings.name, dns.rcode.to_text(rcode)
        key = self.settings.tsig.name
        if rcode in _STALE:
            raise ConflictError(name, zone, f"the zone changed while we looked at it ({said})", "Run dns.yml again")
        if rcode == dns.rcode.REFUSED:
            hint = "Allow it there (Knot: an acl with action update; BIND: update-policy)"
            raise Refused(name, zone, f"{self.where} does not let TSIG key {key} update the zone", hint)
        if rcode == dns.rcode.NOTAUTH:
            hint = f"Let {self.variable}.server be the zone's primary server, and allow TSIG key {key} to update there"
            raise Refused(name, zone, f"{self.where} may not update the zone (NOTAUTH)", hint)
        if rcode == dns.rcode.NOTIMP:
            raise Refused(name, zone, f"{self.where} knows no dynamic update", "Name a server that does")
        hint = "The server's log says why"
        raise ProviderError(name, zone, f"{self.where} answers the update with {said}", hint)

    def _question(self, name: str, rrtype: str, *, signed: bool = True) -> dns.message.Message:
        query = dns.message.make_query(absolute(name), rrtype)
        query.flags &= ~dns.flags.RD
        if signed:
            query.use_tsig(self._key)
        return query

    @contextmanager
    def _connection(self, zone: str) -> Iterator[socket.socket]:
        with self._explained(zone):
            stream = socket.create_connection((self.settings.server, self.settings.port), self.timeout)
        with stream:
            stream.setblocking(False)
            yield stream

    def _checked(self, answer: dns.message.Message, zone: str) -> dns.message.Message:
        """Return the answer if its signature proves whose it is; a refusal is told by the caller and needs none."""
        if answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) and not answer.had_tsig:
            raise self._unsigned(zone)
        return answer

    def _unsigned(self, zone: str, *, maybe_applied: bool = False) -> ProviderError:
        message = f"the answer of {self.where} is not signed, so it may be anybody's"
        hint = f"Check {self.variable}.server, and that nothing between answers in its place"
        return TransportError(self.settings.name, zone, message, hint, maybe_applied=maybe_applied)

    @contextmanager
    def _explained(self, zone: str, *, maybe_applied: bool = False) -> Iterator[None]:
        """Turn what dnspython and the socket raise into errors with a remedy."""
        name, key, tsig = self.settings.name, self.settings.tsig.name, f"{self.variable}.tsig"
        try:
            yield
        except dns.tsig.PeerBadKey:
            # Knot answers the same where it knows the key and the zone's acl does not name it.
            message = f"{self.where} does not know the TSIG key {key}, or not for this zone"
            hint = f"Create the key on the server and allow it to update the zone, or correct {tsig}.name or .algorithm"
            raise AuthError(name, zone, message, hint) from None
        except (dns.tsig.PeerBadSignature, dns.tsig.BadSignature, dns.tsig.PeerBadTruncation):
            hint = f"Correct {tsig}.secret or {tsig}.algorithm: they must be those of the key {key} on the server"
            raise AuthError(
                name, zone, f"{self.where} and we disagree on signatures with TSIG key {key}", hint
            ) from None
        except (dns.tsig.PeerBadTime, dns.tsig.BadTime):
            hint = "Set both clocks by NTP"
            raise AuthError(name, zone, f"the clocks here and on {self.where} differ too much for TSIG", hint) from None
        except (dns.exception.Timeout, OSError, EOFError) as error:
            cause = f"no answer within {self.timeout:.0f} s" if isinstance(error, dns.exception.Timeout) else str(error)
            hint = f"Check {self.variable}.server, and that UDP and TCP port {self.settings.port} there are open to us"
            message = f"cannot talk to {self.where}: {cause}"
            raise TransportError(name, zone, message, hint, maybe_applied=maybe_applied) from None
        except dns.exception.DNSException as error:
            message = f"{self.where} gives no usable answer: {type(error).__name__}: {error}"
            raise TransportError(
                name, zone, message, "The server's log may say why", maybe_applied=maybe_applied
            ) from None
