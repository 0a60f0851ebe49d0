# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
# The engines are installed on the receiver, not where this file is checked.
# mypy: disable-error-code="import-not-found"
"""What this server says of a message: SPF, DKIM and DMARC, by pyspf and dkimpy. DNS is asked anew for each."""

from __future__ import annotations

import email
import email.policy
import email.utils
import logging
import re
from dataclasses import dataclass, field

import dkim
import dns.exception
import dns.resolver
import spf

NAME = "receiver.receiver.test"


@dataclass(frozen=True)
class Envelope:
    """What the client said before the message."""

    sender: str
    recipients: list[str]
    helo: str
    peer: str
    tls: str | None


@dataclass(frozen=True)
class Signature:
    """One DKIM-Signature field and how it verified (RFC 8601 result names)."""

    domain: str
    selector: str
    algorithm: str
    result: str
    reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """All results for one message; dmarc_policy is the p= tag (RFC 7489 6.3) that applies."""

    spf: str
    spf_domain: str
    dkim: list[Signature]
    dmarc: str
    dmarc_policy: str
    header_from: str
    accepted: bool = True
    authentication_results: str = field(default="")


def txt(name: str) -> list[bytes]:
    """The TXT records of NAME, now. An empty list where there are none; dns.exception.DNSException if DNS fails."""
    resolver = dns.resolver.Resolver()
    resolver.lifetime = 5
    try:
        answer = resolver.resolve(name.rstrip(".") + ".", "TXT")
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    return [b"".join(record.strings) for record in answer]


def key_record(name: bytes | str, timeout: float = 5) -> bytes | None:
    """dkimpy's dnsfunc: the key record called NAME, or None."""
    records = txt(name.decode() if isinstance(name, bytes) else name)
    return records[0] if records else None


def tags(text: str) -> dict[str, str]:
    """A tag list (RFC 6376 3.2) as a dictionary."""
    pairs = (item.split("=", 1) for item in text.split(";") if "=" in item)
    return {name.strip().lower(): re.sub(r"\s+", "", value) for name, value in pairs}


def check_spf(envelope: Envelope) -> tuple[str, str]:
    """SPF of the connecting address (RFC 7208): the result and the domain it is about."""
    domain = envelope.sender.rpartition("@")[2] or envelope.helo
    sender = envelope.sender or f"postmaster@{envelope.helo}"
    result, _explanation = spf.check2(i=envelope.peer, s=sender, h=envelope.helo)
    return result, domain.lower()


class Words(logging.Handler):
    """What dkimpy logs about one signature: it says there, and only there, why a key is of no use."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""
        self.logger = logging.Logger("dkim")
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the last message."""
        self.last = record.getMessage()


def check_dkim(raw: bytes) -> list[Signature]:
    """Each signature of the message on its own (RFC 6376), in the order of the header."""
    fields = [
        tags(str(value))
        for value in email.message_from_bytes(raw, policy=email.policy.compat32).get_all("DKIM-Signature", [])
    ]
    results = []
    for index, parts in enumerate(fields):
        words = Words()
        reason = ""
        try:
            good = dkim.DKIM(raw, logger=words.logger).verify(idx=index, dnsfunc=key_record)
            result, reason = ("pass", "") if good else ("fail", words.last)
        except dns.exception.DNSException as error:
            result, reason = "temperror", str(error)
        except dkim.ValidationError as error:
            result, reason = "fail", str(error)
        except dkim.DKIMException as error:
            result, reason = "permerror", str(error)
        results.append(Signature(parts.get("d", "").lower(), parts.get("s", ""), parts.get("a", ""), result, reason))
    return results


def organizational(domain: str) -> str:
    """The organizational domain (RFC 7489 3.2) in the lab's world, where every top level is a public suffix."""
    return ".".join(domain.lower().rstrip(".").split(".")[-2:])


def aligned(identifier: str, author: str, mode: str) -> bool:
    """Whether IDENTIFIER is aligned with AUTHOR's domain (RFC 7489 3.1); MODE is "s" or "r"."""
    if mode == "s":
        return identifier == author
    return organizational(identifier) == organizational(author)


def author_domain(raw: bytes) -> str:
    """The domain of the one address in the one From field, or "" where RFC 7489 6.6.1 gives no single one."""
    fields = email.message_from_bytes(raw, policy=email.policy.compat32).get_all("From", [])
    domains = {
        address.rpartition("@")[2].lower()
        for _name, address in email.utils.getaddresses([str(value) for value in fields])
    }
    return domains.pop() if len(fields) == 1 and len(domains) == 1 else ""


def dmarc_record(domain: str) -> tuple[dict[str, str], bool]:
    """The policy that applies to DOMAIN (RFC 7489 6.6.3), and whether it is the organizational domain's."""
    parent = organizational(domain)
    for name in dict.fromkeys((domain, parent)):
        records = [text for text in (item.decode("latin-1") for item in txt(f"_dmarc.{name}"))
                   if re.match(r"v\s*=\s*DMARC1\s*(;|$)", text)]  # fmt: skip
        if len(records) == 1:
            return tags(records[0]), name != domain
        if records:
            return {}, False
    return {}, False


def check_dmarc(author: str, spf_result: str, spf_domain: str, signatures: list[Signature]) -> tuple[str, str]:
    """DMARC's result and policy for a message by AUTHOR's domain, given the other results."""
    if not author:
        return "permerror", ""
    try:
        record, inherited = dmarc_record(author)
    except dns.exception.DNSException:
        return "temperror", ""
    if not record:
        return "none", ""
    policy = record.get("sp", record.get("p", "none")) if inherited else record.get("p", "none")
    by_spf = spf_result == "pass" and aligned(spf_domain, author, record.get("aspf", "r"))
    by_dkim = any(
        signature.result == "pass" and aligned(signature.domain, author, record.get("adkim", "r"))
        for signature in signatures
    )
    if by_spf or by_dkim:
        return "pass", policy
    unknown = spf_result == "temperror" or any(signature.result == "temperror" for signature in signatures)
    return ("temperror" if unknown else "fail"), policy


def results_header(envelope: Envelope, verdict: Verdict) -> str:
    """The value of an Authentication-Results field (RFC 8601) for what was found."""
    parts = [NAME]
    identity = f"smtp.mailfrom={envelope.sender}" if envelope.sender else f"smtp.helo={envelope.helo}"
    parts.append(f"spf={verdict.spf} {identity}")
    for signature in verdict.dkim:
        reason = f' reason="{re.sub(chr(34), "", signature.reason)}"' if signature.reason else ""
        parts.append(
            f"dkim={signature.result}{reason} header.d={signature.domain} header.s={signature.selector} "
            f"header.a={signature.algorithm}"
        )
    if not verdict.dkim:
        parts.append("dkim=none")
    parts.append(f"dmarc={verdict.dmarc} header.from={verdict.header_from}")
    return "; ".join(parts)


def judge(envelope: Envelope, raw: bytes) -> Verdict:
    """Everything this server has to say about a message."""
    spf_result, spf_domain = check_spf(envelope)
    signatures = check_dkim(raw)
    author = author_domain(raw)
    dmarc, policy = check_dmarc(author, spf_result, spf_domain, signatures)
    accepted = not (dmarc == "fail" and policy == "reject")
    verdict = Verdict(spf_result, spf_domain, signatures, dmarc, policy, author, accepted)
    return Verdict(**{**vars(verdict), "authentication_results": results_header(envelope, verdict)})
