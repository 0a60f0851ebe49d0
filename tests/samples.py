# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A report with everything in it, and evidence that attacks whoever reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ansible_collections.postseal.mail.tests.verify.proof.catalogue import catalogue
from ansible_collections.postseal.mail.tests.verify.proof.changes import Change, Changes, Kind
from ansible_collections.postseal.mail.tests.verify.proof.horizon import Expiry
from ansible_collections.postseal.mail.tests.verify.proof.outcome import Result, Results, Status
from ansible_collections.postseal.mail.tests.verify.proof.run import Run

HOSTS = ("mail-a.example.com", "mail-b.example.com")
DOMAINS = ("shop.example", "a-domain-with-quite-a-long-name-that-nobody-wants-to-type.example")
BEGAN = datetime(2026, 11, 28, 6, 30, tzinfo=UTC)
HOSTILE = (
    "220 <script>document.title='owned'</script>",
    "250 </code></dd></dl></article><img src=https://evil.example/x.png onerror=alert(1)>",
    "550 \"'><svg/onload=alert(1)><style>@import url(https://evil.example/x.css);article{display:none}</style>",
    "554 {{ 7 * 7 }} {% include '/etc/passwd' %} &lt;b&gt;",
    "421 \x1b[2J\x07\u202egnp.exe\r\nFAILED everything\x00",
    "v=spf1 " + "include:" + "a" * 400,
)


def results() -> Results:
    """Return a result of every status, and one for each hostile text."""
    found = [Result(check, f"{HOSTS[0]} 192.0.2.1:587", Status.PASSED, host=HOSTS[0]) for check in catalogue()]
    found += [
        Result(
            "PORT-1",
            f"{HOSTS[1]} [2001:db8::1]:465",
            Status.FAILED,
            f"the greeting is {text}",
            f"Repair {text}",
            evidence=(text,),
            host=HOSTS[1],
        )
        for text in HOSTILE
    ]
    found += [
        Result("SPF-1", DOMAINS[1], Status.WARNED, "two records", 'TXT "v=spf1 ip4:192.0.2.1 -all"'),
        Result("MSG-1", f"{HOSTS[1]} 192.0.2.2:587", Status.NOT_TESTED, "the server is not available: 421 busy"),
        Result("MX-1", DOMAINS[0], Status.NOT_APPLICABLE, "the inventory names no mx"),
        Result(
            "DMARC-2",
            DOMAINS[0],
            Status.NOTED,
            "nothing to see",
            "Nothing",
            evidence=("_dmarc.shop.example has no rua",),
        ),
        Result("ADDR-1", "smtp.example.com", Status.PASSED),
    ]
    return Results(found)


def run() -> Run:
    """Return a run with expiries near, far and past, and with changes."""
    expiries = [
        Expiry("certificate", f"{HOSTS[0]}, port 465, 587", BEGAN + timedelta(days=80), "is renewed by itself"),
        Expiry("certificate", f"{HOSTS[1]}, port 465", BEGAN + timedelta(days=3), "is renewed by itself"),
        Expiry("DKIM key", f"production-20260101-rsa2048._domainkey.{DOMAINS[1]}", BEGAN - timedelta(days=9), "x"),
        Expiry("DNSSEC signature", DOMAINS[0], BEGAN + timedelta(days=13), "is made anew"),
        Expiry("credential", "shop of shop.example", BEGAN + timedelta(days=900), "stops working"),
    ]
    changes = [
        Change(Kind.NEW, Result("SPF-1", DOMAINS[1], Status.WARNED, "two records", "one"), Status.PASSED),
        Change(Kind.REPAIRED, Result("PTR-1", f"{HOSTS[0]} 192.0.2.1", Status.PASSED), Status.FAILED),
    ]
    began = BEGAN.timestamp()
    return Run(
        "production",
        began,
        began + 7.5,
        HOSTS,
        DOMAINS,
        expiries=tuple(expiries),
        changes=Changes(BEGAN.isoformat(), tuple(changes), 3),
    )
