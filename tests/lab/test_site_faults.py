# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What goes wrong around a run stops it with cause and remedy, and the old service goes on answering."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from smtplib import SMTP, SMTP_SSL

import pytest

from .site import HOSTS, Run, lab, on, play

CA = "/var/lib/postseal-lab/ca.pem"
ADDRESSES = {"sender-a.sender.test": "10.97.0.21", "sender-b.sender.test": "10.97.0.22"}


pytestmark = pytest.mark.usefixtures("standing_site")


@pytest.fixture(autouse=True)
def repaired() -> Iterator[None]:
    """After every fault the next run with the right input repairs what there is to repair."""
    yield
    run = play("playbooks/services.yml")
    assert run.returncode == 0, run.output
    assert _answering() == list(HOSTS)


def _answering() -> list[str]:
    """Return the hosts on which an application can open an encrypted session on both ports."""
    found = []
    for host, address in ADDRESSES.items():
        context = ssl.create_default_context(cafile=CA)
        with SMTP_SSL(timeout=10, context=context) as implicit, SMTP(timeout=10) as starttls:
            for session, port in ((implicit, 465), (starttls, 587)):
                session._host = host  # type: ignore[attr-defined]  # the name to verify; the lab's names are not in this machine's DNS
                session.connect(address, port)
            starttls.starttls(context=context)
            if starttls.noop()[0] == implicit.noop()[0] == 250:
                found.append(host)
    return found


def _stopped(run: Run, *texts: str) -> None:
    assert run.returncode != 0, run.output
    for text in texts:
        assert text in run.output, run.output
    assert "Traceback" not in run.output


@pytest.mark.parametrize(
    ("variable", "value", "where"),
    [
        ("postfix_tls_certificate", "/etc/postseal/none.pem", "none.pem"),
        ("sasl_failure_delay", "soon", "dovecot.conf"),
        ("signer_timeout", "{", "submission.conf"),
    ],
)
def test_a_bad_parameter_is_refused_and_the_old_service_goes_on(variable: str, value: str, where: str) -> None:
    files = "cat /etc/postfix/main.cf /etc/dovecot/dovecot.conf /etc/rspamd/submission.conf | sha256sum"
    before = {host: on(host, files) for host in HOSTS}
    _stopped(play("playbooks/services.yml", "-e", json.dumps({variable: value})), where, "nothing was changed")
    assert _answering() == list(HOSTS)
    assert {host: on(host, files) for host in HOSTS} == before


def test_a_dns_server_that_refuses_the_key_stops_the_run_before_the_services() -> None:
    changed = {"lab_tsig": "bm90IHRoZSBrZXk=", "postseal_submission": {"queue_lifetime": "6d"}}
    run = play("site.yml", "-e", json.dumps(changed))
    _stopped(run, "postseal_dns.providers.lab", "tsig")
    assert "maximal_queue_lifetime = 518400s" not in on(HOSTS[0], "cat /etc/postfix/main.cf")


def test_an_authority_that_does_not_answer_stops_the_run_and_the_old_certificate_stays() -> None:
    tls = {"issuer": "https://acme.lab.test:14999/dir", "contact": "hostmaster@sender.test", "ca": CA}
    changed = {"postseal_tls": tls, "postseal_submission": {"hostname": "other.sender.test"}}
    before = on(HOSTS[0], f"sha256sum < /etc/letsencrypt/live/{HOSTS[0]}/fullchain.pem")
    _stopped(play("playbooks/services.yml", "-e", json.dumps(changed)), "acme.lab.test:14999", "postseal_tls.issuer")
    assert on(HOSTS[0], f"sha256sum < /etc/letsencrypt/live/{HOSTS[0]}/fullchain.pem") == before
    assert _answering() == list(HOSTS)


def test_a_port_in_use_is_named_and_the_old_service_goes_on() -> None:
    unit = "postseal-test-squatter"
    program = "import socket,time; s=socket.create_server((str(),2525)); time.sleep(600)"
    on(HOSTS[0], f'systemd-run --unit={unit} --collect /usr/bin/python3 -c "{program}"')
    try:
        ports = {"postseal_submission": {"hostname": "smtp.sender.test", "ports": {"alternative": 2525}}}
        _stopped(play("playbooks/services.yml", "-e", json.dumps(ports)), "2525")
        assert _answering() == list(HOSTS)
    finally:
        on(HOSTS[0], f"systemctl stop {unit}")


def test_a_host_that_does_not_answer_is_named_and_the_other_goes_on() -> None:
    link = "psl-sender-b"
    subprocess.run(["ip", "link", "set", link, "down"], check=True)
    try:
        run = play("site.yml", "-T", "5")
        assert run.returncode != 0
        assert run.recap["sender-b.sender.test"][2] == 1, run.output
    finally:
        subprocess.run(["ip", "link", "set", link, "up"], check=True)
    lab("status")
    run = play("site.yml")
    assert run.returncode == 0, run.output
