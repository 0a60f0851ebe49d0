# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The server of MTA-STS policies: what it is told, what a host says that it serves, and the certificates for it."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import (
    acme,
    exchanges,
    lineage,
    policies,
    policy_names,
    settled,
)
from ansible_collections.postseal.mail.plugins.module_utils.host.errors import HostError
from ansible_collections.postseal.mail.plugins.module_utils.host.lineage import Certificate, Lineage, Order
from ansible_collections.postseal.mail.plugins.module_utils.host.responder import WEBROOT
from ansible_collections.postseal.mail.plugins.module_utils.host.system import SupportFile
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.mtasts import Policy

ROOT = Path(__file__).resolve().parents[5]
TEMPLATE = ROOT / "roles/mta_sts/templates/etc/nginx/postseal.conf.j2"
ENFORCED = Policy("enforce", ("mx.example.net", "*.example.org"), 86400)
NAMES = ["mta-sts.one.test", "mta-sts.two.test"]


def _rendered(*served: tuple[str, Policy], ipv6: bool = True) -> str:
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701
    said = [{"domain": domain, "text": policy.text} for domain, policy in served]
    text = environment.from_string(TEMPLATE.read_text("utf-8"))
    return text.render(ansible_managed="", this=SimpleNamespace(ipv6=("::1",) if ipv6 else ()), policies=said)


def test_what_is_served_is_read_back_from_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "CONF", str(tmp_path / "postseal.conf"))
    assert policies.served() == {}
    text = _rendered(("one.test", ENFORCED), ("two.test", Policy("none", (), 86400)))
    (tmp_path / "postseal.conf").write_text(text, "utf-8")
    assert policies.served() == {"one.test": "enforce", "two.test": "none"}
    assert r"return 200 \"version: STSv1\r\nmode: enforce\r\nmx: mx.example.net\r\n".replace('\\"', '"') in text
    assert text.count("listen [::]:443 ssl") == 3
    assert "listen [::]" not in _rendered(("one.test", ENFORCED), ipv6=False)


@pytest.mark.parametrize(
    ("reply", "wrong"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nversion: STSv1\r\nmode: none\r\n", ""),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "answers HTTP/1.1 404 Not Found"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nversion: STSv1\r\n", "plain text"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello", "does not answer with a policy"),
        (b"", "answers nothing"),
    ],
)
def test_only_a_policy_is_an_answer(reply: bytes, wrong: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(reply)
        theirs.shutdown(socket.SHUT_WR)
        found = policies.answers(ours, "mta-sts.one.test")
    assert wrong in found
    assert bool(found) == bool(wrong)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A host whose authority gives a certificate for each name that is not in ``refused``."""
    said = SimpleNamespace(refused=set(), asked=[], down="", kept=())

    def make(name: str) -> Lineage:
        return Lineage(name, tmp_path, tmp_path / "backup")

    def certbot(order: Order, _: Path | None) -> None:
        said.asked.append(order.name)
        if order.name in said.refused:
            raise HostError(f"refused {order.name}")
        found = make(order.name)
        assert not found.live.exists() or found.conf.exists()
        for folder in (found.live, found.archive, found.conf.parent):
            folder.mkdir(parents=True, exist_ok=True)
        for part in ("privkey", "fullchain"):
            (found.live / f"{part}.pem").write_text(order.name)
        webroot = f"webroot_path = {WEBROOT},"
        found.conf.write_text(f"[renewalparams]\nauthenticator = webroot\n{webroot}\nserver = {order.directory}\n")

    def probe(*_: Any) -> None:
        if said.down:
            raise HostError(said.down)

    def kept(thing: str, request: str | None, *_: Any, **more: Any) -> None:
        said.kept = (thing, request, more)

    def read(path: Path) -> Certificate:
        return Certificate((path.parent.name,), 0, 2**40, "", self_signed=False)

    monkeypatch.setattr(policy_names, "Lineage", make)
    monkeypatch.setattr(policy_names, "LETSENCRYPT", tmp_path)
    monkeypatch.setattr(policy_names, "HOOK", SupportFile(tmp_path / "hook", "#!/bin/sh\n", 0o755))
    monkeypatch.setattr(policy_names, "port_user", lambda _: None)
    monkeypatch.setattr(policy_names, "locked", threading.Lock)
    monkeypatch.setattr(policies, "served", dict)
    monkeypatch.setattr(lineage, "read_certificate", read)
    monkeypatch.setattr(acme, "certbot", certbot)
    monkeypatch.setattr(acme, "probe", probe)
    monkeypatch.setattr(settled, "keep", kept)
    return said


def _ensure(names: list[str], **more: Any) -> dict[str, Any]:
    return policy_names.ensure({"names": names, "directory": "https://ca.test/dir", "settles": "digest", **more})


def test_each_name_has_a_certificate_of_its_own_and_a_refusal_harms_no_other(host: Any) -> None:
    host.refused.add(NAMES[0])
    first = _ensure(NAMES)
    assert (first["held"], first["problems"]) == ([NAMES[1]], {NAMES[0]: f"refused {NAMES[0]}"})
    assert host.kept == ()  # the next run asks again
    host.refused.clear()
    again = _ensure(NAMES)
    assert (again["held"], again["problems"], host.asked) == (NAMES, {}, [*NAMES, NAMES[0]])
    assert host.kept[:2] == ("policies", "digest")
    assert not _ensure(NAMES)["changed"]


def test_an_authority_that_is_down_is_asked_once(host: Any) -> None:
    host.down = "the ACME authority cannot be reached"
    found = _ensure(NAMES)
    assert (found["held"], found["problems"], host.asked) == ([], dict.fromkeys(NAMES, host.down), [])


def test_check_mode_says_what_would_be_done(host: Any) -> None:
    found = _ensure(NAMES, check=True)
    assert found["changed"] is True
    assert "certificate of mta-sts.one.test: there is none yet" in found["diff"]["prepared"]
    assert host.asked == []


def test_what_is_not_served_any_more_is_not_renewed(host: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _ensure(NAMES)
    monkeypatch.setattr(policies, "served", lambda: {"one.test": "testing"})
    left = _ensure([])
    # The server that runs has it in its configuration until the next step.
    assert left["changed"] is True
    assert [path.name for path in (tmp_path / "renewal").iterdir()] == []
    assert [path.name for path in (tmp_path / "live").iterdir()] == [NAMES[0]]
    # What is left there would never be renewed.
    host.down = "the ACME authority cannot be reached"
    assert _ensure([NAMES[0]])["held"] == []
    host.down = ""
    assert _ensure([NAMES[0]])["held"] == [NAMES[0]]


def test_a_certificate_of_somebody_elses_is_left_alone(host: Any, tmp_path: Path) -> None:
    (tmp_path / "live/mta-sts.web.test").mkdir(parents=True)
    (tmp_path / "renewal").mkdir()
    (tmp_path / "renewal/mta-sts.web.test.conf").write_text("[renewalparams]\nwebroot_path = /var/www,\n")
    assert _ensure([])["changed"] is False
    assert (tmp_path / "live/mta-sts.web.test").exists()


def test_another_web_server_is_not_pushed_aside(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_names, "port_user", lambda _: "apache2")
    with pytest.raises(HostError, match="port 443 is in use by apache2"):
        _ensure(NAMES)


def test_a_server_without_starttls_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            link, _ = listener.accept()
            with link:
                link.sendall(b"220 mx.test ESMTP\r\n")
                while line := link.recv(1024):
                    link.sendall(b"221 bye\r\n" if line.startswith(b"QUIT") else b"250 mx.test\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        assert exchanges.wrong("127.0.0.1", listener.getsockname()[1]) == "does not offer STARTTLS"
        thread.join()
        port = listener.getsockname()[1]
    assert "could not be looked at" in exchanges.wrong("127.0.0.1", port)
