# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The services a transaction can change: their units, what they need to come alive, how they take a change over.

``systemctl``'s exit code is never taken as evidence: on Debian 12 it is 0 for a reload that kills Postfix, and Dovecot
and rspamd answer 0 and go on with their old configuration. Probes decide. Standard library, Python 3.9.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from typing import NamedTuple

from . import firewall, log, lookups, policies
from .errors import HostError
from .processes import children
from .request import Paths, Probe

UNITS = "/etc/systemd/system/"
WARM_UP = "postseal-warm-up"
VENDOR_UNITS = "/usr/lib/systemd/system"
PROPERTIES = "Id,LoadState,ActiveState,UnitFileState,NRestarts,MainPID"
# A unit that links elsewhere, or is made by a generator, is started at boot without being "enabled" itself.
ENABLED = ("enabled", "enabled-runtime", "static", "alias", "generated", "indirect")


class Kind(NamedTuple):
    """What is known of one service.

    ``programs`` must exist for its files to be checked; ``configuration`` is its main file; ``probes`` are used where
    the task names none. ``patience`` and ``reload_patience`` are how long, in seconds, the service may take until it
    answers, after a start and after a reload.
    """

    name: str
    programs: tuple[str, ...]
    configuration: str
    probes: tuple[Probe, ...]
    patience: float
    reload_patience: float


KINDS = {
    kind.name: kind
    for kind in (
        Kind("postfix", ("/usr/sbin/postfix", "/usr/sbin/postconf"), "/etc/postfix/main.cf", (), 10.0, 5.0),
        Kind(
            "dovecot",
            ("/usr/sbin/dovecot", "/usr/bin/doveconf"),
            "/etc/dovecot/dovecot.conf",
            (Probe(protocol="sasl", socket="/var/spool/postfix/private/auth"),),
            20.0,
            15.0,
        ),
        # The first start compiles expressions and took 6 to 14 s on two cores.
        Kind(
            "rspamd",
            ("/usr/bin/rspamd", "/usr/bin/rspamadm"),
            "/etc/rspamd/rspamd.conf",
            (Probe(protocol="milter", socket="/var/spool/postfix/rspamd/milter.sock"),),
            45.0,
            10.0,
        ),
        Kind(
            "redis-server",
            ("/usr/bin/redis-server",),
            "/etc/redis/postseal.conf",
            (Probe(protocol="redis", port=6379),),
            15.0,
            5.0,
        ),
        # The first answer takes it down from the root, with all signatures.
        Kind(lookups.RESOLVER, lookups.RESOLVER_PROGRAMS, lookups.RESOLVER_CONF, (), 20.0, 20.0),
        Kind(lookups.POLICIES, lookups.POLICIES_PROGRAMS, lookups.POLICIES_CONF, (), 20.0, 20.0),
        Kind(policies.SERVER, (policies.PROGRAM,), policies.CONF, (), 10.0, 5.0),
        Kind(
            firewall.UNIT,
            ("/usr/sbin/nft",),
            firewall.RULES,
            (Probe(protocol="firewall", socket=firewall.RULES),),
            10.0,
            5.0,
        ),
        *(
            Kind(
                unit, ("/usr/bin/python3",), program, (Probe(protocol="ready", socket=f"/run/{unit}/ready"),), 15.0, 5.0
            )
            for unit, program in (
                ("postseal-containment", "/etc/postseal/containment.py"),
                (WARM_UP, "/etc/postseal/warm_up.py"),
            )
        ),
        Kind(
            log.UNIT,
            ("/usr/bin/journalctl", "/usr/bin/systemd-tmpfiles", "/usr/bin/python3"),
            log.JOURNALD,
            (Probe(protocol="log", socket=log.SOCKET),),
            10.0,
            5.0,
        ),
    )
}


class Status(NamedTuple):
    """State of a service: known to systemd, running, started at boot, automatic restarts so far, main process."""

    loaded: bool
    active: bool
    enabled: bool
    failed: bool
    restarts: int
    pid: int


class Service:
    """One service on this host, driven through systemd."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.name = kind.name
        # The unit that is enabled, and the one whose state is the daemon's own. They differ on Debian 12, where
        # postfix.service runs /bin/true and stays active whatever becomes of postfix@-.service.
        self.unit = f"{kind.name}.service"
        self.sockets = (f"{kind.name}.socket",) if kind.name == WARM_UP else ()  # stopped and started with it
        self.daemon = "postfix@-.service" if kind.name == "postfix" and _postfix_is_wrapped() else self.unit

    def installed(self) -> bool:
        """Say whether the programs that run and check the service are there."""
        return all(os.access(program, os.X_OK) for program in self.kind.programs)

    def ask(self) -> subprocess.Popen[str]:
        """Start asking systemd for the state; hand the process to :meth:`status`."""
        units = [self.unit] if self.unit == self.daemon else [self.unit, self.daemon]
        return subprocess.Popen(
            ["systemctl", "show", "-p", PROPERTIES, *units],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def status(self, asked: subprocess.Popen[str] | None = None) -> Status:
        """Return the state of the service; raises :class:`HostError` where systemd does not answer."""
        stdout, stderr = (asked or self.ask()).communicate()
        blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in stdout.split("\n\n")]
        if not stdout.strip() or "ActiveState" not in blocks[-1]:
            raise HostError(f"systemd does not say how {self.name} is: {stderr.strip() or 'no answer'}")
        first, last = blocks[0], blocks[-1]
        return Status(
            loaded=first.get("LoadState") == "loaded",
            active=last["ActiveState"] in ("active", "reloading"),
            enabled=first.get("UnitFileState") in ENABLED,
            failed=last["ActiveState"] == "failed",
            restarts=int(last.get("NRestarts") or 0),
            pid=int(last.get("MainPID") or 0),
        )

    def reload(self) -> None:
        """Ask the running service to read its configuration again."""
        _systemctl("reload", self.daemon)

    def restart(self) -> None:
        """Stop and start the service, forgetting earlier failures: five of them in 10 s would forbid the start."""
        self._beware()
        _systemctl("reset-failed", self.unit, self.daemon)
        _systemctl("restart", *self.sockets, self.daemon)

    def start(self) -> None:
        """Start the service, now and at every boot."""
        self._beware()
        if self.daemon != self.unit:
            # On Debian 12 a generator makes postfix@-.service a part of postfix.service, but only once main.cf exists.
            _systemctl("daemon-reload")
        if not self.status().enabled:
            # systemd need not read all units again, which it does three times where there is an init script.
            _systemctl("enable", "--no-reload", self.unit)
            if not self.status().enabled:
                # As long as another unit names this one, systemd goes on answering what it found earlier.
                _systemctl("daemon-reload")
        _systemctl("reset-failed", self.unit, self.daemon)
        _systemctl("start", *dict.fromkeys((self.daemon, self.unit)))

    def _beware(self) -> None:
        if self.name == firewall.UNIT:
            firewall.arm()

    def stop(self, *, disable: bool) -> None:
        """Stop the service, and with ``disable`` do not start it at boot."""
        _systemctl("stop", *dict.fromkeys((self.daemon, self.unit, *self.sockets)))
        if disable:
            _systemctl("disable", self.unit)
        _systemctl("reset-failed", self.unit, self.daemon)

    def read_units(self) -> None:
        """Make systemd read unit files again."""
        _systemctl("daemon-reload")

    def generation(self) -> frozenset[int]:
        """Return the processes that work by one reading of the configuration.

        rspamd's main process adds new workers when it has taken a reload over, and none when it has not. The daemons
        of the other services cannot be told apart from outside: empty.
        """
        if self.name != "rspamd":
            return frozenset()
        return children(self.status().pid, "rspamd_proxy")

    def log(self, since: float) -> list[str]:
        """Return what the service wrote to the journal since ``since`` (seconds since 1970), oldest first."""
        units = [f"--unit={unit}" for unit in dict.fromkeys((self.unit, self.daemon))]
        done = subprocess.run(
            [
                "journalctl",
                "--quiet",
                "--no-pager",
                "--output=cat",
                f"--namespace=+{log.NAMESPACE}",
                f"--since=@{int(since)}",
                *units,
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
            errors="replace",
        )
        return done.stdout.splitlines()


def service_for(name: str) -> Service:
    """Return the service called ``name``; raises :class:`HostError` for one that is not known."""
    if name not in KINDS:
        raise HostError(f"service {name!r} is none of {', '.join(sorted(KINDS))}.")
    return Service(KINDS[name])


def unit_files(dests: Iterable[str]) -> list[str]:
    """Return those of ``dests`` that systemd reads."""
    return [dest for dest in dests if dest.startswith(UNITS)]


def unit_setting(service: str, paths: Paths, root: str = "") -> str:
    """Return the last non-empty ``ExecStart=`` of the drop-ins of ``service``, as seen below ``root`` before the live
    tree (systemd.unit(5): later drop-ins win), or the empty string.
    """
    folder = f"{UNITS}{service}.service.d"
    names: dict[str, str] = {}
    for base in (paths.live(folder), root + folder if root else ""):
        if base and os.path.isdir(base):
            names.update({name: os.path.join(base, name) for name in os.listdir(base) if name.endswith(".conf")})
    command = ""
    for name in sorted(names):
        if not os.path.isfile(names[name]):
            continue  # staged for removal
        with open(names[name], encoding="utf-8", errors="replace") as handle:
            for line in handle:
                key, _, value = line.partition("=")
                if key.strip() == "ExecStart" and value.strip():
                    command = value.strip()
    return command


def _postfix_is_wrapped() -> bool:
    try:
        with open(f"{VENDOR_UNITS}/postfix.service", encoding="utf-8") as handle:
            return "ExecStart=/bin/true" in handle.read()
    except FileNotFoundError:
        return False


def _systemctl(*arguments: str) -> None:
    """Run systemctl and wait; what came of it is for the probes to say."""
    subprocess.run(
        ["systemctl", "--no-ask-password", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )
