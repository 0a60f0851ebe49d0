# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a host has noted as settled: everything after a run, and nothing that has drifted since."""

from __future__ import annotations

import subprocess
import time

import pytest
from ansible_collections.postseal.mail.plugins.plugin_utils.program import parse, script

from .site import HOSTS, on, play, ssh

pytestmark = pytest.mark.usefixtures("standing_site")

THINGS = {"http01", "certificate", "dovecot", "rspamd", "postfix", "postseal-firewall", "postseal-log"}
THINGS |= {"unbound", "postfix-mta-sts-resolver"}
# That they are not there is noted as well.
THINGS |= {"redis-server", "postseal-containment", "postseal-warm-up"}
# Noted only by a host that has served policies of MTA-STS before: that it does not any more.
ONCE = {"nginx", "policies"}
# What happens on the host, how to take it back, and what is not settled meanwhile. {host} is the host's full name.
DRIFT: dict[str, tuple[str, str, set[str]]] = {
    "a file is edited": ("echo '# x' >> /etc/postfix/main.cf", "sed -i '$d' /etc/postfix/main.cf", {"postfix"}),
    "a file is opened up": (
        "chmod 644 /etc/dovecot/submission-users", "chmod 640 /etc/dovecot/submission-users", {"dovecot"},
    ),
    "a program is edited": (
        "echo '# x' >> /usr/local/lib/postseal/http01.py", "sed -i '$d' /usr/local/lib/postseal/http01.py", {"http01"},
    ),
    "a service is stopped": ("systemctl stop dovecot", "systemctl start dovecot", {"dovecot"}),
    "the resolver hangs": (
        "systemctl kill -s STOP unbound", "systemctl kill -s CONT unbound", {"unbound"},
    ),
    "a service is not started at boot": (
        "systemctl disable -q rspamd", "systemctl enable -q rspamd", {"rspamd"},
    ),
    "the log is opened up": (
        "chmod 644 /var/log/journal/*.postseal/system.journal", "chmod 640 /var/log/journal/*.postseal/system.journal",
        {"postseal-log"},
    ),
    "old lines of the log stay": (
        "systemctl stop postseal-log-expire.timer", "systemctl start postseal-log-expire.timer", {"postseal-log"},
    ),
    "the timer is stopped": ("systemctl stop certbot.timer", "systemctl start certbot.timer", {"certificate"}),
    "the certificate is another": (
        "cd /etc/letsencrypt/live/{host} && cp fullchain.pem /root/kept && echo >> fullchain.pem",
        "cp /root/kept /etc/letsencrypt/live/{host}/fullchain.pem && rm /root/kept",
        {"certificate", "postfix"},
    ),
    "Postfix hangs": (
        "pkill -STOP -x 'master|smtpd'", "pkill -CONT -x 'master|smtpd'", {"postfix"},
    ),
}  # fmt: skip


def _settled(host: str) -> set[str]:
    done = subprocess.run(
        ssh(host, "sudo -n python3 -IS -"),
        input=script("facts.gather", {"packages": []}),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(parse(done.stdout, done.stderr, done.returncode)["settled"]) - ONCE


@pytest.fixture
def host(host: str) -> str:
    """A host on which everything is settled."""
    if _settled(host) != THINGS:
        run = play("playbooks/services.yml", "--limit", host)
        assert run.returncode == 0, run.output
    return host


@pytest.mark.parametrize("event", DRIFT)
def test_what_drifts_is_not_settled(host: str, event: str) -> None:
    happens, back, lost = DRIFT[event]
    assert _settled(host) == THINGS
    on(host, happens.format(host=host))
    try:
        assert _settled(host) == THINGS - lost
    finally:
        on(host, back.format(host=host))
    # What starts again may be busy at first: the timer of the log rotates it.
    end = time.monotonic() + 10
    while _settled(host) != THINGS and time.monotonic() < end:
        time.sleep(0.5)
    assert _settled(host) == THINGS


def test_a_run_repairs_what_has_drifted() -> None:
    on(HOSTS[0], "echo '# x' >> /etc/postfix/main.cf; systemctl disable -q --now dovecot")
    run = play("playbooks/services.yml")
    assert run.returncode == 0, run.output
    assert (run.changed()[HOSTS[0]], run.changed()[HOSTS[1]]) == (2, 0), run.output
    assert _settled(HOSTS[0]) == THINGS
    assert on(HOSTS[0], "grep -c '^# x' /etc/postfix/main.cf || systemctl is-enabled dovecot").split() == [
        "0", "enabled",
    ]  # fmt: skip
