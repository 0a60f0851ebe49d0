# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Rules for the other records of mail that are text: DKIM, DMARC, TLSRPT, MTA-STS."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import TypeVar

from ..dns.findings import Finding
from ..dns.records import Key, canonical_name, shown
from . import dkim, dmarc, mtasts, tlsrpt
from .domains import covered
from .rules import Unresolvable, View, finding

T = TypeVar("T")
_SHORTEST, _ADVISED = 1024, 2048


def check_dkim(view: View, key: Key) -> Iterator[Finding]:
    """Yield what is wrong with the key of a selector."""
    values = [value for value in view.values(key) if isinstance(value, bytes)]
    if len(values) > 1:
        yield finding("dkim-several", key, f"{len(values)} records stand there", "Leave the one of the key in use")
    for value in values:
        try:
            record = dkim.parse(value)
        except ValueError as error:
            yield finding("dkim-syntax", key, f"{shown(value)}: {error}", "Publish the key anew: playbooks/dns.yml")
            continue
        if record.hashes and "sha256" not in record.hashes:
            yield finding(
                "dkim-sha1", key, f"h={':'.join(record.hashes)} leaves no hash that is safe", "Let it be sha256"
            )
        if "y" in record.flags:
            yield finding("dkim-testing", key, "t=y makes receivers treat the mail as unsigned", "Remove the flag")
        if record.key_type == "rsa" and record.public:
            yield from _rsa(key, record.public)


def _rsa(key: Key, public: str) -> Iterator[Finding]:
    try:
        bits = modulus_bits(b64decode(public))
    except ValueError as error:
        yield finding("dkim-syntax", key, f"p= holds no RSA key: {error}", "Publish the key anew: playbooks/dns.yml")
        return
    fix = "Make a longer one: rsa2048"
    if bits < _SHORTEST:
        yield finding("dkim-short", key, f"the key has {bits} bits", fix)
    elif bits < _ADVISED:
        yield finding("dkim-weak", key, f"the key has {bits} bits", fix)


def modulus_bits(der: bytes) -> int:
    """Return the size of the RSA key in a SubjectPublicKeyInfo (RFC 5280 4.1) or an RSAPublicKey (RFC 8017 A.1.1).

    RFC 6376 3.6.1 says the latter and everybody publishes the former. Raises :class:`ValueError` for anything else.
    """
    sequence, _ = _element(der, 0x30)
    if sequence[:1] == b"\x30":
        _, rest = _element(sequence, 0x30)
        bits, _ = _element(rest, 0x03)
        sequence, _ = _element(bits[1:], 0x30)
    modulus, _ = _element(sequence, 0x02)
    return int.from_bytes(modulus).bit_length()


def _element(der: bytes, tag: int) -> tuple[bytes, bytes]:
    """Return content and rest of the first element (X.690 8.1)."""
    if len(der) < 2 or der[0] != tag:  # noqa: PLR2004
        raise ValueError(f"no DER element {tag:#04x}")
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start])
    if len(der) < start + length:
        raise ValueError("cut off")
    return der[start : start + length], der[start + length :]


def check_delegate(view: View, key: Key) -> Iterator[Finding]:
    """Yield what is wrong with a selector that leads elsewhere."""
    for value in view.values(key):
        target = canonical_name(str(value))
        try:
            found = view.resolve(target, "TXT")
        except Unresolvable as error:
            yield finding("unresolved", key, f"the key cannot be looked up: {error}")
            continue
        if not found:
            message = f"{target} has no key"
            yield finding("dkim-delegate", key, message, "Let the other service publish it, or correct dkim.delegate")


def check_dmarc(view: View, key: Key) -> Iterator[Finding]:
    """Yield what is wrong with a policy."""
    values = [value for value in view.values(key) if isinstance(value, bytes) and dmarc.is_dmarc(value)]
    if len(values) > 1:
        said = " and ".join(map(shown, values))
        yield finding("dmarc-several", key, f"{said} stand side by side", "Remove all but one")
    for value in values:
        try:
            policy = dmarc.parse(value)
        except ValueError as error:
            yield finding("dmarc-syntax", key, f"{shown(value)}: {error}", "Correct it")
            continue
        yield from _policy(key, policy)
        yield from _receivers(view, key, policy)


def _policy(key: Key, policy: dmarc.Dmarc) -> Iterator[Finding]:
    removed = [*policy.removed, *(uri for uri in policy.rua if "!" in uri)]
    if removed:
        yield finding("dmarc-removed", key, f"{', '.join(removed)} means nothing any more", "Remove it")
    if policy.psd == "y":
        yield finding("dmarc-registry", key, "psd=y is for registries", "Remove it")
    if policy.testing:
        fix = "Set dmarc.testing to false when the reports look right"
        yield finding("dmarc-testing", key, f"t=y weakens p={policy.policy}", fix)
    if policy.policy == "none" and not policy.rua:
        fix = "Name an address in dmarc.rua, read the reports, then let dmarc.policy be quarantine and reject"
        yield finding("dmarc-unobserved", key, "p=none asks for nothing and tells nobody", fix)
    order = dmarc.POLICIES.index
    for tag, said in (("sp", policy.subdomain_policy), ("np", policy.nonexistent_policy)):
        if said is not None and order(said) < order(policy.policy):
            message = f"{tag}={said} is weaker than p={policy.policy}"
            yield finding("dmarc-weaker", key, message, "Forgers will use a subdomain; let both be the same")


def _receivers(view: View, key: Key, policy: dmarc.Dmarc) -> Iterator[Finding]:
    domain = key[0].removeprefix("_dmarc.")
    for receiver in dict.fromkeys(filter(None, map(dmarc.receiver_of, policy.rua))):
        try:
            yield from _receiver(view, key, domain, receiver)
        except Unresolvable as error:
            yield finding("unresolved", key, f"the report receiver {receiver} cannot be looked up: {error}")


def _receiver(view: View, key: Key, domain: str, receiver: str) -> Iterator[Finding]:
    hosts = [str(value).split()[-1] for value in view.resolve(receiver, "MX")]
    if hosts == ["."] or not (hosts or view.reachable(receiver)):
        fix = "Name an address in dmarc.rua that exists"
        yield finding("dmarc-receiver", key, f"{receiver} takes no mail, so no reports arrive", fix)
    if dmarc.external(domain, receiver) and not covered(view.model, receiver):
        name = dmarc.authorisation_name(domain, receiver)
        consents = [value for value in view.resolve(name, "TXT") if isinstance(value, bytes) and dmarc.is_dmarc(value)]
        if not consents:
            fix = f'Let its owner publish: {name}. TXT "v=DMARC1;"'
            yield finding("dmarc-consent", key, f"{receiver} does not say that it takes reports on {domain}", fix)


def check_tlsrpt(view: View, key: Key) -> Iterator[Finding]:
    """Yield what is wrong with the record that says where reports on TLS go."""
    yield from _single(view, key, "tlsrpt", tlsrpt.is_tlsrpt, tlsrpt.parse)


def check_sts(view: View, key: Key) -> Iterator[Finding]:
    """Yield what is wrong with the announcement of an MTA-STS policy."""
    yield from _single(view, key, "sts", mtasts.is_sts, mtasts.parse)
    host = mtasts.policy_host(key[0].removeprefix("_mta-sts."))
    try:
        if view.values(key) and not view.reachable(host):
            fix = "Serve the policy there, or say with mta_sts.host who does"
            yield finding("sts-host", key, f"{host}, where senders look for the policy, has no address", fix)
    except Unresolvable as error:
        yield finding("unresolved", key, f"{host} cannot be looked up: {error}")


def _single(
    view: View, key: Key, kind: str, is_one: Callable[[bytes], bool], parse: Callable[[bytes], T]
) -> Iterator[Finding]:
    values = [value for value in view.values(key) if isinstance(value, bytes) and is_one(value)]
    if len(values) > 1:
        said = " and ".join(map(shown, values))
        yield finding(f"{kind}-several", key, f"{said} stand side by side", "Remove all but one")
    for value in values:
        try:
            parse(value)
        except ValueError as error:
            yield finding(f"{kind}-syntax", key, f"{shown(value)}: {error}", "Correct it")
