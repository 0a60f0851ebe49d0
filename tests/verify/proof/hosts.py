# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The facts of a mail host: one SSH round trip with testinfra, the same program the roles' host code runs by."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident
from typing import Any

import testinfra
from ansible_collections.postseal.mail.plugins.plugin_utils.program import parse, script

from .counted import count
from .smtp import UnavailableError

TREES = (
    "/etc/postseal",
    "/etc/letsencrypt",
    "/etc/dovecot",
    "/etc/rspamd",
    "/etc/postfix",
    "/var/lib/postseal-log",
    "/var/spool/postfix/private",
    "/var/spool/postfix/rspamd",
)
# All that survey.collect needs of module_utils/host: as a command line, the whole of it would be too long.
SURVEY = (
    "condition",
    "conversation",
    "dkim_state",
    "durable",
    "errors",
    "keys",
    "log",
    "logwatch",
    "mailboxes",
    "queue_files",
    "surroundings",
    "survey",
)
UNITS = (
    "postfix.service",
    "postfix@-.service",
    "dovecot.service",
    "rspamd.service",
    "certbot.timer",
    "postseal-containment.service",
    "postseal-warm-up.service",
    "redis-server.service",
    "unbound.service",
    "postfix-mta-sts-resolver.service",
    "nginx.service",
    "postseal-guard.service",
)
PARAMETERS = (
    "smtpd_milters",
    "non_smtpd_milters",
    "milter_default_action",
    "internal_mail_filter_classes",
    "smtp_tls_security_level",
    "smtp_dns_support_level",
)


@dataclass(frozen=True)
class Connection:
    """How Ansible reaches a host: connection plugin, target, login, and ssh's own options in the order they apply."""

    plugin: str
    address: str
    port: int
    user: str | None
    key: str | None
    options: str
    python: str

    def ssh_config(self) -> str:
        """Return an ssh_config(5) for this host alone.

        Sessions are not shared: one command is all there is, it runs beside slower probes, and a shared session that
        outlives a reboot of the host would stand for a host that cannot be asked.
        """
        lines = [
            "Host *",
            f"  HostName {self.address}",
            f"  Port {self.port}",
            "  BatchMode yes",
            "  ConnectTimeout 10",
        ]
        if self.user:
            lines.append(f"  User {self.user}")
        if self.key:
            lines.append(f"  IdentityFile {self.key}")
        return "\n".join(lines) + "\n"


def collect(
    name: str,
    connection: Connection,
    directory: Path,
    names: Sequence[str] = (),
    mailboxes: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the facts of a host in the shape of :func:`host.survey.collect`; ``directory`` takes the ssh_config,
    ``names`` are those that its resolver is tried with, and ``mailboxes`` the addresses that it asks other servers for.

    Raises :class:`UnavailableError` with the cause if the host cannot be asked.
    """
    # The text becomes part of ssh's command line, which has room for 128 KiB (execve(2), MAX_ARG_STRLEN).
    asked = {
        "trees": TREES,
        "units": UNITS,
        "parameters": PARAMETERS,
        "names": list(names),
        "mailboxes": list(mailboxes),
        "hello": name,
    }
    program = script("survey.collect", asked, modules=SURVEY)
    # The program comes on standard input: neither the process list nor sudo's log show more than "python3 -".
    begun = time.time()
    try:
        answer = _as_root(
            name, connection, directory, f"{shlex.quote(connection.python)} -", f" <<'END'\n{program}END\n"
        )
        result = parse(answer.stdout, answer.stderr, answer.rc)
    except (ValueError, OSError) as error:
        raise UnavailableError(f"the facts of {name} cannot be read: {error}") from None
    if result.pop("failed", False):
        raise UnavailableError(f"the facts of {name} cannot be read: {result['msg']}")
    # When it was asked by our clock: the host's clock must lie between the two.
    return {**result, "asked": (begun, time.time())}


def deliveries(name: str, connection: Connection, directory: Path, since: float) -> str:
    """Return what Postfix on a host wrote since ``since`` about deliveries and the TLS connections they took.

    Raises :class:`UnavailableError` with the cause if the host cannot be asked.
    """
    # The host's clock may be behind ours; HOST-11 judges that.
    command = f"journalctl -q --namespace=+postseal -o short --since=@{int(since) - 60}"
    return str(
        _as_root(name, connection, directory, f"{command} --grep=': to=<|TLS connection established to '").stdout
    )


def _as_root(name: str, connection: Connection, directory: Path, command: str, more: str = "") -> Any:
    """Run a shell command on a host as root, with ``more`` after it, and return testinfra's result."""
    if connection.plugin not in ("ssh", "smart"):
        raise UnavailableError(f"the facts of {name} need ssh, not ansible_connection: {connection.plugin}")
    # Two threads may come here at the same time; a file that both write could be read half.
    config = directory / f"{name}.{get_ident()}.ssh_config"
    config.write_text(connection.ssh_config(), "utf-8")
    host = testinfra.get_host(
        f"ssh://{name}",
        ssh_config=str(config),
        ssh_extra_args=connection.options or None,
        controlpersist=0,
    )
    run = f'if [ "$(id -u)" = 0 ]; then set -- {command}; else set -- sudo -n {command}; fi; "$@"'
    count("ssh")
    try:
        return host.run(f"{run}{more}")
    except RuntimeError as error:
        # testinfra raises this for ssh's own failures, with the whole result as its only argument.
        said = getattr(error.args[0], "stderr", "") if error.args else ""
        cause = (said.strip().splitlines() or ["no reason given"])[-1]
        raise UnavailableError(f"{name} cannot be reached by ssh: {cause}") from None
