# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ask a service from outside whether it works: a glance for a run that changes nothing, a whole dialog after a change.

A mail server's greeting proves little: a dead milter shows at STARTTLS or MAIL, a bad restriction or table only at
RCPT, a bad certificate at STARTTLS. So the dialog goes down to RCPT and never to DATA. Standard library, Python 3.9.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable

from . import firewall, log, lookups, policies
from .request import Paths, Probe

# A busy host has answered a healthy glance after more than two seconds. Dovecot's authentication server is held up for
# five when it starts and its penalty service is switched off: it keeps trying to reach that.
TIMEOUTS = {"smtp": 5.0, "milter": 5.0, "sasl": 12.0, "redis": 5.0, "dns": 10.0, "socketmap": 10.0, "https": 5.0}
# 450: a name that cannot be looked up now; it says nothing about this host's configuration.
NO_FAULT_AT_RCPT = (450,)
COUNTERS = "/etc/redis/postseal.conf"
HELO = "postseal-probe.invalid"  # RFC 2606: a name that never is anybody's
STRANGER = "postmaster@postseal-probe.invalid"

# What is looked at without a connection, and what is asked something else than mail.
UNCONNECTED, ASKED = ("ready", "firewall", "log"), (*lookups.PROTOCOLS, "https")


class ProbeError(Exception):
    """The service did not answer as it should; the text says where the dialog ended and with what answer."""


def glance(probe: Probe, paths: Paths, *, thorough: bool = False) -> str:
    """See in one exchange that something answers; return what tells one instance from the next, or nothing.

    Raises :class:`ProbeError`. On a port with implicit TLS only the connection is made unless ``thorough``: the
    handshake would double the cost of a run that changes nothing. But Postfix's master takes connections for a daemon
    that dies at once, so only a greeting shows that it is back.
    """
    if probe.protocol in UNCONNECTED:
        if missing := _missing(probe, paths):
            raise ProbeError(missing)
        return ""
    try:
        with _connect(probe, paths) as link:
            if probe.protocol == "sasl":
                return _sasl_handshake(link)
            if probe.protocol == "milter":
                return _milter_handshake(link)
            if probe.protocol == "redis":
                return _redis_handshake(link, paths)
            if probe.protocol in ASKED:
                return _looked_up(link, probe, paths, thorough=False)
            if probe.tls != "wrapped":
                _greeted(link)
            elif thorough:
                with _secure(link, probe._replace(certificate=""), paths) as secured:
                    _greeted(secured)
            return ""
    except OSError as problem:
        raise ProbeError(f"{probe}: {problem}") from None


def _looked_up(link: socket.socket, probe: Probe, paths: Paths, *, thorough: bool) -> str:
    """Ask a resolver, a table or a server. A glance asks what it knows by itself, at nobody else's cost."""
    if probe.protocol == "https":
        wrong = policies.answers(_secure(link, probe, paths), probe.name) if thorough and probe.name else ""
    elif probe.protocol == "dns":
        wrong = lookups.resolves(link, probe.name if thorough else lookups.OWN)
    else:
        wrong = lookups.answers(link, probe.name if thorough else lookups.NO_DOMAIN)
    if wrong:
        raise ProbeError(f"{probe}: {wrong}")
    return ""


def _missing(probe: Probe, paths: Paths) -> str:
    """Return what does not stand, of things that nobody connects to; empty if all does."""
    if probe.protocol == "firewall":
        return firewall.stands()
    if probe.protocol == "log":
        return log.stands()
    return "" if os.path.exists(paths.live(probe.socket)) else f"{probe}: it has not begun its work"


def examine(probe: Probe, paths: Paths, *, trusted: bool = False) -> str:
    """Hold the whole dialog; return what :func:`glance` returns.

    ``trusted`` says that the other side is a trial instance that lets this client name itself (XCLIENT); only then can
    the message described by ``probe.login`` be tried. Raises :class:`ProbeError`.
    """
    if probe.protocol in ("sasl", "redis", "firewall", "ready"):
        return glance(probe, paths)
    try:
        if probe.protocol == "log":
            if wrong := log.stands() or log.takes_lines():
                raise ProbeError(wrong)
            return ""
        if probe.protocol == "milter":
            _examine_milter(probe, paths)
            return ""
        with _connect(probe, paths) as link:
            if probe.protocol in ASKED:
                return _looked_up(link, probe, paths, thorough=True)
            _examine_smtp(link, probe, paths, login="")
        if trusted and probe.login:
            with _connect(probe, paths) as link:
                _examine_smtp(link, probe, paths, login=probe.login)
    except OSError as problem:
        raise ProbeError(f"{probe}: {problem}") from None
    return ""


class Dialog:
    """The client's side of an SMTP session (RFC 5321)."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self.rest = b""

    def greeting(self) -> None:
        """Read the server's greeting; raises :class:`ProbeError` if it is no welcome."""
        self.expect(self.reply(), "greeting", (220,))

    def command(self, line: str, expected: Iterable[int]) -> str:
        """Send ``line``, return the reply; raises :class:`ProbeError` if its code is not ``expected``."""
        self.link.sendall(line.encode() + b"\r\n")
        reply = self.reply()
        self.expect(reply, re.split("[: ]", line, maxsplit=1)[0], expected)
        return reply

    def reply(self) -> str:
        """Read one reply, all its lines."""
        lines = []
        while True:
            while b"\n" not in self.rest:
                more = self.link.recv(4096)
                if not more:
                    raise ProbeError("the server closed the connection without an answer")
                self.rest += more
            line, _, self.rest = self.rest.partition(b"\n")
            lines.append(line.decode(errors="replace").rstrip("\r"))
            if not re.match(r"\d{3}-", lines[-1]):
                return "\n".join(lines)

    @staticmethod
    def expect(reply: str, step: str, codes: Iterable[int]) -> None:
        """Raise :class:`ProbeError` unless ``reply`` starts with one of ``codes``."""
        if not any(reply.startswith(str(code)) for code in codes):
            raise ProbeError(f"{step} was answered {reply.splitlines()[-1]!r}")


def _greeted(link: socket.socket) -> None:
    Dialog(link).greeting()
    link.sendall(b"QUIT\r\n")


def _examine_smtp(link: socket.socket, probe: Probe, paths: Paths, login: str) -> None:
    if probe.tls == "wrapped":
        link = _secure(link, probe, paths)
    dialog = Dialog(link)
    dialog.greeting()
    dialog.command(f"EHLO {HELO}", (250,))
    if probe.tls == "starttls":
        dialog.command("STARTTLS", (220,))
        dialog = Dialog(_secure(link, probe, paths))
        dialog.command(f"EHLO {HELO}", (250,))
    if login:
        # Postfix XCLIENT_README: the session starts again, as the client described.
        dialog.command(f"XCLIENT ADDR=127.0.0.1 LOGIN={_xtext(login)}", (220,))
        dialog.command(f"EHLO {HELO}", (250,))
    dialog.command(f"MAIL FROM:<{probe.sender if login else ''}>", (250,))
    if login:
        dialog.command(f"RCPT TO:<{probe.recipient or probe.sender}>", (250, *NO_FAULT_AT_RCPT))
    else:
        reply = dialog.command(f"RCPT TO:<{STRANGER}>", (250, *range(500, 600), *NO_FAULT_AT_RCPT))
        # RFC 6409 4.3; a port without TLS may be one where mail comes in.
        if reply.startswith("250") and probe.tls != "none":
            raise ProbeError("a message to anywhere is accepted without a login")
    dialog.command("QUIT", (221,))


def _connect(probe: Probe, paths: Paths) -> socket.socket:
    if probe.socket:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        target: str | tuple[str, int] = paths.live(probe.socket)
    else:
        link = socket.socket(socket.AF_INET6 if ":" in probe.address else socket.AF_INET, socket.SOCK_STREAM)
        target = (probe.address, probe.port)
    link.settimeout(TIMEOUTS[probe.protocol])
    try:
        link.connect(target)
    except OSError:
        link.close()
        raise
    return link


def _secure(link: socket.socket, probe: Probe, paths: Paths) -> socket.socket:
    """Start TLS; with ``probe.certificate``, raise :class:`ProbeError` unless that is the certificate served."""
    import ssl  # noqa: PLC0415  # loading OpenSSL takes longer than all else a run that changes nothing does

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Whether the world trusts the certificate is for the proof to say; here it must be the one in the file.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        secured = context.wrap_socket(link, server_hostname=probe.name or None)
    except ssl.SSLError as problem:
        raise ProbeError(f"the TLS handshake failed: {problem.reason or problem}") from None
    if probe.certificate:
        with open(paths.live(probe.certificate), encoding="ascii") as handle:
            found = re.search(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", handle.read(), re.S)
        if not found or ssl.PEM_cert_to_DER_cert(found[0]) != secured.getpeercert(binary_form=True):
            raise ProbeError(f"the certificate served is not the one in {probe.certificate}")
    return secured


def _xtext(text: str) -> str:
    """Encode ``text`` as xtext (RFC 3461 4)."""
    return "".join(c if "!" <= c <= "~" and c not in "+=" else f"+{ord(c):02X}" for c in text)


def _sasl_handshake(link: socket.socket) -> str:
    """Speak Dovecot's authentication protocol up to DONE; return the server's process number.

    Source: Dovecot's "Authentication Protocol" design document, sections "Client <-> Server" and "Server process id".
    """
    link.sendall(f"VERSION\t1\t2\nCPID\t{os.getpid()}\n".encode())
    received = b""
    while b"DONE\n" not in received:
        more = link.recv(4096)
        if not more:
            raise ProbeError("the authentication server closed the connection")
        received += more
    lines = received.decode(errors="replace").splitlines()
    if not any(line.startswith("MECH\t") for line in lines):
        raise ProbeError("the authentication server offers no mechanism")
    return next((line for line in lines if line.startswith("SPID\t")), "")


def _milter_handshake(link: socket.socket) -> str:
    from .milter import MilterError, negotiate, part  # noqa: PLC0415

    try:
        negotiate(link)
    except MilterError as problem:
        raise ProbeError(str(problem)) from None
    part(link)
    return ""


def _redis_handshake(link: socket.socket, paths: Paths) -> str:
    """Log in with the password of the server's own configuration and be answered (redis.io, inline commands)."""
    with open(paths.live(COUNTERS), encoding="utf-8") as handle:
        password = re.search(r"^user default on >(\S+)", handle.read(), re.M)
    link.sendall((f"AUTH default {password[1]}\r\n" if password else "").encode() + b"PING\r\n")
    received = b""
    while b"+PONG" not in received:
        more = link.recv(256)
        received += more
        if not more or received.startswith(b"-") or b"\n-" in received:
            raise ProbeError("the counters do not answer: " + received.decode(errors="replace").strip())
    return ""


def _examine_milter(probe: Probe, paths: Paths) -> None:
    """Show the milter two messages, if ``probe`` has a sender: that one must pass signed, a stranger's must not pass.

    A policy that did not load lets everything through, unsigned, and looks alive.
    """
    if not probe.sender:
        glance(probe, paths)
        return
    from .milter import MilterError  # noqa: PLC0415

    try:
        added = _shown(probe, paths, probe.sender)
    except MilterError as problem:
        raise ProbeError(f"a message from {probe.sender}: {problem}") from None
    if "dkim-signature" not in [name.lower() for name in added]:
        raise ProbeError(f"a message from {probe.sender} is not signed")
    try:
        _shown(probe, paths, STRANGER)
    except MilterError:
        return
    raise ProbeError(f"a message from {STRANGER}, which nobody here may send for, is let through")


def _shown(probe: Probe, paths: Paths, sender: str) -> list[str]:
    from .milter import part, show  # noqa: PLC0415

    with _connect(probe, paths) as link:
        try:
            return show(link, probe.login, sender)
        finally:
            part(link)
