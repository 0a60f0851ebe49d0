# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Judgements about a host's survey."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host.survey import CONFINEMENT
from ansible_collections.postseal.mail.plugins.module_utils.model.pace import Pace
from ansible_collections.postseal.mail.plugins.module_utils.model.warm_up import WarmUp
from ansible_collections.postseal.mail.tests.verify.proof.inside import (
    CONFINED,
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


def _file(path: str, mode: str, owner: str = "root", group: str = "root", kind: str = "file") -> dict[str, str]:
    return {"path": path, "kind": kind, "mode": mode, "owner": owner, "group": group}


DKIM = "/etc/postseal/dkim/shop.example/s.ed25519.key"
TLS = "/etc/postseal/tls/mail.example.key"


@pytest.mark.parametrize(
    "file",
    [
        _file(DKIM, "0640", group="_rspamd"),
        _file(TLS, "0600"),
        _file("/etc/postseal/acme-ca.pem", "0644"),
        _file("/etc/letsencrypt/live/mail.example/privkey.pem", "0777", kind="link"),
        _file("/etc/letsencrypt/archive/mail.example/fullchain1.pem", "0644"),
        _file("/etc/dovecot/submission-users", "0640", group="dovecot"),
    ],
)
def test_what_is_right_is_not_mentioned(file: dict[str, str]) -> None:
    assert readable_secrets([file]) == []


@pytest.mark.parametrize(
    "file",
    [
        _file(DKIM, "0644", group="_rspamd"),
        _file(DKIM, "0640", group="users"),
        _file(DKIM, "0600", owner="shop"),
        _file(TLS, "0640", group="postfix"),
        _file("/etc/letsencrypt/archive/mail.example/privkey1.pem", "0644"),
        _file("/etc/letsencrypt/accounts/acme/dir/ab/private_key.json", "0444"),
        _file("/etc/dovecot/submission-users", "0644", group="dovecot"),
        _file("/etc/postfix/sasl_passwd", "0644"),
        _file("/etc/postfix/relays/passwords", "0644"),
    ],
)
def test_a_secret_that_others_can_read_is_named(file: dict[str, str]) -> None:
    (line,) = readable_secrets([file])
    assert file["path"] in line
    assert file["mode"] in line


def test_sockets_open_to_all_are_named() -> None:
    auth = _file("/var/spool/postfix/private/auth", "0660", "postfix", "postfix", "socket")
    milter = _file("/var/spool/postfix/rspamd/milter.sock", "0666", "_rspamd", "postfix", "socket")
    other = _file("/var/spool/postfix/private/tlsmgr", "0666", "postfix", "postfix", "socket")
    assert [path for path, _ in loose_sockets([auth, milter, other])] == [milter["path"]]


def _listen(port: int, process: str = "master", address: str = "0.0.0.0") -> dict[str, Any]:
    return {"address": address, "port": port, "process": process}


@pytest.mark.parametrize(("store", "left"), [("a.example", [465]), ("b.example", [465, 6379]), (None, [465, 6379])])
def test_the_store_of_the_counters_may_listen_where_the_inventory_has_it(store: str | None, left: list[int]) -> None:
    limits = SimpleNamespace(store=SimpleNamespace(host=store, port=6379) if store else None)
    model: Any = SimpleNamespace(limits=limits)
    seen = without_counters([_listen(465), _listen(6379, "redis-server")], model, "a.example")
    assert [entry["port"] for entry in seen] == left


def test_the_ports_of_the_model_are_all_that_mail_software_may_serve() -> None:
    right = [_listen(465), _listen(587), _listen(22, "sshd"), _listen(9100, "node_exporter"), _listen(80, "systemd")]
    assert unexpected_listeners(right, (465, 587)) == []
    assert unexpected_listeners([*right, _listen(12301, "master", "127.0.0.1")], (465, 587)) == []
    assert "rspamd listens on 0.0.0.0:11334" in unexpected_listeners([*right, _listen(11334, "rspamd")], (465, 587))
    assert "exim4 listens on 0.0.0.0:25" in unexpected_listeners([*right, _listen(25, "exim4")], (465, 587))
    assert unexpected_listeners(right[:1], (465, 587)) == ["the mail software does not listen on port 587"]


def _unit(active: str, sub: str, state: str = "enabled", load: str = "loaded") -> dict[str, str]:
    return {"LoadState": load, "ActiveState": active, "SubState": sub, "UnitFileState": state}


BOOKWORM = {
    "postfix.service": _unit("active", "exited"),
    "postfix@-.service": _unit("active", "running", "enabled-runtime"),
}
TRIXIE = {
    "postfix.service": _unit("active", "running"),
    "postfix@-.service": _unit("inactive", "dead", "disabled"),
}


@pytest.mark.parametrize("units", [BOOKWORM, TRIXIE])
def test_both_ways_debian_runs_postfix_count_as_running(units: dict[str, dict[str, str]]) -> None:
    assert running(units, "postfix")
    assert enabled(units, "postfix")


@pytest.mark.parametrize(
    "units",
    [
        {},
        {**BOOKWORM, "postfix@-.service": _unit("failed", "failed")},
        {**TRIXIE, "postfix.service": _unit("active", "exited")},
        {"postfix.service": _unit("inactive", "dead", load="not-found")},
    ],
)
def test_a_unit_without_a_process_does_not_run(units: dict[str, dict[str, str]]) -> None:
    assert not running(units, "postfix")


def test_a_unit_that_is_not_enabled_is_seen() -> None:
    assert not enabled({"rspamd.service": _unit("active", "running", "disabled")}, "rspamd")


def _postfix(main: dict[str, str], overrides: dict[str, str]) -> dict[str, Any]:
    return {
        "services": [["587", "inet", "n"], ["[::]:submissions", "inet", "n"], ["pickup", "unix", "n"]],
        "main": main,
        "overrides": overrides,
    }


def test_overrides_of_a_service_count_before_main_cf() -> None:
    main = {"smtpd_milters": "unix:m", "milter_default_action": "tempfail"}
    assert milter_setting(_postfix(main, {}), 587).default_action == "tempfail"
    loose = _postfix(main, {"587/inet/milter_default_action": "accept"})
    assert milter_setting(loose, 587).default_action == "accept"
    assert milter_setting(loose, 465).default_action == "tempfail"
    none = _postfix(main, {"[::]:submissions/inet/smtpd_milters": ""})
    assert milter_setting(none, 465).milters == ""


def test_a_milter_of_its_own_mind_counts() -> None:
    own = "{ unix:m, default_action = accept }"
    main = {"smtpd_milters": own, "milter_default_action": "tempfail"}
    assert milter_setting(_postfix(main, {}), 587).default_action == "accept"


@pytest.mark.parametrize(
    ("load", "active", "file", "obstacle"),
    [
        ("loaded", "active", "enabled", ""),
        ("loaded", "active", "disabled", "certbot.timer runs, but does not start at boot"),
        ("loaded", "inactive", "enabled", "certbot.timer does not run"),
        ("masked", "inactive", "masked", "there is no certbot.timer"),
    ],
)
def test_what_keeps_the_certificate_from_renewing_is_named(load: str, active: str, file: str, obstacle: str) -> None:
    timer = {"LoadState": load, "ActiveState": active, "UnitFileState": file}
    assert renewing({"certbot.timer": timer}) == obstacle


WATCH = "postseal-containment.service"
RUNS = {WATCH: {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "UnitFileState": "enabled"}}
CONTAINED: dict[str, Any] = {"answer": ["no login is suspended"], "complaint": "", "signer_asks": True}


@pytest.mark.parametrize(
    ("found", "units", "wanted", "said"),
    [
        (None, {}, False, ""),
        (CONTAINED, RUNS, True, ""),
        (CONTAINED, RUNS, False, "does not ask for it"),
        (None, RUNS, False, "does not ask for it"),
        (None, {}, True, "not installed"),
        (CONTAINED, {}, True, "does not run"),
        (CONTAINED, {WATCH: {**RUNS[WATCH], "UnitFileState": "disabled"}}, True, "does not start at boot"),
        ({**CONTAINED, "complaint": "the store does not answer: timed out"}, RUNS, True, "does not answer"),
        ({**CONTAINED, "signer_asks": False}, RUNS, True, "the signer does not ask"),
    ],
)
def test_containment_is_in_force_where_it_is_wanted(
    found: dict[str, Any] | None, units: dict[str, dict[str, str]], wanted: bool, said: str
) -> None:
    seen = "; ".join(uncontained(found, units, wanted=wanted))
    assert said in seen if said else seen == ""


def test_who_is_suspended_is_listed() -> None:
    line = "shop@shop.example is suspended since 2026-11-28 07:00:00 UTC: 600 recipients in an hour, at most 40 before"
    assert suspended({**CONTAINED, "answer": [line]}) == [line]
    assert suspended(CONTAINED) == suspended(None) == []


def test_a_running_service_with_more_in_reach_than_it_needs_is_named() -> None:
    good = dict.fromkeys(CONFINED, "yes") | {"ActiveState": "active", "SubState": "running"}
    units = {
        "dovecot.service": good,
        "rspamd.service": good | {"ProtectSystem": "full", "NoNewPrivileges": "no"},
        "postfix.service": dict.fromkeys(CONFINED, "no") | {"ActiveState": "active", "SubState": "exited"},
        "certbot.timer": {"ActiveState": "active", "SubState": "running"},
        "postseal-guard.service": {},
    }
    assert unconfined(units) == ["rspamd.service has NoNewPrivileges=no"]
    assert set(CONFINED) == set(CONFINEMENT)


@pytest.mark.parametrize(("resolves", "obeys"), [(True, True), (True, False), (False, False)])
def test_what_outbound_mail_stands_on_must_run_where_it_is_wanted(resolves: bool, obeys: bool) -> None:
    model: Any = SimpleNamespace(resolves=resolves, obeys_mta_sts=obeys, policy_domains=(), pace=Pace())
    found = services(model, "mail-a.example")
    assert ("unbound" in found, "postfix-mta-sts-resolver" in found) == (resolves, obeys)
    assert {"postfix", "dovecot", "rspamd"} <= set(found)


def test_what_counts_must_run_on_hosts_with_a_new_address() -> None:
    pace = Pace(warm_up=WarmUp(date(2026, 12, 1), hosts=("mail-b.example",)))
    model: Any = SimpleNamespace(resolves=False, obeys_mta_sts=False, policy_domains=(), pace=pace)
    found = ["postseal-warm-up" in services(model, host) for host in ("mail-a.example", "mail-b.example")]
    assert found == [False, True]
