# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Read what the service offers and where its certificates come from: ``postseal_submission``, ``postseal_tls``."""

from __future__ import annotations

from typing import Any

from . import values
from .problems import Invalid, Section, nearest
from .types import Limits, Ports, Submission, Tls

# RFC 8555 directories of Let's Encrypt, from its documentation (docs/acme-protocol-updates, docs/staging-environment).
ISSUERS = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}
_MAX_MESSAGE = 1024**3


def read_submission(variables: Section) -> Submission:
    """Return the submission service; absent parts have the defaults of :class:`Submission`."""
    said = variables.section("postseal_submission", ("hostname", "ports", "limits"))
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
    said = variables.section("postseal_tls", ("issuer", "contact", "ca"))
    issuer = said.get("issuer", _issuer, ISSUERS["letsencrypt"])
    contact = said.get("contact", values.mail_uri, None)
    ca = said.get("ca", values.path, "system")
    return Tls(
        directory=issuer,
        contact=contact.removeprefix("mailto:") if contact else None,
        ca=None if ca == "system" else ca,
    )


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
