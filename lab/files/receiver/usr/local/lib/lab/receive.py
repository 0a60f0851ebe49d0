#!/usr/bin/python3
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
# The engines are installed on the receiver, not where this file is checked.
# mypy: disable-error-code="import-not-found"
"""A foreign mail server: accepts every message, judges SPF, DKIM and DMARC, and keeps what it got.

The engines are pyspf and dkimpy, which the product does not use; DNS is asked anew for each message. A message becomes
two files in /srv/mail: NAME.eml, the bytes as received, and after it NAME.json, the verdict (see Verdict). Both appear
complete or not at all.

Policy: a message whose DMARC fails where the domain says p=reject is kept (`"accepted": false`) and refused with 550.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import email.utils
import itertools
import json
import logging
import os
import re
import ssl
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import dkim
import dns.exception
import dns.resolver
import spf
from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import Envelope as Said
from aiosmtpd.smtp import Session as Talk

NAME = "receiver.receiver.test"
MAILBOX = Path("/srv/mail")
CERTIFICATE, KEY = "/etc/lab/receiver.crt", "/etc/lab/receiver.key"
LARGEST = 64 * 1024 * 1024


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


def keep(name: str, envelope: Envelope, raw: bytes) -> bool:
    """Judge and store a message; whether it is accepted. Runs in a process of the pool."""
    verdict = judge(envelope, raw)
    document = {
        "from": envelope.sender,
        "to": envelope.recipients,
        "helo": envelope.helo,
        "peer": envelope.peer,
        "tls": envelope.tls,
        **asdict(verdict),
    }
    store(MAILBOX / f"{name}.eml", raw)
    store(MAILBOX / f"{name}.json", json.dumps(document, indent=2).encode() + b"\n")
    return verdict.accepted


def store(path: Path, content: bytes) -> None:
    """Make a file appear with all its content."""
    partial = path.with_name(f".{path.name}")
    partial.write_bytes(content)
    partial.rename(path)


class Handler:
    """aiosmtpd's hooks: what happens when a message is complete."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self.pool = pool
        self.numbers = itertools.count(1)

    async def handle_DATA(self, server: SMTP, session: Talk, said: Said) -> str:  # noqa: N802
        """Judge before answering: when the client has its 250, the files are there."""
        tls = server.transport.get_extra_info("ssl_object")
        envelope = Envelope(
            sender=said.mail_from or "",
            recipients=list(said.rcpt_tos),
            helo=session.host_name or "",
            peer=session.peer[0].removeprefix("::ffff:"),
            tls=None if tls is None else tls.version(),
        )
        name = f"{time.time_ns()}-{next(self.numbers)}"
        raw = said.original_content
        try:
            accepted = await asyncio.get_running_loop().run_in_executor(self.pool, keep, name, envelope, raw)
        except Exception as error:  # the client has to keep the message, whatever went wrong here
            print(f"{name}: {error!r}", flush=True)
            return "451 4.3.0 cannot judge this message now"
        print(f"{name}: {envelope.peer} <{envelope.sender}> {'kept' if accepted else 'refused'}", flush=True)
        return f"250 2.0.0 kept as {name}" if accepted else "550 5.7.1 refused by the author domain's DMARC policy"


async def serve() -> None:
    """Listen on port 25 of every address, for ever."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE, KEY)
    pool = ProcessPoolExecutor(os.cpu_count())
    handler = Handler(pool)
    loop = asyncio.get_running_loop()

    def session() -> SMTP:
        return SMTP(
            handler, hostname=NAME, ident="ESMTP lab receiver", tls_context=context, data_size_limit=LARGEST,
            enable_SMTPUTF8=True, loop=loop,
        )  # fmt: skip

    servers = [
        await loop.create_server(session, host, 25, reuse_address=True, backlog=1024)
        for host in ("0.0.0.0", "::")  # noqa: S104
    ]
    print("listening on port 25", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(serve())
