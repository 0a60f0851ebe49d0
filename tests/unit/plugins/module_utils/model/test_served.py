# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The name of what services are made of changes with all that reaches them, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.served import served
from ansible_collections.postseal.mail.plugins.module_utils.model.types import (
    Credential,
    Dkim,
    Dmarc,
    Dns,
    Domain,
    Limits,
    Log,
    MailHost,
    Model,
    Quota,
    Rate,
    Secret,
    Submission,
    Tls,
)

SHOP = Credential("shop", "shop.test", Secret("{SHA512-CRYPT}one"), ("@shop.test",))
MODEL = Model(
    "lab",
    (MailHost("mail.shop.test", ("192.0.2.1",), ()),),
    Submission(),
    Tls("https://acme.test/dir", None),
    Dns(()),
    (Domain("shop.test"),),
    (SHOP,),
)


@pytest.mark.parametrize(
    "credential",
    [
        replace(SHOP, secret_hash=Secret("{SHA512-CRYPT}two")),
        replace(SHOP, senders=("orders@shop.test",)),
        replace(SHOP, revoked=True),
        replace(SHOP, rate=Rate(messages=(Quota(60, 5),))),
        replace(SHOP, expires=date(2030, 1, 1)),
    ],
    ids=["password", "senders", "revoked", "rate", "expires"],
)
def test_a_changed_credential_is_another_inventory(credential: Credential) -> None:
    assert served(replace(MODEL, credentials=(credential,))) != served(MODEL)


@pytest.mark.parametrize(
    "other",
    [
        replace(MODEL, credentials=()),
        replace(MODEL, submission=Submission(limits=Limits(recipients=7))),
        replace(MODEL, log=Log(addresses="hash")),
        replace(MODEL, domains=(Domain("shop.test", subdomains=("news.shop.test",)),)),
        replace(MODEL, domains=()),
    ],
    ids=["no credential", "limits", "log", "subdomain", "no domain"],
)
def test_what_services_are_made_of_counts(other: Model) -> None:
    assert served(other) != served(MODEL)


@pytest.mark.parametrize(
    "other",
    [
        replace(MODEL),
        replace(MODEL, dns=Dns((), ttl=77)),
        replace(MODEL, domains=(Domain("shop.test", dmarc=Dmarc("reject"), dkim=Dkim(rotate_every=86400)),)),
        replace(MODEL, domains=(Domain("shop.test"), Domain("parked.test", parked=True))),
        # It ends by itself, and the model of the day after has it no more.
        replace(
            MODEL,
            credentials=(replace(SHOP, previous_hash=Secret("{SHA512-CRYPT}old"), previous_until=date(2030, 1, 1)),),
        ),
    ],
    ids=["the same", "DNS", "policies", "a parked domain", "a previous password"],
)
def test_what_only_the_dns_is_about_does_not_count(other: Model) -> None:
    assert served(other) == served(MODEL)


def test_no_secret_can_be_read_in_it() -> None:
    assert len(served(MODEL)) == 16
    assert int(served(MODEL), 16)
