# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""TLS as a client sees it: the certificate a port serves, and what the port refuses to negotiate."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from .hello import Answer, Offer, client_hello, parse
from .smtp import Client, Closed, UnavailableError
from .targets import Endpoint


@dataclass(frozen=True)
class Certificate:
    """A served leaf certificate. ``spki_sha256`` is TLSA 3 1 1 association data in hex; ``bits`` is the key's size.

    ``hash`` is the name of the hash that it was signed with, empty where the algorithm has its own; ``for_servers``
    tells whether a TLS server may use it.
    """

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    key: str
    bits: int
    spki_sha256: str
    sha256: str
    hash: str = ""
    for_servers: bool = True

    @property
    def days(self) -> float:
        """Return for how many days it was issued."""
        return (self.not_after - self.not_before).total_seconds() / 86400

    def days_left(self, now: datetime | None = None) -> float:
        """Return the days until the certificate expires, negative after that."""
        return (self.not_after - (now or datetime.now(UTC))).total_seconds() / 86400

    def covers(self, name: str) -> bool:
        """Whether a DNS-ID of the certificate matches ``name``; a wildcard stands for one label (RFC 9525 6.3)."""
        return any(
            candidate == name
            or (candidate.startswith("*.") and name.partition(".")[2] == candidate[2:] and "." in name)
            for candidate in self.names
        )


# CA/Browser Forum ballot SC-081v3, and SC-031 before it: for how many days a certificate of a day may be issued.
MOST_DAYS = (("2029-03-15", 47), ("2027-03-15", 100), ("2026-03-15", 200), ("2020-09-01", 398))
OLDEST_MOST_DAYS = 825


def most_days(issued: datetime) -> int:
    """Return for how many days a certificate that was issued then may be valid."""
    return next((days for day, days in MOST_DAYS if f"{issued:%Y-%m-%d}" >= day), OLDEST_MOST_DAYS)


def read_certificate(der: bytes) -> Certificate:
    """Return the facts of a DER certificate; raises :class:`UnavailableError` for one that cannot be parsed."""
    try:
        leaf = x509.load_der_x509_certificate(der)
        public = leaf.public_key()
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        not_after = leaf.not_valid_after_utc
        try:
            extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names = tuple(name.lower() for name in extension.get_values_for_type(x509.DNSName))
        except x509.ExtensionNotFound:
            names = ()
        signed_with = leaf.signature_hash_algorithm.name if leaf.signature_hash_algorithm else ""
        for_servers = _for_servers(leaf)
        not_before = leaf.not_valid_before_utc
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnavailableError(f"the certificate cannot be parsed: {error}") from None
    if isinstance(public, rsa.RSAPublicKey):
        key, bits = "RSA", public.key_size
    elif isinstance(public, ec.EllipticCurvePublicKey):
        key, bits = f"ECDSA {public.curve.name}", public.key_size
    else:
        key, bits = ("Ed25519", 256) if isinstance(public, ed25519.Ed25519PublicKey) else (type(public).__name__, 0)
    digests = hashlib.sha256(spki).hexdigest(), hashlib.sha256(der).hexdigest()
    return Certificate(names, not_before, not_after, key, bits, *digests, signed_with, for_servers)


def _for_servers(leaf: x509.Certificate) -> bool:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True  # RFC 5280 4.2.1.12: without the extension any use is allowed
    return ExtendedKeyUsageOID.SERVER_AUTH in usage


@cache
def verifying(ca: str | None) -> ssl.SSLContext:
    """Return a context that checks chain and host name against ``ca`` (a bundle's path) or the system's authorities."""
    return ssl.create_default_context(cafile=ca)


@cache
def of_the_world(ca: str | None) -> ssl.SSLContext:
    """Return a verifying context for servers that are not ours: the system's authorities, and ``ca`` besides."""
    context = ssl.create_default_context()
    if ca:
        context.load_verify_locations(Path(ca).expanduser())
    return context


@cache
def trusting() -> ssl.SSLContext:
    """Return a context for looking at what a server does; nothing secret may ever be sent through it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def enter(client: Client, endpoint: Endpoint, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Take a fresh connection into TLS and return its socket; the next thing to say is EHLO (or to read a greeting).

    Raises :class:`UnavailableError` if STARTTLS is not accepted and :class:`ssl.SSLError` if the handshake fails.
    """
    if not endpoint.implicit_tls:
        client.greet()
        answer = client.command("STARTTLS")
        if answer.code != 220:
            raise UnavailableError(f"STARTTLS is answered {answer}")
    return client.starttls(context, endpoint.name)


def session(endpoint: Endpoint, context: ssl.SSLContext) -> Client:
    """Return a connection inside TLS on which EHLO has been said; the caller closes it."""
    client = Client.connect(endpoint.address, endpoint.port)
    try:
        enter(client, endpoint, context)
        if endpoint.implicit_tls:
            client.greet()
        else:
            client.ehlo()
    except ssl.SSLCertVerificationError as error:
        client.close()
        raise UnavailableError(f"the certificate is not valid for {endpoint.name}: {error.verify_message}") from None
    except ssl.SSLError as error:
        client.close()
        raise UnavailableError(f"the TLS handshake fails: {error.reason or error}") from None
    except UnavailableError:
        client.close()
        raise
    return client


def offer(endpoint: Endpoint, offered: Offer) -> Answer:
    """Make an offer and return what the server answers.

    Raises :class:`UnavailableError` if there is no answer: a closed connection is not yet a refusal.
    """
    with Client.connect(endpoint.address, endpoint.port, 10.0) as client:
        if not endpoint.implicit_tls:
            client.greet()
            if (ready := client.command("STARTTLS")).code != 220:
                raise UnavailableError(f"STARTTLS is answered {ready}")
        client.send(client_hello(offered, endpoint.name))
        data = b""
        while True:
            try:
                answer = parse(data)
            except ValueError as error:
                raise UnavailableError(str(error)) from None
            if answer is not None:
                return answer
            try:
                data += client.receive()
            except Closed:
                raise UnavailableError("the server closed the connection without a TLS alert") from None
