# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Judgements about the survey of a mail host: pure functions over what :func:`host.survey.collect` returned."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.postseal.mail.plugins.module_utils.model.types import Model

from .judge import listens_to_the_world

# Who may read what. A path that matches nothing here holds no secret that is known of.
SECRETS = (
    (re.compile(r"/etc/postseal/dkim/.+\.key"), ("root", "_rspamd")),
    (re.compile(r"/etc/postseal/(tls/.+\.key|containment\.json)"), ("root",)),
    (re.compile(r"/var/lib/postseal-log/key"), ("root",)),
    (re.compile(r"/etc/letsencrypt/(archive|keys|accounts)/.+(privkey|private_key|_key-certbot)[^/]*"), ("root",)),
    (re.compile(r"/etc/dovecot/[^/]*(users|passwd)[^/]*"), ("root", "dovecot", "postfix")),
    (re.compile(r"/etc/postfix/(.+/)?[^/]*(sasl|passw)[^/]*"), ("root", "postfix")),
)
SOCKETS = (
    (re.compile(r"/var/spool/postfix/private/auth"), ("postfix", "root", "dovecot")),
    (re.compile(r"/var/spool/postfix/rspamd/.+\.sock"), ("_rspamd", "postfix", "root")),
)
READ_OR_WRITE_BY_OTHERS = 0o007
READ_OR_WRITE_BY_GROUP = 0o070
# Everything that belongs to the mail service; what else listens on a host is its owner's business.
MAIL_PROCESSES = re.compile(r"master|smtpd|dovecot.*|auth|anvil|rspamd.*|redis-server|valkey-server|postscreen")
SMTP_PORT = 25
# As host/survey.py asks for them (CONFINEMENT), and what each says where it does not hold.
CONFINED = (
    "NoNewPrivileges",
    "ProtectSystem",
    "ProtectHome",
    "PrivateDevices",
    "PrivateTmp",
)
LOOSE = ("no", "")
MILTER_FAIL_CLOSED = ("tempfail", "reject")
# Debian 12 runs Postfix as the instance postfix@-.service, and its postfix.service only says that somebody started it.
# In Debian 13 postfix.service is the daemon, and the instance is unused.
UNITS = {
    "postfix": ("postfix@-.service", "postfix.service"),
    "dovecot": ("dovecot.service",),
    "rspamd": ("rspamd.service",),
    "unbound": ("unbound.service",),
    "postfix-mta-sts-resolver": ("postfix-mta-sts-resolver.service",),
    "nginx": ("nginx.service",),
    "postseal-containment": ("postseal-containment.service",),
    "postseal-warm-up": ("postseal-warm-up.service",),
    "postseal-guard": ("postseal-guard.service",),
}


def readable_secrets(files: Iterable[Mapping[str, str]]) -> list[str]:
    """Return one line for each secret file that others than those it is for can read or write."""
    found = []
    for file in files:
        for pattern, names in SECRETS:
            if file["kind"] == "file" and pattern.fullmatch(file["path"]) and _open_to_others(file, names):
                found.append(f"{file['path']} is {_describe(file)}")
    return found


def loose_sockets(files: Iterable[Mapping[str, str]]) -> list[tuple[str, str]]:
    """Return (path, line) for each socket of the mail services that other accounts can use."""
    return [
        (file["path"], f"{file['path']} is {_describe(file)}")
        for file in files
        for pattern, names in SOCKETS
        if file["kind"] == "socket" and pattern.fullmatch(file["path"]) and _open_to_others(file, names)
    ]


def _open_to_others(file: Mapping[str, str], names: Sequence[str]) -> bool:
    mode = int(file["mode"], 8)
    return bool(
        mode & READ_OR_WRITE_BY_OTHERS
        or file["owner"] not in names
        or (mode & READ_OR_WRITE_BY_GROUP and file["group"] not in names)
    )


def _describe(file: Mapping[str, str]) -> str:
    return f"{file['owner']}:{file['group']} {file['mode']}"


def without_counters(listeners: Iterable[Mapping[str, Any]], model: Model, host: str) -> list[Mapping[str, Any]]:
    """Return ``listeners`` but for the store that counts for all mail hosts, where the inventory has it on ``host``."""
    store = model.limits.store
    port = store.port if store is not None and store.host == host else None
    return [entry for entry in listeners if entry["port"] != port]


def unexpected_listeners(listeners: Iterable[Mapping[str, Any]], ports: Sequence[int]) -> list[str]:
    """Return one line for each port the mail software serves beyond ``ports``, and for each of these it does not."""
    world = [dict(entry) for entry in listeners if listens_to_the_world(dict(entry))]
    lines = [
        f"{entry['process'] or 'something'} listens on {entry['address']}:{entry['port']}"
        for entry in world
        if entry["port"] not in ports and (entry["port"] == SMTP_PORT or MAIL_PROCESSES.fullmatch(entry["process"]))
    ]
    served = {entry["port"] for entry in world if MAIL_PROCESSES.fullmatch(entry["process"])}
    lines += [f"the mail software does not listen on port {port}" for port in ports if port not in served]
    return sorted(set(lines))


def _loaded(units: Mapping[str, Mapping[str, str]], service: str) -> list[Mapping[str, str]]:
    return [units[name] for name in UNITS[service] if units.get(name, {}).get("LoadState") == "loaded"]


def renewing(units: Mapping[str, Mapping[str, str]]) -> str:
    """Return what keeps certbot's timer from renewing the certificate, now or after a boot; empty if nothing does."""
    timer = units.get("certbot.timer", {})
    if timer.get("LoadState") != "loaded":
        return "there is no certbot.timer"
    if timer.get("ActiveState") != "active":
        return "certbot.timer does not run"
    return "" if timer.get("UnitFileState") == "enabled" else "certbot.timer runs, but does not start at boot"


def services(model: Model, host: str) -> list[str]:
    """Return which services the mail host called ``host`` needs by the inventory."""
    warm_up = model.pace.warm_up
    further = [
        ("unbound", model.resolves),
        ("postfix-mta-sts-resolver", model.obeys_mta_sts),
        ("nginx", model.policy_domains),
        ("postseal-warm-up", warm_up is not None and warm_up.concerns(host)),
    ]
    return ["postfix", "dovecot", "rspamd", *(name for name, wanted in further if wanted)]


def running(units: Mapping[str, Mapping[str, str]], service: str) -> bool:
    """Whether a unit of ``service`` has a running process; "active (exited)" is not enough."""
    states = ((unit.get("ActiveState"), unit.get("SubState")) for unit in _loaded(units, service))
    return ("active", "running") in states


def enabled(units: Mapping[str, Mapping[str, str]], service: str) -> bool:
    """Whether a unit that starts ``service`` is enabled."""
    return any(unit.get("UnitFileState") in ("enabled", "enabled-runtime") for unit in _loaded(units, service))


def unconfined(units: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return one line for each mail service that runs with more of the host in reach than it needs."""
    lines = []
    for name, unit in units.items():
        if (unit.get("ActiveState"), unit.get("SubState")) != ("active", "running") or not name.endswith(".service"):
            continue
        loose = [f"{option}={unit[option]}" for option in CONFINED if unit.get(option) in LOOSE]
        lines += [f"{name} has {', '.join(loose)}"] if loose else []
    return lines


def uncontained(found: Mapping[str, Any] | None, units: Mapping[str, Mapping[str, str]], *, wanted: bool) -> list[str]:
    """Return what keeps stolen credentials from being suspended by themselves where that is ``wanted``.

    ``found`` is the part ``containment`` of the survey. Where it is not wanted, nothing may watch either.
    """
    unit = "postseal-containment"
    runs = running(units, unit)
    if not wanted:
        return [f"{unit} runs, though the inventory does not ask for it"] if runs or found else []
    if found is None:
        return [f"{unit} is not installed"]
    seen = [f"{unit} does not run"] if not runs else []
    if runs and not enabled(units, unit):
        seen.append(f"{unit} runs, but does not start at boot")
    if found["complaint"]:
        seen.append(found["complaint"])
    if not found["signer_asks"]:
        seen.append("the signer does not ask who is suspended")
    return seen


def suspended(found: Mapping[str, Any] | None) -> list[str]:
    """Return one line for each login that has been suspended by itself."""
    return [line for line in found["answer"] if " is suspended since " in line] if found else []


@dataclass(frozen=True)
class MilterSetting:
    """Which milters a port's messages go through, and what happens when they cannot be asked."""

    milters: str
    default_action: str


def milter_setting(postfix: Mapping[str, Any], port: int) -> MilterSetting:
    """Return the setting of the service on ``port``: master.cf's overrides, then main.cf (master(5), postconf(5))."""
    names = [row[0] for row in postfix["services"] if row[1] == "inet" and _port(row[0]) == port]
    overrides: Mapping[str, str] = postfix["overrides"]
    main: Mapping[str, str] = postfix["main"]

    def value(parameter: str) -> str:
        return next(
            (overrides[key] for name in names if (key := f"{name}/inet/{parameter}") in overrides),
            main.get(parameter, ""),
        )

    action = value("milter_default_action")
    # A milter may carry its own default_action in braces (postconf(5), smtpd_milters).
    own = re.findall(r"default_action\s*=\s*(\w+)", value("smtpd_milters"))
    return MilterSetting(value("smtpd_milters"), next((item for item in own if item not in MILTER_FAIL_CLOSED), action))


def _port(service: str) -> int | None:
    name = service.rpartition(":")[2]
    known = {"smtp": 25, "submission": 587, "submissions": 465, "smtps": 465}
    return int(name) if name.isdigit() else known.get(name)
