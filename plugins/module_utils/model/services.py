# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Read what the service offers and where its certificates come from: ``postseal_submission``, ``postseal_tls``."""

from __future__ import annotations

from typing import Any

from . import values
from .problems import Invalid, Section, nearest
from .types import Caa, Limits, Ports, Submission, Tls

# RFC 8555 directories of Let's Encrypt, from its documentation (docs/acme-protocol-updates, docs/staging-environment).
ISSUERS = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}
# What the authority calls itself in CAA records: letsencrypt.org/docs/caa.
ISSUER_NAMES = dict.fromkeys(ISSUERS.values(), "letsencrypt.org")
# RFC 8657 4: the methods that RFC 8555 and RFC 8737 register.
METHODS = ("http-01", "dns-01", "tls-alpn-01")
SUBMISSION_KEYS = ("hostname", "ports", "limits", "reveal", "shared_senders", "queue_lifetime", "delay_warning")
REVEALED = ("client", "login", "user_agent")
TLS_KEYS = ("issuer", "contact", "ca", "caa")
CAA_KEYS = ("issuer", "accounts", "methods", "iodef")
_MAX_MESSAGE = 1024**3


def read_submission(variables: Section) -> Submission:
    """Return the submission service; absent parts have the defaults of :class:`Submission`."""
    said = variables.section("postseal_submission", SUBMISSION_KEYS)
    ports = said.section("ports", ("implicit_tls", "starttls", "alternative"))
    limits = said.section("limits", ("message_size", "recipients"))
    default = Submission()
    read = Submission(
        hostname=said.get("hostname", values.domain_name, None),
        ports=Ports(
            implicit_tls=ports.get("implicit_tls", values.port, default.ports.implicit_tls),
            starttls=ports.get("starttls", values.port, default.ports.starttls),
            alternative=ports.get("alternative", values.port, None),
        ),
        limits=Limits(
            message_size=limits.get("message_size", values.size, default.limits.message_size),
            recipients=limits.get("recipients", values.integer(1, 10000), default.limits.recipients),
        ),
        reveal=said.each("reveal", values.choice(REVEALED)),
        shared_senders=said.each("shared_senders", values.sender),
        queue_lifetime=said.get("queue_lifetime", values.duration, default.queue_lifetime),
        delay_warning=said.get("delay_warning", values.duration_or_never, default.delay_warning),
    )
    if len(set(read.ports.all)) != len(read.ports.all):
        said.collector.add(said.at("ports"), "uses one port twice; give each service its own", list(read.ports.all))
    if 25 in read.ports.all:  # noqa: PLR2004
        said.collector.add(said.at("ports"), "must not be 25: that port is for mail between servers (RFC 8314 3.3)", 25)
    if read.limits.message_size > _MAX_MESSAGE:
        said.collector.add(limits.at("message_size"), "must not be larger than 1G", limits.values.get("message_size"))
    return read


def read_tls(variables: Section) -> Tls | None:
    """Return where certificates come from; ``None`` after noting why not."""
    said = variables.section("postseal_tls", TLS_KEYS)
    issuer = said.get("issuer", _issuer, ISSUERS["letsencrypt"])
    contact = said.get("contact", values.mail_uri, None)
    ca = said.get("ca", values.path, "system")
    return Tls(
        directory=issuer,
        contact=contact.removeprefix("mailto:") if contact else None,
        ca=None if ca == "system" else ca,
        caa=_caa(said, issuer) if said.has("caa") else None,
    )


def _caa(tls: Section, directory: str) -> Caa | None:
    said = tls.section("caa", CAA_KEYS)
    issuer = said.get("issuer", values.domain_name, ISSUER_NAMES.get(directory, ""))
    if not issuer and not said.has("issuer"):
        fix = "is missing; give the name that the authority documents for CAA records, like letsencrypt.org"
        said.collector.add(said.at("issuer"), fix)
    return Caa(
        issuer=issuer,
        accounts=said.each("accounts", _account),
        methods=said.each("methods", values.choice(METHODS)) if said.has("methods") else Caa.methods,
        iodef=said.get("iodef", values.report_uri, None),
    )


def _account(value: Any) -> str:
    """The value of a CAA parameter is visible ASCII without a semicolon (RFC 8659 4.2)."""
    url = values.https_url(value)
    if not url.isascii() or any(character in url for character in '; "\\'):
        raise Invalid("must be the https:// URL of an ACME account, as certbot show_account prints it")
    return url


def _issuer(value: Any) -> str:
    written = values.text(value)
    if written in ISSUERS:
        return ISSUERS[written]
    try:
        return values.https_url(written)
    except Invalid as error:
        hint = nearest(written, tuple(ISSUERS))
        fix = f"must be {', '.join(ISSUERS)} or the https:// URL of an ACME directory; {hint}".rstrip("; ")
        raise Invalid(fix) from error
