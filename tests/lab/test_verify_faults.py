# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The proof of the proof: a good system raises no alarm, and for every check there is a fault that it finds.

Needs the lab in the state that site.yml leaves; puts everything back.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.tests.verify.proof.catalogue import catalogue

from . import breakage, fault_table
from .applications import application, deployed
from .breakage import HOSTS, LAB, SERVICES, Authority, Proof, Record, Report, Zones
from .faults import PARKED, ROUNDS, SHARED, SHOP, Fault
from .site import ROOT, on

A, B = HOSTS
NAMES = {host: (host, SHARED) for host in HOSTS}
# By check where it is seen to fail, if the lab has no such fault. Postfix cannot be configured to have the first two,
# and a lab host has this machine's clock.
ELSEWHERE = {
    "INJ-1": "a server made for it (`tests/unit/verify/test_starttls.py`)",
    "TLS-REQ-3": "a server made for it (`tests/unit/verify/test_starttls.py`)",
    "MX-3": "a server made for it (`tests/unit/verify/test_mailboxes.py`)",
    "MX-4": "a server made for it (`tests/unit/verify/test_mailboxes.py`)",
    "STATE-4": "a clock made for it (`tests/unit/verify/test_condition.py`)",
    "STATE-3": "the lab as it is",
    "CONTAIN-1": "another inventory (`tests/lab/test_containment.py`)",
    "CONTAIN-2": "another inventory (`tests/lab/test_containment.py`)",
    "LIM-5": "another inventory (`tests/lab/test_limits.py`)",
    "LOG-3": "another inventory (`tests/lab/test_log.py`)",
    "DNSSEC-2": "signatures made for it (`tests/unit/verify/test_published.py`)",
}
# What is worth knowing of the lab as it is: OpenSSL 3.0 has no hybrid group, and nothing updates the hosts.
KNOWN = {("TLS-4", f"{A} 10.97.0.21:465"), ("TLS-4", f"{A} 10.97.0.21:587"), *(("STATE-3", host) for host in HOSTS)}
SSLYZE = ROOT / ".venv-sslyze/bin/sslyze"

Seen = dict[str, tuple[str, ...]]
"""By fault the checks that found it."""


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


@pytest.fixture(scope="module")
def seen() -> Seen:
    return {}


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


def _expect(report: Report, faults: Iterable[Fault], seen: Seen) -> None:
    """Every fault was found by its checks on their targets, and nothing else was found anywhere."""
    made = list(faults)
    wanted = [expected for fault in made for expected in fault.fails]
    found = report.findings() - KNOWN
    unseen = [one for one in wanted if not any(_is(one, other) for other in found)]
    alarms = [one for one in found if not any(_is(other, one) for other in wanted)]
    assert not unseen, f"not found: {unseen}\n{report.describe()}"
    assert not alarms, f"false alarms: {alarms}\n{report.describe()}"
    assert (report.exit_code == 1) == bool(report.having("failed"))
    for fault in made:
        seen[fault.name] = tuple(dict.fromkeys(check for check, _ in fault.fails))


def test_a_good_system_raises_no_alarm(proof: Proof) -> None:
    subprocess.run([ROOT / "script/bootstrap", "sslyze"], check=True, stdin=subprocess.DEVNULL)
    report = proof.run(SSLYZE)
    assert report.exit_code == 0, report.describe()
    assert report.findings() == KNOWN, report.describe()
    assert {check for check, _ in report.having("passed")} | {"STATE-3", "LIM-5"} == set(catalogue())


def _break(host: str, faults: list[Fault]) -> None:
    script = "\n".join(fault.script for fault in faults)
    breakage.break_host(host, script, " ".join(fault.restart for fault in faults).strip())


@pytest.mark.parametrize("faults", ROUNDS, ids=lambda faults: "; ".join(fault.name for fault in faults))
def test_faults_are_found(
    faults: tuple[Fault, ...], proof: Proof, zones: Zones, broken: dict[str, str], seen: Seen
) -> None:
    on_hosts = {host: [fault for fault in faults if fault.host == host] for host in HOSTS}
    broken |= {host: " ".join(fault.restart or SERVICES for fault in here) for host, here in on_hosts.items() if here}
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        breaking = pool.map(lambda host: _break(host, on_hosts[host]), broken)
        for record in [record for fault in faults for record in fault.records]:
            zones.replace(record)
        list(breaking)
    _expect(proof.run(), faults, seen)


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


def test_a_certificate_of_nobody_and_one_that_expires(
    proof: Proof, trusted: Authority, broken: dict[str, str], seen: Seen
) -> None:
    broken |= dict.fromkeys(HOSTS, "postfix")
    _serve(A, Authority("nobody").certify(_own_key(A), NAMES[A], 80))
    _serve(B, trusted.certify(_own_key(B), NAMES[B], 13))
    faults = [Fault("a certificate of nobody", (("CRT-1", A),)), Fault("13 days left", (("CRT-3", B),))]
    _expect(proof.run(), faults, seen)


def test_a_certificate_that_lacks_a_name_and_one_that_was_not_reloaded(
    proof: Proof, trusted: Authority, broken: dict[str, str], seen: Seen
) -> None:
    broken |= dict.fromkeys(HOSTS, "postfix")
    _serve(A, trusted.certify(_own_key(A), [SHARED], 80))
    _serve(B, trusted.certify(_own_key(B), NAMES[B], 80), port=465)
    faults = [Fault("a name is missing", (("CRT-1", A),)), Fault("a port was not reloaded", (("CRT-4", B),))]
    _expect(proof.run(), faults, seen)


def test_keys_the_dns_does_not_announce_and_one_for_too_long(
    proof: Proof, trusted: Authority, broken: dict[str, str], seen: Seen
) -> None:
    broken |= dict.fromkeys(HOSTS, "postfix")
    private, public = _new_key(A, "RSA -pkeyopt rsa_keygen_bits:2048")
    _serve(A, trusted.certify(public, NAMES[A], 300), private)
    private, public = _new_key(B, "EC -pkeyopt ec_paramgen_curve:P-256")
    _serve(B, trusted.certify(public, NAMES[B], 80), private)
    short = Fault("a new RSA key of 2048 bits, certified for 300 days", (("CRT-2", A), ("CRT-5", A), ("DANE-2", A)))
    _expect(proof.run(), [short, Fault("a new key that is not announced", (("DANE-2", B),))], seen)


def test_an_odd_curve_and_what_sslyze_says_of_it(proof: Proof, broken: dict[str, str], seen: Seen) -> None:
    broken |= {A: "postfix"}
    curves = "tls_eecdh_auto_curves=X25519,prime256v1,secp521r1"
    breakage.break_host(A, f"postconf -P 587/inet/{curves}", "postfix")
    odd = Fault("an odd curve", (("TLS-3", f"{A} 10.97.0.21:587"), ("TLS-7", f"{A} 10.97.0.21:587")))
    _expect(proof.run(SSLYZE), [odd], seen)


def _dkim_records() -> list[Record]:
    names = on(A, "cd /etc/postseal/dkim/shop.test && ls").split()
    selectors = [name.partition(".")[0] for name in names]
    return [Record(SHOP, f"{selector}._domainkey.{SHOP}", "TXT") for selector in selectors]


def test_a_dkim_record_with_another_key(proof: Proof, zones: Zones, seen: Seen) -> None:
    record = next(record for record in _dkim_records() if "ed25519" in record.name)
    (text,) = breakage.current(record)[0].values
    other = text.partition("p=")[0] + 'p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="'
    zones.replace(Record(record.zone, record.name, "TXT", (other,)))
    _expect(proof.run(), [Fault("another key in the DKIM record", (("DKIM-1", SHOP), ("MSG-3", "")))], seen)


def test_a_dkim_key_that_is_only_tried_out(proof: Proof, zones: Zones, seen: Seen) -> None:
    record = next(record for record in _dkim_records() if "rsa" in record.name)
    (text,) = breakage.current(record)[0].values
    zones.replace(Record(record.zone, record.name, "TXT", (text.replace("t=s", "t=y"),)))
    # The record says something else than ours, and a receiver may still verify by it.
    _expect(proof.run(), [Fault("a DKIM key that is only tried out", (("DKIM-1", SHOP), ("DKIM-3", SHOP)))], seen)


def test_neither_spf_nor_dkim(proof: Proof, zones: Zones, seen: Seen) -> None:
    zones.replace(Record(SHOP, SHOP, "TXT", ('"v=spf1 ip4:192.0.2.1 -all"',)))
    for record in _dkim_records():
        zones.replace(record)
    checks = ("SPF-1", "SPF-4", "DKIM-1", "DKIM-5", "MSG-2", "MSG-3", "MSG-4")
    _expect(proof.run(), [Fault("neither SPF nor DKIM", tuple((check, "") for check in checks))], seen)


def test_what_others_look_after(proof: Proof, seen: Seen) -> None:
    """The reverse name at the hosting provider, the registrar's part of DNSSEC, the server of the MTA-STS policy."""
    policies = "/etc/lab/policies.json"
    unbound = "unbound-control -c /etc/unbound/lab.conf"
    zone, owner = "0.97.10.in-addr.arpa", "21"
    breakage.point(zone, owner, "customer-21.lab.test")
    # An answer that the resolver did not get from the zone is one that it cannot vouch for.
    start = f"{PARKED}. 5 IN SOA ns1.lab.test. hostmaster.lab.test. 1 60 10 86400 5"
    on("internet", f"{unbound} local_zone {PARKED} typetransparent; {unbound} local_data '{start}'")
    on("receiver", f'sed -i \'s/"testing"/"none"/\' {policies}; systemctl restart lab-policy')
    # A name server that denies what is only above other names, and answers for those all the same.
    branch, selectors = f"_domainkey.{SHOP}", [record.name for record in _dkim_records()]
    transparent = "; ".join(f"{unbound} local_zone {name} transparent" for name in selectors)
    on("internet", f"{unbound} local_zone {branch} always_nxdomain; {transparent}")
    try:
        report = proof.run()
    finally:
        breakage.point(zone, owner, A)
        gone = (PARKED, branch, *selectors)
        on("internet", "; ".join(f"{unbound} local_zone_remove {name}" for name in gone))
        on("receiver", f'sed -i \'s/"none"/"testing"/\' {policies}; systemctl restart lab-policy')
    faults = [
        Fault("a reverse name that leads elsewhere", (("PTR-1", f"{A} 10.97.0.21"),)),
        Fault("no DNSSEC", (("DNSSEC-1", PARKED),)),
        Fault("an MTA-STS policy that is switched off", (("STS-2", SHOP),)),
        Fault("the branch of the keys is denied", (("DKIM-5", SHOP),)),
    ]
    _expect(report, faults, seen)


def test_hosts_that_lag_behind(tmp_path: Path, broken: dict[str, str], seen: Seen) -> None:
    """An inventory that services.yml has not brought to the hosts, and keys that nobody has changed for years."""
    broken |= dict.fromkeys(HOSTS, "postfix")
    for host in HOSTS:
        on(host, 'sed -i -E \'s/("since": ")20[0-9]{2}/\\12020/\' /var/lib/postseal/dkim/*.json')
    listed = [deployed(), application("later").entry()]
    faults = [
        Fault("a credential that no host has yet", tuple(("HOST-9", host) for host in HOSTS)),
        Fault("a key of long ago", (("DKIM-4", SHOP),)),
    ]
    _expect(Proof(tmp_path, LAB / "ca.pem", postseal_credentials=listed).run(), faults, seen)


@pytest.mark.parametrize("faults", ROUNDS, ids=lambda faults: faults[0].name)
def test_no_two_faults_of_a_round_are_found_by_the_same_result(faults: tuple[Fault, ...]) -> None:
    found = [expected for fault in faults for expected in fault.fails]
    assert len(found) == len(set(found))


def test_the_table_of_faults_is_what_was_seen(seen: Seen) -> None:
    kept = fault_table.FILE.read_text("utf-8") if fault_table.FILE.exists() else ""
    known = fault_table.faults_in(kept)
    # A part of the file updates its rows; the whole of it decides which rows there are.
    whole = {fault.name for faults in ROUNDS for fault in faults} <= set(seen)
    if (new := fault_table.render(seen if whole else {**known, **seen}, ELSEWHERE)) != kept:
        fault_table.FILE.write_text(new, "utf-8")
        pytest.fail(f"{fault_table.FILE} was out of date and has been written anew")


def test_afterwards_everything_is_as_before(proof: Proof) -> None:
    report = proof.run()
    assert report.exit_code == 0, report.describe()
    assert report.findings() == KNOWN, report.describe()


def test_the_machine_keeps_nothing(tmp_path: Path) -> None:
    for host in HOSTS:
        assert on(host, "ls /etc/postfix/fault* 2>/dev/null || true") == ""
