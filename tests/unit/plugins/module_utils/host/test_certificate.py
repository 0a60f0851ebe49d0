# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""When a new certificate is asked for, and when not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import certificate
from ansible_collections.postseal.mail.plugins.module_utils.host.certificate import Held, need, support
from ansible_collections.postseal.mail.plugins.module_utils.host.lineage import Certificate, Order

DAY = 86400
KEY = "ab" * 32
ORDER = Order(
    name="mail.example.com",
    names=("mail.example.com", "smtp.example.com"),
    key=Path("/etc/postseal/tls/mail.example.com.key"),
    directory="https://acme.example/dir",
)
FOUND = Certificate(
    names=("smtp.example.com", "mail.example.com"),
    not_before=0,
    not_after=90 * DAY,
    spki_sha256=KEY,
    self_signed=False,
)
RENEWAL = {"server": ORDER.directory, "reuse_key": "True", "authenticator": "webroot"}
HELD = Held(FOUND, RENEWAL, KEY)


def test_a_certificate_that_fits_is_left_alone() -> None:
    assert need(ORDER, HELD, 60 * DAY) is None


def test_renewal_is_the_timers_business_until_it_has_clearly_failed() -> None:
    assert need(ORDER, HELD, 80 * DAY) is None
    assert need(ORDER, HELD, 82 * DAY) == "it has not been renewed in time"
    assert need(ORDER, HELD, 99 * DAY) == "it has not been renewed in time"


@pytest.mark.parametrize(
    ("found", "renewal", "key", "reason"),
    [
        (None, {}, KEY, "no certificate"),
        (FOUND, RENEWAL, "cd" * 32, "not for the key"),
        (replace(FOUND, self_signed=True), RENEWAL, KEY, "placeholder"),
        (replace(FOUND, names=("mail.example.com",)), RENEWAL, KEY, "not mail.example.com, smtp.example.com"),
        (replace(FOUND, names=(*FOUND.names, "old.example.com")), RENEWAL, KEY, "it names"),
        (FOUND, {**RENEWAL, "server": "https://other.example/dir"}, KEY, "https://other.example/dir"),
        (FOUND, {**RENEWAL, "reuse_key": "False"}, KEY, "would not keep the key"),
        (FOUND, {"server": ORDER.directory}, KEY, "would not keep the key"),
        (FOUND, {**RENEWAL, "authenticator": "manual"}, KEY, "would not keep the key"),
        (FOUND, {}, KEY, "it came from"),
    ],
)
def test_every_difference_asks_for_a_new_one(
    found: Certificate | None, renewal: dict[str, str], key: str, reason: str
) -> None:
    assert reason in str(need(ORDER, Held(found, renewal, key), DAY))


def test_another_ca_means_another_certificate() -> None:
    private = replace(ORDER, ca="PEM")
    assert need(private, replace(HELD, trusted="PEM"), DAY) is None
    for order in (private, ORDER):
        assert "CA certificates" in str(need(order, replace(HELD, trusted="OLD PEM"), DAY))


def test_a_private_authority_is_trusted_by_our_call_and_by_the_timer() -> None:
    files = {file.path: file.content for file in support(replace(ORDER, ca="PEM"))}
    assert files[certificate.CA_FILE] == "PEM"
    drop_in = files[Path("/etc/systemd/system/certbot.service.d/postseal.conf")]
    assert f"REQUESTS_CA_BUNDLE={certificate.CA_FILE}\n" in str(drop_in)


def test_with_a_public_authority_neither_is_there() -> None:
    files = {file.path: file.content for file in support(ORDER)}
    assert files[certificate.CA_FILE] is None
    assert files[Path("/etc/systemd/system/certbot.service.d/postseal.conf")] is None
