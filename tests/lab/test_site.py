# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The gates of site.yml on freshly booted hosts of both releases, in the order a user meets them.

The tests of this file build on each other: bare hosts, check mode, run, run again, check again, mail.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .site import HOSTS, Run, lab, on, play

# They begin with both hosts as they were born.
pytestmark = pytest.mark.together

NO_MIRROR = "/etc/apt/apt.conf.d/zz-postseal-test"
# A package that kills dpkg while it is being configured, once: what a power cut or an impatient operator leaves.
HALF_INSTALLED = r"""
mkdir -p /tmp/half/DEBIAN && cd /tmp/half
printf 'Package: postseal-test\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n' >DEBIAN/control
printf '#!/bin/sh\ntest -e /tmp/killed || { touch /tmp/killed; kill -9 $PPID; }\n' > DEBIAN/postinst
chmod 755 DEBIAN/postinst && dpkg-deb -b . /tmp/half.deb && dpkg -i /tmp/half.deb || true
"""


@pytest.fixture(scope="module", autouse=True)
def bare_hosts() -> None:
    """Both mail hosts as they came from the distributor, and zones without a record of theirs."""
    for host in ("internet", *HOSTS):
        lab("reset", host.partition(".")[0])


def test_a_wrong_inventory_fails_before_any_host_is_touched() -> None:
    run = play("site.yml", "-e", '{"postseal_domains": [{"nmae": "shop.test"}]}')
    assert run.returncode != 0
    assert "did you mean name?" in run.output
    assert set(run.recap) == {"localhost"}


def test_check_mode_on_bare_hosts_runs_without_error() -> None:
    run = play("site.yml", "--check", "--diff")
    assert run.returncode == 0, run.output
    assert all(run.changed()[host] > 0 for host in HOSTS), run.output
    assert "_dmarc.shop.test" in run.output
    assert re.search(r"^\+ rspamd \d", run.output, re.MULTILINE), run.output
    assert on(HOSTS[0], "dpkg-query -W -f '${db:Status-Status}' rspamd 2>&1 || true").strip() != "installed"


def test_a_host_without_root_is_named_before_anything_is_done_on_any() -> None:
    run = play("site.yml", "-e", "ansible_become=false")
    assert run.returncode != 0
    assert "this needs root on the host; set become: true or connect as root" in " ".join(run.output.split())
    assert not any(run.changed().values()), run.output
    assert on(HOSTS[0], "dpkg-query -W -f '${db:Status-Status}' rspamd 2>&1 || true").strip() != "installed"


def test_a_package_mirror_that_does_not_answer_is_named_with_the_step() -> None:
    for host in HOSTS:
        on(host, f"echo 'Acquire::http::Proxy \"http://127.0.0.1:9\"; Acquire::Retries 0;' > {NO_MIRROR}")
    try:
        run = play("site.yml", "-e", "packages_lists_age=0")
    finally:
        for host in HOSTS:
            on(host, f"rm {NO_MIRROR}")
    text = " ".join(run.output.split())
    assert run.returncode != 0
    assert {host: run.recap[host][3] for host in HOSTS} == dict.fromkeys(HOSTS, 1), run.output
    assert "Step keys, installing packages: apt-get update failed: E: Failed to fetch" in text
    assert "Check that the host reaches the package mirror" in text
    assert "Publish every record" not in text


@pytest.fixture(scope="module")
def first() -> Run:
    """The run that makes mail hosts of them, as talkative as can be, where an installation was cut off before."""
    on(HOSTS[0], HALF_INSTALLED)
    assert on(HOSTS[0], "apt-get check 2>&1 || true").startswith("E: dpkg was interrupted")
    return play("site.yml", "-vvv", "--diff")


def test_the_first_run_succeeds(first: Run) -> None:
    assert first.returncode == 0, first.output
    assert all(first.changed()[host] > 0 for host in HOSTS), first.output
    assert on(HOSTS[0], "dpkg-query -W -f '${db:Status-Status}' postseal-test").strip() == "installed"


@pytest.mark.parametrize("host", HOSTS)
def test_nothing_ran_before_it_had_its_configuration(first: Run, host: str) -> None:
    """systemd starts each service once: not at its installation, and not again for its configuration."""
    assert first.returncode == 0, first.output
    for unit in ("dovecot", "rspamd", "postfix@-" if host == HOSTS[0] else "postfix"):
        told = on(host, f"journalctl -q -o cat -u {unit}.service _PID=1")
        assert told.count(f"Started {unit}.service") == 1, told
    assert (
        on(host, "systemctl list-units --failed --no-legend --plain 'postfix*' 'dovecot*' 'rspamd*' 'certbot*'") == ""
    )
    assert not on(host, "ls /usr/sbin/policy-rc.d 2>/dev/null || true")


@pytest.fixture(scope="module")
def second() -> Run:
    """A run that finds everything as it should be, as talkative as can be."""
    return play("site.yml", "-vvv", "--diff")


@pytest.fixture(scope="module")
def checked(second: Run) -> Run:
    """A check run after it, as talkative."""
    return play("site.yml", "-vvv", "--check", "--diff")


def test_the_second_run_changes_nothing(second: Run) -> None:
    assert second.returncode == 0, second.output
    assert second.changed() == {"localhost": 0, **dict.fromkeys(HOSTS, 0)}, second.output


def test_check_mode_afterwards_reports_nothing(checked: Run) -> None:
    assert checked.returncode == 0, checked.output
    assert checked.changed() == {"localhost": 0, **dict.fromkeys(HOSTS, 0)}, checked.output
    assert not re.search(r"^[+-] ", checked.output, re.MULTILINE), checked.output


@pytest.mark.parametrize("step", ["preflight", "keys", "dns", "services", "verify"])
def test_each_step_runs_alone(step: str) -> None:
    run = play(f"playbooks/{step}.yml")
    assert run.returncode == 0, run.output
    assert not any(run.changed().values()), run.output


def test_no_secret_is_ever_printed(first: Run, second: Run, checked: Run) -> None:
    for run in (first, second, checked):
        for secret in ("tsig", "shop", "shop.hash"):
            value = Path("/var/lib/postseal-lab/secrets", secret).read_text("utf-8").strip()
            assert value not in run.output, f"{secret} was printed"
        assert "PRIVATE KEY" not in run.output
