# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What only shows from inside a mail host, judged from one survey (see host/survey.py)."""

from __future__ import annotations

from typing import Any

from ansible_collections.postseal.mail.plugins.module_utils.model.served import SERVED, served
from ansible_collections.postseal.mail.plugins.module_utils.model.types import MailHost
from ansible_collections.postseal.mail.tests.verify.proof.catalogue import check
from ansible_collections.postseal.mail.tests.verify.proof.inside import (
    MILTER_FAIL_CLOSED,
    enabled,
    loose_sockets,
    milter_setting,
    readable_secrets,
    renewing,
    running,
    services,
    suspended,
    unconfined,
    uncontained,
    unexpected_listeners,
    without_counters,
)
from ansible_collections.postseal.mail.tests.verify.proof.logs import addresses_in_clear, kept_otherwise, read_by_others
from ansible_collections.postseal.mail.tests.verify.proof.observe import Observer
from ansible_collections.postseal.mail.tests.verify.proof.outcome import CheckFailedError, NotApplicableError


def _postfix(host: MailHost, observed: Observer) -> dict[str, Any]:
    found: dict[str, Any] | None = observed.host_facts(host, "postfix")
    if found is None:
        raise CheckFailedError("Postfix is not installed")
    return found


@check("HOST-1")
def test_secrets_are_private(mail_host: MailHost, observed: Observer) -> None:
    if loose := readable_secrets(observed.host_facts(mail_host, "files")):
        raise CheckFailedError("; ".join(loose))


@check("HOST-2")
def test_postfix_does_not_complain(mail_host: MailHost, observed: Observer) -> None:
    found = _postfix(mail_host, observed)
    if found["check"] != 0 or found["complaints"]:
        raise CheckFailedError("; ".join(found["complaints"]) or f"postfix check ends with {found['check']}")


@check("HOST-3")
def test_listeners(mail_host: MailHost, observed: Observer) -> None:
    listeners = without_counters(observed.host_facts(mail_host, "listeners"), observed.model, mail_host.name)
    if seen := unexpected_listeners(listeners, observed.model.submission.ports.all):
        raise CheckFailedError("; ".join(seen))


@check("HOST-4")
def test_services_run(mail_host: MailHost, observed: Observer) -> None:
    units = observed.host_facts(mail_host, "units")
    wanted = services(observed.model, mail_host.name)
    seen = {name: f"{name} does not run" for name in wanted if not running(units, name)}
    for name in wanted:
        if name not in seen and not enabled(units, name):
            seen[name] = f"{name} runs, but does not start at boot"
    if seen:
        raise CheckFailedError("; ".join(seen.values()), unit=" ".join(seen))


@check("HOST-5")
def test_signer_fails_closed(mail_host: MailHost, observed: Observer) -> None:
    found = _postfix(mail_host, observed)
    for service in observed.model.submission.ports.all:
        setting = milter_setting(found, service)
        if not setting.milters:
            raise CheckFailedError(f"port {service} hands messages to no signer (smtpd_milters is empty)")
        if setting.default_action not in MILTER_FAIL_CLOSED:
            raise CheckFailedError(f"port {service}: milter_default_action is {setting.default_action}")
    main = found["main"]
    if not main.get("non_smtpd_milters") or "bounce" not in main.get("internal_mail_filter_classes", ""):
        raise CheckFailedError("bounces leave unsigned: non_smtpd_milters, internal_mail_filter_classes")


@check("HOST-6")
def test_sockets_are_private(mail_host: MailHost, observed: Observer) -> None:
    if loose := loose_sockets(observed.host_facts(mail_host, "files")):
        raise CheckFailedError("; ".join(text for _, text in loose), path=loose[0][0])


@check("HOST-7")
def test_the_certificate_renews_by_itself(mail_host: MailHost, observed: Observer) -> None:
    if obstacle := renewing(observed.host_facts(mail_host, "units")):
        raise CheckFailedError(obstacle)


@check("HOST-8")
def test_services_are_confined(mail_host: MailHost, observed: Observer) -> None:
    if seen := unconfined(observed.host_facts(mail_host, "units")):
        raise CheckFailedError("; ".join(seen))


@check("HOST-9")
def test_services_are_made_of_this_inventory(mail_host: MailHost, observed: Observer) -> None:
    found: dict[str, str] | None = observed.host_facts(mail_host, "made_of")
    if found is None:
        raise NotApplicableError("Postseal did not install this host")
    if lagging := [name for name in SERVED if found.get(name) != served(observed.model)]:
        raise CheckFailedError(f"another inventory, or an older one, made {', '.join(lagging)}")


@check("CONTAIN-1")
def test_containment(mail_host: MailHost, observed: Observer) -> None:
    found = observed.host_facts(mail_host, "containment")
    units = observed.host_facts(mail_host, "units")
    if seen := uncontained(found, units, wanted=observed.model.containment.enabled):
        raise CheckFailedError("; ".join(seen))


@check("CONTAIN-2")
def test_nobody_is_suspended(mail_host: MailHost, observed: Observer) -> None:
    if seen := suspended(observed.host_facts(mail_host, "containment")):
        raise CheckFailedError("; ".join(seen), name=seen[0].partition(" ")[0])


@check("LOG-1")
def test_logs_are_kept_as_long_as_declared(mail_host: MailHost, observed: Observer) -> None:
    if seen := kept_otherwise(observed.host_facts(mail_host, "log"), observed.model.log.retention):
        raise CheckFailedError("; ".join(seen))


@check("LOG-2")
def test_logs_are_read_by_the_declared_group(mail_host: MailHost, observed: Observer) -> None:
    readers = observed.model.log.readers
    if seen := read_by_others(observed.host_facts(mail_host, "log"), readers):
        raise CheckFailedError("; ".join(seen))


@check("LOG-3")
def test_logs_hold_addresses_only_if_declared(mail_host: MailHost, observed: Observer) -> None:
    declared = observed.model.log.addresses
    if seen := addresses_in_clear(observed.host_facts(mail_host, "log"), declared):
        raise CheckFailedError("; ".join(seen))
