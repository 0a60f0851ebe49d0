# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""MTA-STS policies that the mail hosts serve: first the certificate, then the policy, then its announcement."""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import policyhost
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.mtasts import PATH, Policy
from ansible_collections.postseal.mail.plugins.plugin_utils.replies import level

from .applications import arrived, send, shop
from .breakage import LAB, Proof, Record, Zones, current, forget
from .site import HOSTS, ROOT, Run, on, play

pytestmark = [pytest.mark.together, pytest.mark.usefixtures("standing_hosts")]

A, B = HOSTS
DOMAIN, HOST = "shop3.test", "mta-sts.shop3.test"
MX = "receiver.receiver.test"
ADDRESSES = ("10.97.0.21", "fd97::21", "10.97.0.22", "fd97::22")
TESTING = Policy("testing", (MX,), 28 * 86400)
FIRST, STEPS = ("playbooks/keys.yml",), ("playbooks/dns.yml", "playbooks/services.yml")
CLOSED = "nft add table inet fault; nft add chain inet fault in '{ type filter hook input priority 0; }'; "
CLOSED += "nft add rule inet fault in tcp dport 14000 reject"
RESTART = "systemctl restart postfix-mta-sts-resolver"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def _domains(**policy: Any) -> list[dict[str, Any]]:
    """Return the lab's domains, and one whose policy the mail hosts serve."""
    listed = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/mail.yml").read_text("utf-8"))["postseal_domains"]
    receives = {"name": DOMAIN, "dmarc": {"policy": "reject"}, "mx": [{"host": MX}], "mta_sts": policy}
    return [*listed, receives]


@pytest.fixture(scope="module", autouse=True)
def saved() -> Iterator[None]:
    Zones().replace(Record(DOMAIN, f"_mta-sts.{DOMAIN}", "TXT"))  # of an earlier test run
    yield
    for host in HOSTS:
        on(host, f"if test -e {BUNDLE}.kept; then mv {BUNDLE}.kept {BUNDLE}; {RESTART}; fi")


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policies") / "domains.json"


def _serve(memory: Path, *before: str, **policy: Any) -> Run:
    """Have both hosts serve a policy, after the playbooks ``before``."""
    memory.write_text(json.dumps({"postseal_domains": _domains(**policy)}), "utf-8")
    run = play(*before, *STEPS, "-e", f"@{memory}")
    assert run.returncode == 0, run.output
    forget(DOMAIN)
    return run


def _announced() -> str:
    found = re.findall(r"id=(\w+)", " ".join(current(Record(DOMAIN, f"_mta-sts.{DOMAIN}", "TXT"))[0].values))
    return found[0] if found else ""


def _fetched(context: ssl.SSLContext) -> set[str]:
    """Return what is served at each address, with a certificate that the lab's authority gave."""
    return {policyhost.fetch(DOMAIN, address, context).policy().text for address in ADDRESSES}


@pytest.fixture
def zones() -> Iterator[Zones]:
    changed = Zones()
    yield changed
    changed.restore()


@pytest.fixture
def context() -> ssl.SSLContext:
    """What trusts the lab's authority alone."""
    return ssl.create_default_context(cafile=str(LAB / "ca.pem"))


def _answer(context: ssl.SSLContext, server_name: str, host: str, path: str) -> str:
    """Return the first line of the answer to a request; nothing if the connection was closed without one."""
    plain = policyhost.reach(ADDRESSES[0], 443, 5)
    with closing(context.wrap_socket(plain, server_hostname=server_name, do_handshake_on_connect=False)) as secured:
        secured.do_handshake()
        secured.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return secured.recv(4096).split(b"\r\n")[0].decode()


def test_without_a_certificate_nothing_is_announced(memory: Path, context: ssl.SSLContext) -> None:
    on("internet", CLOSED)
    try:
        run = _serve(memory, *FIRST, mode="testing")
    finally:
        on("internet", "nft delete table inet fault")
    told = " ".join(run.output.split())
    assert f"{HOST} has no certificate yet, so it does not serve the policy" in told
    assert "cannot be reached" in told
    assert not _announced()
    with pytest.raises(policyhost.UnreachableError, match="unrecognized name"):
        policyhost.fetch(DOMAIN, ADDRESSES[0], context)


def test_a_policy_is_served_by_all_hosts_and_then_announced(memory: Path, context: ssl.SSLContext) -> None:
    _serve(memory, mode="testing")
    assert _fetched(context) == {TESTING.text}
    assert _announced() == TESTING.id
    # Nothing else is served, and to nobody who asks for another name.
    assert _answer(context, HOST, HOST, PATH) == "HTTP/1.1 200 OK"
    assert _answer(context, HOST, HOST, "/") == "HTTP/1.1 404 Not Found"
    assert not _answer(context, HOST, A, PATH)
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        _answer(context, A, A, PATH)
    old = f"openssl s_client -connect 127.0.0.1:443 -servername {HOST} -tls1_1 -cipher ALL:@SECLEVEL=0"
    assert "Cipher is (NONE)" in on(A, f"{old} </dev/null 2>/dev/null || true")
    again = _serve(memory, *FIRST, mode="testing")
    assert not any(again.changed().values()), again.output
    # What certbot's timer gets is served, too.
    serial = f"openssl s_client -connect 127.0.0.1:443 -servername {HOST} </dev/null 2>/dev/null | openssl x509 -serial"
    before = on(A, serial)
    renew = f"certbot renew -q --force-renewal --no-random-sleep-on-renew --cert-name {HOST}"
    on(A, f"REQUESTS_CA_BUNDLE=/etc/postseal/acme-ca.pem {renew}")
    end = time.monotonic() + 5
    while on(A, serial) == before:
        assert time.monotonic() < end, "the old certificate is still served"


def test_a_new_policy_is_tested_before_it_is_enforced(memory: Path, context: ssl.SSLContext) -> None:
    first = _serve(memory, mode="enforce", max_age="2w")
    tested = Policy("testing", (MX,), 14 * 86400)
    assert "is not enforced yet: nobody has seen it in testing" in " ".join(first.output.split())
    assert (_fetched(context), _announced()) == ({tested.text}, tested.id)
    _serve(memory, mode="enforce", max_age="2w")
    enforced = Policy("enforce", (MX,), 14 * 86400)
    assert (_fetched(context), _announced()) == ({enforced.text}, enforced.id)
    assert len({TESTING.id, tested.id, enforced.id}) == 3


def test_a_sender_that_obeys_finds_it() -> None:
    """One that trusts the lab's authority, as all the world would trust a public one."""
    authority = (LAB / "ca.pem").read_text("ascii")
    for host in HOSTS:
        on(host, f"cp {BUNDLE} {BUNDLE}.kept; cat >> {BUNDLE} <<'E'\n{authority}\nE\n{RESTART}")
    began = int(time.time())
    for host in HOSTS:
        sent = send(host, shop(), recipients=(f"probe@{DOMAIN}",))
        assert arrived(sent.token), sent
        log = on(host, f"journalctl -q --namespace=+postseal -u 'postfix*' -o cat --no-pager --since=@{began}")
        queued = re.search(r"queued as (\w+)", sent.text)
        assert queued
        assert level(log, queued[1]) == "Verified"


def test_the_proof_sees_what_is_wrong(tmp_path: Path, zones: Zones) -> None:
    """The policy of before is announced, and one of the hosts serves none and will not after a boot."""
    proof = Proof(tmp_path, LAB / "ca.pem", postseal_domains=_domains(mode="enforce", max_age="2w"))
    checks = ("-k", "mta_sts or mx or enabled or services or confined")
    good = proof.run(None, *checks)
    judged = good.having("passed")
    assert not good.findings(), good.describe()
    assert {(check, DOMAIN) for check in ("STS-1", "STS-2", "MX-1", "MX-2")} <= judged, good.describe()
    zones.replace(Record(DOMAIN, f"_mta-sts.{DOMAIN}", "TXT", (f'"v=STSv1; id={TESTING.id}"',)))
    on(B, "systemctl disable -q --now nginx")
    try:
        found = proof.run(None, *checks)
    finally:
        on(B, "systemctl enable -q --now nginx")
    assert found.findings() == {("STS-1", DOMAIN), ("STS-2", DOMAIN), ("HOST-4", B)}, found.describe()


def test_what_the_inventory_no_longer_asks_for_is_taken_away() -> None:
    run = play("playbooks/services.yml")
    assert run.returncode == 0, run.output
    assert "in mode enforce, is not served any more" in " ".join(run.output.split())
    for host in HOSTS:
        left = on(host, "systemctl is-active nginx; ls /etc/nginx /etc/letsencrypt/renewal; ss -Hltn sport = 443")
        assert "mta-sts" not in left
        assert "postseal.conf" not in left
        assert ":443" not in left
    with suppress(policyhost.UnreachableError):
        policyhost.reach(ADDRESSES[0], 443, 1).close()
        pytest.fail("the port is still open")
