# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Probes of a submission port from outside: each opens its own connection, asks, and returns what it saw.

No probe here can deliver a message: the recipients of the relay attempts are under ``.invalid`` (RFC 2606).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from secrets import token_urlsafe

from .smtp import EHLO_NAME, Client, Closed, RefusedError, Reply, UnavailableError
from .targets import Endpoint
from .tls import Certificate, enter, read_certificate, session, trusting, verifying

FOREIGN = "postseal-relay-test.invalid"
ERRORS_PER_CONNECTION = 8  # Postfix answers slowly from smtpd_soft_error_limit (10) on


@dataclass(frozen=True)
class Cleartext:
    """What a STARTTLS port says before TLS: EHLO keywords, and its replies to AUTH and MAIL."""

    keywords: dict[str, str]
    auth: Reply
    mail: Reply


def cleartext(endpoint: Endpoint) -> Cleartext:
    """Ask a STARTTLS port for everything it must not do without TLS."""
    with Client.connect(endpoint.address, endpoint.port) as client:
        keywords = client.greet().keywords()
        # An empty authorisation identity, the letters "a" and "b": no real credential is ever offered in the clear.
        auth = client.command("AUTH PLAIN AGEAYg==")
        mail = client.command(f"MAIL FROM:<probe@{FOREIGN}>")
        client.quit()
    return Cleartext(keywords, auth, mail)


def plaintext_answer(endpoint: Endpoint) -> bytes:
    """Speak plain SMTP to an implicit TLS port; return what it says to that, empty if it just closes."""
    with Client.connect(endpoint.address, endpoint.port, 10.0) as client:
        client.send(f"EHLO {EHLO_NAME}\r\n".encode())
        try:
            return client.receive(5.0)
        except Closed:
            return b""


def injection(endpoint: Endpoint) -> Reply:
    """Send a command in the clear behind STARTTLS; return the reply to an unknown command given inside TLS.

    A server that carries its cleartext buffer into TLS answers the injected EHLO first, with 250 (CVE-2011-0411). A
    server that ends the connection instead is right too: that is raised as :class:`Closed`.
    """
    with Client.connect(endpoint.address, endpoint.port) as client:
        client.greet()
        client.send(f"STARTTLS\r\nEHLO {EHLO_NAME}\r\n".encode())
        answer = client.reply()
        if answer.code != 220:
            raise UnavailableError(f"STARTTLS is answered {answer}")
        try:
            client.starttls(trusting(), endpoint.name)
        except ssl.SSLError as error:
            raise Closed(f"the TLS handshake fails: {error.reason}") from None
        return client.command("XPROBE")


@dataclass(frozen=True)
class Secured:
    """What a port says inside TLS, and the certificate it serves.

    ``distrust`` is why the chain or the name was not accepted, empty if it was. ``before_ehlo`` is the reply to AUTH
    between the handshake and the second EHLO (STARTTLS only); ``verify`` holds the replies to VRFY of a name that
    exists everywhere and of one that exists nowhere; ``greeting`` and ``ehlo`` are how the server introduces itself.
    """

    distrust: str
    certificate: Certificate
    version: str
    before_ehlo: Reply | None
    keywords: dict[str, str]
    verify: tuple[Reply, Reply]
    greeting: str = ""
    ehlo: str = ""


def secured(endpoint: Endpoint, ca: str | None) -> Secured:
    """Do a verified handshake and look around; if it is not trusted, note why and look around all the same."""
    distrust = ""
    try:
        return _secured(endpoint, verifying(ca), distrust)
    except ssl.SSLCertVerificationError as error:
        distrust = str(error.verify_message)
    try:
        return _secured(endpoint, trusting(), distrust)
    except ssl.SSLError as error:
        raise UnavailableError(f"the TLS handshake fails: {error.reason or error}") from None


def _secured(endpoint: Endpoint, context: ssl.SSLContext, distrust: str) -> Secured:
    with Client.connect(endpoint.address, endpoint.port) as client:
        try:
            inside = enter(client, endpoint, context)
        except ssl.SSLCertVerificationError:
            raise
        except ssl.SSLError as error:
            raise UnavailableError(f"the TLS handshake fails: {error.reason or error}") from None
        certificate = read_certificate(inside.getpeercert(binary_form=True) or b"")
        before = None
        if endpoint.implicit_tls:
            hello = client.greet()
        else:
            before = client.command("AUTH PLAIN AGEAYg==")
            hello = client.ehlo()
        verify = (client.command("VRFY postmaster"), client.command("VRFY postseal-nobody"))
        version = inside.version() or ""
        greeting = client.greeting.lines[0] if client.greeting else ""
        client.quit()
    return Secured(distrust, certificate, version, before, hello.keywords(), verify, greeting, hello.lines[0])


@dataclass(frozen=True)
class Attempt:
    """One attempt to have a foreign recipient accepted: the envelope and the reply that ended it."""

    sender: str
    recipient: str
    reply: Reply


def relay_shapes(endpoint: Endpoint) -> tuple[tuple[str, str], ...]:
    """Return (sender, recipient) pairs that open relays have fallen for.

    Source routes and percent hacks: RFC 5321 3.6.1, appendix C; the set follows RFC 2505 and what scanners try.
    """
    foreign, here = f"t@{FOREIGN}", endpoint.name
    literal = f"[IPv6:{endpoint.address}]" if ":" in endpoint.address else f"[{endpoint.address}]"
    own = f"f@{literal}"
    return (
        ("", foreign),
        (f"f@{FOREIGN}", foreign),
        (f"postmaster@{here}", foreign),
        (own, foreign),
        (own, f"t%{FOREIGN}@{literal}"),
        (own, f"t%{FOREIGN}@{here}"),
        (own, f'"{foreign}"'),
        (own, f'"t%{FOREIGN}"'),
        (own, f"{foreign}@{literal}"),
        (own, f'"{foreign}"@{literal}'),
        (own, f"{foreign}@{here}"),
        (own, f"@{literal}:{foreign}"),
        (own, f"@{here}:{foreign}"),
        (own, f"{FOREIGN}!t"),
        (own, f"{FOREIGN}!t@{literal}"),
        (own, f"{FOREIGN}!t@{here}"),
    )


def attempt(client: Client, sender: str, recipient: str) -> Attempt:
    """Try one envelope on an open session and return the reply that decided it; the session is reset afterwards."""
    reply = client.command(f"MAIL FROM:<{sender}>")
    if reply.accepted:
        reply = client.command(f"RCPT TO:<{recipient}>")
        client.command("RSET")
    return Attempt(sender, recipient, reply)


def relay(endpoint: Endpoint) -> tuple[Attempt, ...]:
    """Try every shape inside TLS without authentication, on as few connections as the error limit allows."""
    shapes = relay_shapes(endpoint)
    attempts: list[Attempt] = []
    for start in range(0, len(shapes), ERRORS_PER_CONNECTION):
        with session(endpoint, trusting()) as client:
            attempts += [attempt(client, *shape) for shape in shapes[start : start + ERRORS_PER_CONNECTION]]
            client.quit()
    return tuple(attempts)


@dataclass(frozen=True)
class Port25:
    """What port 25 of a mail host does: closed, or which keywords it offers and whether it relays."""

    closed: str
    keywords: dict[str, str]
    attempt: Attempt | None


def port_25(endpoint: Endpoint) -> Port25:
    """Look whether port 25 serves submission, inside TLS too; ``closed`` holds the reason if nothing answers there."""
    try:
        with Client.connect(endpoint.address, 25, 10.0) as client:
            keywords = client.greet().keywords()
            if "STARTTLS" in keywords and client.command("STARTTLS").code == 220:
                try:
                    client.starttls(trusting(), endpoint.name)
                except ssl.SSLError as error:
                    raise UnavailableError(f"port 25: the TLS handshake fails: {error.reason or error}") from None
                keywords |= client.ehlo().keywords()
            tried = attempt(client, f"f@{FOREIGN}", f"t@{FOREIGN}")
            client.quit()
    except RefusedError as error:
        return Port25(str(error), {}, None)
    return Port25("", keywords, tried)


@dataclass(frozen=True)
class WrongLogin:
    """Replies to an unknown user and to a known one with a wrong password; afterwards one attempt to relay."""

    reply: Reply
    after: Attempt


# The hosts log such a password and do not count it (docs/decisions/0013-logins.md): the proof is never banned.
NEVER_RIGHT = "postseal-wrong-"


def wrong_login(endpoint: Endpoint, login: str) -> WrongLogin:
    """Log in as ``login`` with a random password and try to relay on the same connection."""
    with session(endpoint, trusting()) as client:
        reply = client.authenticate(login, f"{NEVER_RIGHT}{token_urlsafe(18)}")
        after = attempt(client, f"f@{FOREIGN}", f"t@{FOREIGN}")
        client.quit()
    return WrongLogin(reply, after)
