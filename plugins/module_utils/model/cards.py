# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an application's developer needs to know of a credential, and how each language writes text."""

from __future__ import annotations

import html
import json
import re
import shlex
from dataclasses import dataclass

from .types import Credential, Model


@dataclass(frozen=True)
class Card:
    """Settings of one application. It holds no secret.

    :param host: what to connect to; ``hosts`` are all that answer, where there is no shared name
    :param port: TLS from the first byte; ``starttls_port``: TLS after STARTTLS (RFC 8314 3.3)
    :param address: the sender that examples use; ``senders`` are all that are allowed
    :param recipients: of one message; ``size`` in MiB
    """

    name: str
    login: str
    host: str
    hosts: tuple[str, ...]
    port: int
    starttls_port: int
    alternative_port: int | None
    address: str
    senders: tuple[str, ...]
    networks: tuple[str, ...]
    rate: tuple[str, ...]
    expires: str | None
    recipients: int
    size: int


def card(model: Model, credential: Credential) -> Card:
    """Return the card of ``credential``."""
    ports, limits, rate = model.submission.ports, model.submission.limits, credential.rate
    shared = model.submission.hostname
    hosts = (shared,) if shared else tuple(host.name for host in model.hosts)
    return Card(
        name=credential.name,
        login=credential.login,
        host=hosts[0],
        hosts=hosts,
        port=ports.implicit_tls,
        starttls_port=ports.starttls,
        alternative_port=ports.alternative,
        address=_address(credential),
        senders=credential.senders,
        networks=credential.networks,
        rate=(
            *(f"{quota} messages" for quota in rate.messages),
            *(f"{quota} recipients" for quota in rate.recipients),
        ),
        expires=None if credential.expires is None else credential.expires.isoformat(),
        recipients=limits.recipients,
        size=limits.message_size // 1024**2,
    )


def _address(credential: Credential) -> str:
    """Return an address the credential may write as: its login, the first it names, or its name at the first domain."""
    senders = credential.senders
    if credential.login in senders or f"@{credential.domain}" in senders:
        return credential.login
    first = next((sender for sender in senders if not sender.startswith("@")), senders[0])
    return f"{credential.name}{first}" if first.startswith("@") else first


def python(text: str) -> str:
    """Return ``text`` as a string of Python."""
    return json.dumps(text, ensure_ascii=False)


def javascript(text: str) -> str:
    """Return ``text`` as a string of JavaScript (JSON is one since ECMAScript 2019)."""
    return json.dumps(text, ensure_ascii=False)


def single(text: str) -> str:
    """Return ``text`` as a single-quoted string of PHP or Ruby: only ``\\`` and ``'`` mean something in there."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def shell(text: str) -> str:
    """Return ``text`` as one word of a POSIX shell."""
    return shlex.quote(text)


def markdown(text: str) -> str:
    """Return ``text`` as Markdown that shows it as it is, also inside a table."""
    return re.sub(r"([\\`*_\[\]|~$])", r"\\\1", html.escape(text, quote=False))


def fence(text: str) -> str:
    """Return a fence of backticks that ``text`` cannot close."""
    return "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
