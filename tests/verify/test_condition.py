# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The state of a mail host beyond its mail software: firewall, updates, clock, room."""

from __future__ import annotations

from ansible_collections.postseal.mail.plugins.module_utils.model.types import MailHost
from ansible_collections.postseal.mail.tests.verify.proof.catalogue import check
from ansible_collections.postseal.mail.tests.verify.proof.condition import (
    CLOCK_SECONDS,
    clock_off,
    no_room,
    open_firewall,
    password_logins,
    restarts_outstanding,
)
from ansible_collections.postseal.mail.tests.verify.proof.observe import Observer
from ansible_collections.postseal.mail.tests.verify.proof.outcome import CheckFailedError, NotApplicableError


@check("STATE-1")
def test_firewall_is_closed(mail_host: MailHost, observed: Observer) -> None:
    if not observed.model.firewall.enabled:
        raise NotApplicableError("postseal_firewall.enabled is false")
    if seen := open_firewall(observed.host_facts(mail_host, "condition")["firewall"]):
        raise CheckFailedError("; ".join(seen))


@check("STATE-2")
def test_nothing_outdated_runs(mail_host: MailHost, observed: Observer) -> None:
    if seen := restarts_outstanding(observed.host_facts(mail_host, "condition")):
        raise CheckFailedError("; ".join(seen))


@check("STATE-3")
def test_updates_install_themselves(mail_host: MailHost, observed: Observer) -> None:
    if not observed.host_facts(mail_host, "condition")["updates"]:
        raise CheckFailedError("nothing installs security updates by itself")


@check("STATE-4")
def test_clock_is_right(mail_host: MailHost, observed: Observer) -> None:
    clock, asked = observed.host_facts(mail_host, "condition")["clock"], observed.host_facts(mail_host, "asked")
    if (off := clock_off(clock, asked)) > CLOCK_SECONDS:
        raise CheckFailedError(f"its clock and that of this machine are {off:.0f} s apart")


@check("STATE-5")
def test_there_is_room(mail_host: MailHost, observed: Observer) -> None:
    if seen := no_room(observed.host_facts(mail_host, "condition")):
        raise CheckFailedError("; ".join(seen))


@check("STATE-6")
def test_ssh_takes_keys_only(mail_host: MailHost, observed: Observer) -> None:
    found = observed.host_facts(mail_host, "ssh")
    if found is None:
        raise NotApplicableError("there is no SSH server")
    if seen := password_logins(found):
        raise CheckFailedError("; ".join(seen))
