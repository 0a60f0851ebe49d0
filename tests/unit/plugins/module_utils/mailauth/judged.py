# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A small environment, the DNS around it, and what the rules say of a zone in it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence

from ansible_collections.postseal.mail.plugins.module_utils.dns.findings import Finding
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Key, RRset, Value
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.lint import rules
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.spf_budget import Unresolvable
from ansible_collections.postseal.mail.plugins.module_utils.model.types import (
    Dns,
    Domain,
    MailHost,
    Model,
    Submission,
    Tls,
)
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Sets = Mapping[Key, Sequence[Value]]
ZONE = "shop.test"
MODEL = Model(
    environment="production",
    hosts=(MailHost("mail.shop.test", ("192.0.2.1",), ("2001:db8::1",)),),
    submission=Submission(),
    tls=Tls("https://acme-v02.api.letsencrypt.org/directory", None),
    dns=Dns(()),
    domains=(Domain(ZONE),),
    credentials=(),
)
ED25519 = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="  # RFC 8463 A.2
DNS: dict[Key, Sequence[Value]] = {
    ("mx.else.test", "A"): ["192.0.2.9"],
    ("alias.else.test", "CNAME"): ["mx.else.test."],
    ("else.test", "MX"): ["10 mx.else.test."],
    ("nomail.test", "MX"): ["0 ."],
    ("ok.test", "TXT"): [b"v=spf1 ip4:192.0.2.9 -all"],
    ("dear.test", "TXT"): [b"v=spf1 " + b" ".join(b"a:mx.else.test" for _ in range(10))],
    ("loop.test", "TXT"): [b"v=spf1 include:shop.test"],
    ("key.else.test", "TXT"): [b"v=DKIM1; p=" + ED25519.encode()],
    ("shop.test._report._dmarc.willing.test", "TXT"): [b"v=DMARC1;"],
    ("willing.test", "A"): ["192.0.2.9"],
}


def resolve(name: str, rrtype: str) -> Sequence[Value]:
    if "silent" in name:
        raise Unresolvable(f"{name} {rrtype}: SERVFAIL")
    return DNS.get((name, rrtype), ())


def lint(sets: Sets, model: Model = MODEL) -> list[Finding]:
    rrsets = {key: RRset.of(*key, 300, values) for key, values in sets.items()}
    return list(rules(model, resolve)(ZONE, rrsets, frozenset(rrsets)))


def rsa_key(bits: int) -> str:
    """A public key of the given size; nobody has to be able to sign with it."""
    numbers = rsa.RSAPublicNumbers(65537, (1 << (bits - 1)) | 1)
    der = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(der).decode()


SELECTOR, POLICY, STS, RPT = (
    ("s1._domainkey.shop.test", "TXT"), ("_dmarc.shop.test", "TXT"), ("_mta-sts.shop.test", "TXT"),
    ("_smtp._tls.shop.test", "TXT"),
)  # fmt: skip
APEX, MX, SRV = (ZONE, "TXT"), (ZONE, "MX"), ("_submission._tcp.shop.test", "SRV")
HOST: Key = ("mail.shop.test", "A")
