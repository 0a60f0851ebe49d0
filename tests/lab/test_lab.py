# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The lab itself: its names, its authority, its hosts. What everything else is proved against has to be right."""

from __future__ import annotations

import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.resolver
import dns.reversename
import dns.tsig
import dns.update
import pytest

from .site import LAB_STATE, ROOT, SERVICES, lab, on

NS1, NS2, RESOLVER = "10.97.0.2", "10.97.0.3", "10.97.0.4"
ZONE = "shop9.test"
KNOTC2 = "knotc -s /run/knot-secondary/knot.sock"


def ask(server: str, name: str, kind: str) -> dns.message.Message:
    return dns.query.udp(dns.message.make_query(name, kind, want_dnssec=True), server, timeout=3)


def text_at(server: str, name: str) -> list[str]:
    answer = ask(server, name, "TXT").answer
    return [item.to_text().strip('"') for rrset in answer for item in rrset if rrset.rdtype == dns.rdatatype.TXT]


def serial(server: str) -> int:
    (soa,) = (rrset[0] for rrset in ask(server, ZONE, "SOA").answer if rrset.rdtype == dns.rdatatype.SOA)
    return int(soa.serial)


def update(secret: str | None = None, zone: str = ZONE) -> dns.update.UpdateMessage:
    key = dns.tsig.Key("postseal", secret or (LAB_STATE / "secrets/tsig").read_text().strip(), "hmac-sha256")
    return dns.update.UpdateMessage(zone, keyring={key.name: key}, keyname=key.name)


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def record() -> Iterator[str]:
    """A name in a dynamic zone that is empty before and after the test."""
    name = f"lab-test.{ZONE}"
    yield name
    message = update()
    message.delete(dns.name.from_text(name))
    assert dns.query.tcp(message, NS1, timeout=3).rcode() == dns.rcode.NOERROR


def test_status_finds_every_service_well() -> None:
    lines = lab("status").splitlines()[1:]
    assert len(lines) == SERVICES
    assert [line for line in lines if not line.endswith(" ok")] == []


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("receiver.test", "MX", "10 receiver.receiver.test."),
        ("receiver.receiver.test", "AAAA", "fd97::10"),
        ("acme.lab.test", "A", NS1),
        (dns.reversename.from_address("10.97.0.21").to_text(), "PTR", "sender-a.sender.test."),
        (dns.reversename.from_address("fd97::22").to_text(), "PTR", "sender-b.sender.test."),
        (dns.reversename.from_address("fd97::10").to_text(), "PTR", "receiver.receiver.test."),
    ],
)
def test_resolver_validates(name: str, kind: str, expected: str) -> None:
    answer = ask(RESOLVER, name, kind)
    assert answer.flags & dns.flags.AD
    assert answer.answer[0][0].to_text() == expected


def test_resolver_validates_that_a_name_is_not_there() -> None:
    answer = ask(RESOLVER, f"nobody.{ZONE}", "A")
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert answer.flags & dns.flags.AD


def test_resolver_refuses_an_expired_signature() -> None:
    control = "unbound-control -c /etc/unbound/lab.conf"
    try:
        on("internet", f"{control} set_option val-override-date: 20370101000000; {control} flush_zone receiver.test")
        assert ask(RESOLVER, "receiver.test", "MX").rcode() == dns.rcode.SERVFAIL
    finally:
        on("internet", f"{control} set_option val-override-date: 0; {control} flush_zone receiver.test")
    assert ask(RESOLVER, "receiver.test", "MX").rcode() == dns.rcode.NOERROR


def test_update_reaches_both_servers_signed(record: str) -> None:
    message = update()
    message.replace(dns.name.from_text(record), 5, "TXT", "first")
    assert dns.query.tcp(message, NS1, timeout=3).rcode() == dns.rcode.NOERROR
    assert text_at(NS1, record) == ["first"]
    assert within(5, lambda: text_at(NS2, record) == ["first"])
    assert within(5, lambda: text_at(RESOLVER, record) == ["first"])
    assert ask(RESOLVER, record, "TXT").flags & dns.flags.AD


def test_second_server_can_be_made_to_lag(record: str) -> None:
    # A transfer that is under way when the zone is frozen still comes through, with whatever is new by then.
    assert within(5, lambda: serial(NS1) == serial(NS2))
    on("internet", f"{KNOTC2} --blocking zone-freeze {ZONE}")
    try:
        message = update()
        message.replace(dns.name.from_text(record), 5, "TXT", "ahead")
        dns.query.tcp(message, NS1, timeout=3)
        assert not within(2.5, lambda: text_at(NS2, record) != [])
    finally:
        on("internet", f"{KNOTC2} zone-thaw {ZONE}")
    assert within(5, lambda: text_at(NS2, record) == ["ahead"])


def test_update_with_a_wrong_secret_is_refused(record: str) -> None:
    message = update(secret="d3Jvbmcgc2VjcmV0IHdyb25nIHNlY3JldCB3cm9uZyE=")
    message.replace(dns.name.from_text(record), 5, "TXT", "forged")
    with pytest.raises(dns.tsig.PeerBadSignature):
        dns.query.tcp(message, NS1, timeout=3)
    assert text_at(NS1, record) == []


def test_update_without_a_key_is_refused(record: str) -> None:
    message = dns.update.UpdateMessage(ZONE)
    message.replace(dns.name.from_text(record), 5, "TXT", "forged")
    assert dns.query.tcp(message, NS1, timeout=3).rcode() == dns.rcode.NOTAUTH


def test_static_zones_are_not_the_customers() -> None:
    message = update(zone="lab.test")
    message.replace(dns.name.from_text("acme.lab.test."), 5, "A", "10.97.0.21")
    with pytest.raises(dns.tsig.PeerBadKey):
        dns.query.tcp(message, NS1, timeout=3)
    assert ask(NS1, "acme.lab.test", "A").answer[0][0].to_text() == NS1


def test_acme_authority_is_trusted_through_the_bundle_alone() -> None:
    url = f"https://{NS1}:14000/dir"
    context = ssl.create_default_context(cafile=str(LAB_STATE / "ca.pem"))
    with urllib.request.urlopen(url, timeout=3, context=context) as answer:
        assert b'"newOrder"' in answer.read()
    with pytest.raises(OSError, match="certificate verify failed"):
        urllib.request.urlopen(url, timeout=3, context=ssl.create_default_context())
    issuers = str(context.get_ca_certs())
    assert "Pebble Root" in issuers


def test_secrets_are_for_root_alone() -> None:
    private = ("ssh", "secrets", "pki", "hosts", "mail")
    assert {(LAB_STATE / name).stat().st_mode & 0o777 for name in private} == {0o700}


@pytest.mark.parametrize("name", ["sender-a", "sender-b"])
def test_hosts_reach_the_package_mirror(name: str) -> None:
    assert "Err:" not in on(name, "apt-get -q update 2>&1")


def test_mail_does_not_leave_the_lab() -> None:
    # 192.0.2.1 (RFC 5737) is nobody; refused at once means that it was the machine who said no.
    probe = "timeout 3 bash -c 'echo > /dev/tcp/192.0.2.1/25' 2>&1 || true"
    assert "Connection refused" in on("sender-a", probe)


def test_reset_gives_a_pristine_host_with_the_same_key() -> None:
    on("sender-b", "touch /root/mine; echo gone > /etc/motd")
    before, key = on("sender-b", "cat /etc/machine-id"), on("sender-b", "cat /etc/ssh/ssh_host_ed25519_key.pub")
    lab("reset", "sender-b")
    assert on("sender-b", "ls /root") == ""
    assert on("sender-b", "cat /etc/machine-id") != before
    assert on("sender-b", "cat /etc/ssh/ssh_host_ed25519_key.pub") == key


def test_a_host_without_power_is_seen_and_booted_again() -> None:
    on("sender-b", "echo kept > /root/mine; sync")
    lab("cut", "sender-b")
    status = subprocess.run([ROOT / "script/lab", "status"], capture_output=True, text=True, check=False)
    assert status.returncode == 1
    assert [line.split()[0] for line in status.stdout.splitlines() if "no login" in line] == ["sender-b"]
    lab("up")
    assert on("sender-b", "cat /root/mine; rm /root/mine") == "kept\n"


def refusal(*arguments: str, under: tuple[str, ...] = ()) -> str:
    answer = subprocess.run([*under, str(ROOT / "script/lab"), *arguments], capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    return answer.stderr


def test_only_root_may_change_the_machine() -> None:
    assert "run script/lab as root" in refusal("up", under=("unshare", "--user", "--map-user=1000"))


def test_an_unknown_host_is_named_with_those_there_are() -> None:
    assert "no host nobody; there are internet, receiver, sender-a, sender-b" in refusal("reset", "nobody")
