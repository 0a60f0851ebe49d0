# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The proof of the proof: a good system raises no alarm, and for every check there is a fault that it finds.

Needs the lab in the state that site.yml leaves; puts everything back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.tests.verify.proof.catalogue import catalogue

from . import breakage
from .breakage import HOSTS, LAB, SERVICES, Authority, Proof, Record, Report, Zones
from .faults import ROUNDS, SHARED, SHOP, Fault
from .site import on

A, B = HOSTS
NAMES = {host: (host, SHARED) for host in HOSTS}
# Postfix cannot be configured to have the first two; tests/unit/verify/test_starttls.py shows them a server that does.
# The others need another inventory: test_containment.py, test_log.py.
ELSEWHERE = {"INJ-1", "TLS-REQ-3", "CONTAIN-1", "CONTAIN-2", "LOG-3"}
# Faults that need more than a script: the tests below.
BY_HAND = {"CRT-1", "CRT-2", "CRT-3", "CRT-4", "DANE-2", "DKIM-1", "MSG-2", "MSG-3", "MSG-4", "PTR-1", "SPF-1"}


@pytest.fixture(scope="module")
def trusted() -> Authority:
    return Authority("a test that the proof trusts")


@pytest.fixture(scope="module")
def proof(trusted: Authority, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    directory = tmp_path_factory.mktemp("proof")
    bundle = directory / "ca.pem"
    bundle.write_text((LAB / "ca.pem").read_text() + trusted.pem)
    return Proof(directory / "report", bundle)


@pytest.fixture(scope="module", autouse=True)
def saved(standing_site: None) -> Iterator[None]:
    for host in HOSTS:
        breakage.save(host)
    yield
    for host in HOSTS:
        breakage.clean(host)


@pytest.fixture
def zones() -> Iterator[Zones]:
    changed = Zones()
    yield changed
    changed.restore()


@pytest.fixture
def broken() -> Iterator[dict[str, str]]:
    """By host the services that may remember what the test did to their files."""
    touched: dict[str, str] = {}
    yield touched
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        list(pool.map(breakage.restore, touched.keys(), touched.values()))


def _is(expected: tuple[str, str], found: tuple[str, str]) -> bool:
    """Whether a failure (check, target) is the expected one (check, part of the target)."""
    return expected[0] == found[0] and expected[1] in found[1]


def _expect(report: Report, expected: Iterable[tuple[str, str]]) -> None:
    """Every expected check failed on its target, and nothing else failed anywhere."""
    wanted = list(expected)
    failed = report.having("failed")
    unseen = [one for one in wanted if not any(_is(one, found) for found in failed)]
    alarms = [found for found in failed if not any(_is(one, found) for one in wanted)]
    assert not unseen, f"not found: {unseen}\n{report.describe()}"
    assert not alarms, f"false alarms: {alarms}\n{report.describe()}"
    assert report.exit_code == 1


def test_a_good_system_raises_no_alarm(proof: Proof) -> None:
    report = proof.run()
    assert report.exit_code == 0, report.describe()
    assert {check for check, _ in report.having("passed")} == set(catalogue())


def _break(host: str, faults: list[Fault]) -> None:
    script = "\n".join(fault.script for fault in faults)
    breakage.break_host(host, script, " ".join(fault.restart for fault in faults).strip())


@pytest.mark.parametrize("faults", ROUNDS, ids=lambda faults: "; ".join(fault.name for fault in faults))
def test_faults_are_found(faults: tuple[Fault, ...], proof: Proof, zones: Zones, broken: dict[str, str]) -> None:
    on_hosts = {host: [fault for fault in faults if fault.host == host] for host in HOSTS}
    broken |= {host: " ".join(fault.restart or SERVICES for fault in here) for host, here in on_hosts.items() if here}
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        breaking = pool.map(lambda host: _break(host, on_hosts[host]), broken)
        for record in [record for fault in faults for record in fault.records]:
            zones.replace(record)
        list(breaking)
    _expect(proof.run(), [expected for fault in faults for expected in fault.fails])


def _serve(host: str, certificate: str, key: str = "", port: int | None = None) -> None:
    """Have Postfix serve another certificate, for the host's own key unless ``key`` (PEM) is given."""
    breakage.install(host, "/etc/postfix/fault.pem", key + certificate)
    own = "" if key else f"/etc/postseal/tls/{host}.key,"
    setting = f"smtpd_tls_chain_files={own}/etc/postfix/fault.pem"
    script = f"postconf -P {port}/inet/{setting}" if port else f"postconf -e {setting}"
    breakage.break_host(host, script, "postfix")


def _own_key(host: str) -> str:
    return on(host, f"openssl pkey -in /etc/postseal/tls/{host}.key -pubout")


def _new_key(host: str, algorithm: str) -> tuple[str, str]:
    private = on(host, f"openssl genpkey -algorithm {algorithm}")
    breakage.install(host, "/etc/postfix/fault.key", private)
    return private, on(host, "openssl pkey -in /etc/postfix/fault.key -pubout")


def test_a_certificate_of_nobody_and_one_that_expires(proof: Proof, trusted: Authority, broken: dict[str, str]) -> None:
    broken |= dict.fromkeys(HOSTS, "postfix")
    _serve(A, Authority("nobody").certify(_own_key(A), NAMES[A], 80))
    _serve(B, trusted.certify(_own_key(B), NAMES[B], 13))
    _expect(proof.run(), [("CRT-1", A), ("CRT-3", B)])


def test_a_certificate_that_lacks_a_name_and_one_that_was_not_reloaded(
    proof: Proof, trusted: Authority, broken: dict[str, str]
) -> None:
    broken |= dict.fromkeys(HOSTS, "postfix")
    _serve(A, trusted.certify(_own_key(A), [SHARED], 80))
    _serve(B, trusted.certify(_own_key(B), NAMES[B], 80), port=465)
    _expect(proof.run(), [("CRT-1", A), ("CRT-4", B)])


def test_keys_that_the_dns_does_not_announce(proof: Proof, trusted: Authority, broken: dict[str, str]) -> None:
    broken |= dict.fromkeys(HOSTS, "postfix")
    private, public = _new_key(A, "RSA -pkeyopt rsa_keygen_bits:2048")
    _serve(A, trusted.certify(public, NAMES[A], 80), private)
    private, public = _new_key(B, "EC -pkeyopt ec_paramgen_curve:P-256")
    _serve(B, trusted.certify(public, NAMES[B], 80), private)
    _expect(proof.run(), [("CRT-2", A), ("DANE-2", A), ("DANE-2", B)])


def _dkim_records() -> list[Record]:
    names = on(A, "cd /etc/postseal/dkim/shop.test && ls").split()
    selectors = [name.partition(".")[0] for name in names]
    return [Record(SHOP, f"{selector}._domainkey.{SHOP}", "TXT") for selector in selectors]


def test_a_dkim_record_with_another_key(proof: Proof, zones: Zones) -> None:
    record = next(record for record in _dkim_records() if "ed25519" in record.name)
    (text,) = breakage.current(record)[0].values
    other = text.partition("p=")[0] + 'p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="'
    zones.replace(Record(record.zone, record.name, "TXT", (other,)))
    _expect(proof.run(), [("DKIM-1", SHOP), ("MSG-3", "")])


def test_neither_spf_nor_dkim(proof: Proof, zones: Zones) -> None:
    zones.replace(Record(SHOP, SHOP, "TXT", ('"v=spf1 ip4:192.0.2.1 -all"',)))
    for record in _dkim_records():
        zones.replace(record)
    checks = ("SPF-1", "DKIM-1", "MSG-2", "MSG-3", "MSG-4")
    _expect(proof.run(), [(check, "") for check in checks])


def test_a_reverse_name_that_leads_elsewhere(proof: Proof) -> None:
    zone, owner = "0.97.10.in-addr.arpa", "21"
    breakage.point(zone, owner, "customer-21.lab.test")
    try:
        report = proof.run()
    finally:
        breakage.point(zone, owner, A)
    _expect(report, [("PTR-1", f"{A} 10.97.0.21")])


@pytest.mark.parametrize("faults", ROUNDS, ids=lambda faults: faults[0].name)
def test_no_two_faults_of_a_round_are_found_by_the_same_result(faults: tuple[Fault, ...]) -> None:
    found = [expected for fault in faults for expected in fault.fails]
    assert len(found) == len(set(found))


def test_every_check_has_a_fault_that_it_finds() -> None:
    in_rounds = {check for faults in ROUNDS for fault in faults for check, _ in fault.fails}
    assert set(catalogue()) == in_rounds | BY_HAND | ELSEWHERE


def test_afterwards_everything_is_as_before(proof: Proof) -> None:
    report = proof.run()
    assert report.exit_code == 0, report.describe()


def test_the_machine_keeps_nothing(tmp_path: Path) -> None:
    for host in HOSTS:
        assert on(host, "ls /etc/postfix/fault* 2>/dev/null || true") == ""
