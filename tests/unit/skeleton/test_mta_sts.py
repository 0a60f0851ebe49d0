# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The table of policies: a destination with DANE keeps it, and a guess is never an answer."""

from __future__ import annotations

import asyncio
import struct
import sys
from contextlib import suppress
from types import ModuleType, SimpleNamespace
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import jinja2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import ROOT

TEMPLATE = ROOT / "roles/outbound/templates/etc/postseal/mta_sts.py.j2"
POLICY = "OK secure match=mx.example.com servername=hostname"
DIGEST = "00" * 32
A, MX, TLSA = 1, 15, 52
NOTHING = (False, "")
SERVERS = (True, "", b"mx1.example.com", b"mx2.example.com")


def _netstring(data: bytes) -> bytes:
    return b"%d:%s," % (len(data), data)


class Package:
    """Stands for the responder of Debian's package."""

    answer = POLICY

    async def process_request(self, raw_req: bytes) -> bytes:
        return _netstring(self.answer.encode())


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The program, with the packages that it stands on replaced."""
    packages: dict[str, dict[str, Any]] = {
        "postfix_mta_sts_resolver": {"daemon": None, "netstring": SimpleNamespace(encode=_netstring)},
        "postfix_mta_sts_resolver.responder": {"STSSocketmapResponder": Package},
    }
    for name, parts in packages.items():
        module = ModuleType(name)
        vars(module).update(parts)
        monkeypatch.setitem(sys.modules, name, module)
    outbound = SimpleNamespace(address="127.0.0.153")
    text = jinja2.Template(TEMPLATE.read_text("utf-8")).render(model=SimpleNamespace(outbound=outbound))
    found: dict[str, Any] = {"__name__": "mta_sts"}
    exec(compile(text, str(TEMPLATE), "exec"), found)  # noqa: S102  # our own program
    return SimpleNamespace(**found, all=found)


def _reply(program: Any, name: str, kind: int, *records: str, authentic: bool = True, code: int = 0) -> bytes:
    asked = dns.message.from_wire(program.question(name, kind)[2:])
    assert asked.flags & dns.flags.AD
    reply = dns.message.make_response(asked)
    reply.set_rcode(dns.rcode.Rcode(code))
    if authentic:
        reply.flags |= dns.flags.AD
    for record in records:
        owner, shown, data = record.split(" ", 2)
        reply.answer.append(dns.rrset.from_text(owner, 300, "IN", shown, data))
    return reply.to_wire()


def test_answers_are_read_wherever_their_names_point(program: Any) -> None:
    name = "_25._tcp.mx.example.com"
    records = (f"{name}. CNAME tlsa.MX.example.com.", f"tlsa.mx.example.com. TLSA 3 1 1 {DIGEST}")
    data = b"\3\1\1" + bytes(32)
    assert program.understood(_reply(program, name, TLSA, *records), name, TLSA) == (
        True,
        "tlsa.mx.example.com",
        [data],
    )
    assert program.understood(_reply(program, name, TLSA, records[0]), name, TLSA) == (True, "tlsa.mx.example.com", [])
    assert program.understood(_reply(program, name, TLSA, authentic=False), name, TLSA) == (False, name, [])
    assert program.understood(_reply(program, name, TLSA, code=3), name, TLSA) == (True, name, [])
    with pytest.raises(program.NoAnswerError):
        program.understood(_reply(program, name, TLSA, code=2), name, TLSA)
    loop = _reply(program, name, TLSA)[:12] + b"\xc0\x0c"
    with pytest.raises(program.NoAnswerError):
        program.understood(loop, name, TLSA)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_whatever_comes_is_an_answer_or_none(program: Any, data: bytes) -> None:
    with suppress(program.NoAnswerError, struct.error, IndexError):
        program.understood(data, "mx.example.com", TLSA)


def _ask(program: Any, answers: dict[tuple[str, int], Any], key: str = "example.com") -> str:
    async def ask(name: str, kind: int) -> Any:
        found = answers.get((name, kind), SERVERS if kind == MX else NOTHING)
        if isinstance(found, Exception):
            raise found
        authentic, alias, *data = found
        return program.Answer(authentic, alias or name, data)

    program.all.update(ask=ask)
    reply = asyncio.run(program.Responder().process_request(f"postfix {key}".encode()))
    return str(reply.partition(b":")[2].decode().rstrip(","))


def test_a_policy_gives_way_to_dane_of_any_server(program: Any) -> None:
    signed = {("mx2.example.com", A): (True, "")}
    tlsa = ("_25._tcp.mx2.example.com", TLSA)
    key = b"\3\1\1" + bytes(32)
    assert _ask(program, {}) == POLICY
    assert _ask(program, {**signed, tlsa: (True, "", key)}) == "OK dane"
    assert _ask(program, {**signed, tlsa: (True, "")}) == POLICY
    assert _ask(program, {**signed, tlsa: (False, "", key)}) == POLICY
    # A record that Postfix cannot use would leave it without a check.
    assert _ask(program, {**signed, tlsa: (True, "", b"\0" + key[1:])}) == POLICY
    # Unsigned zones are not asked for TLSA: some of their servers answer such questions with an error.
    assert _ask(program, {tlsa: program.NoAnswerError("never")}) == POLICY
    assert _ask(program, {**signed, tlsa: (True, "", key)}, key="[mx2.example.com]:25") == "OK dane"
    aliased = {("mx1.example.com", A): (True, "mx2.example.com")}
    assert _ask(program, {**aliased, tlsa: (True, "", key)}) == "OK dane"


def test_servers_that_nobody_has_signed_do_not_weaken_a_policy(program: Any) -> None:
    key = b"\3\1\1" + bytes(32)
    known = {("mx.evil.example", A): (True, ""), ("_25._tcp.mx.evil.example", TLSA): (True, "", key)}
    assert _ask(program, {**known, ("example.com", MX): (False, "", b"mx.evil.example")}) == POLICY
    assert _ask(program, {**known, ("example.com", MX): (True, "", b"mx.evil.example")}) == "OK dane"
    # Without an MX the domain is its own server.
    own = {("example.com", A): (True, ""), ("_25._tcp.example.com", TLSA): (True, "", key)}
    assert _ask(program, {**own, ("example.com", MX): (True, "")}) == "OK dane"
    assert _ask(program, {("example.com", MX): program.NoAnswerError("the resolver answers 2")}).startswith("TEMP")


def test_the_servers_of_a_domain_are_read(program: Any) -> None:
    records = ("example.com. MX 10 MX1.example.com.", "example.com. MX 20 mx2.example.com.")
    read = program.understood(_reply(program, "example.com", MX, *records), "example.com", MX)
    assert sorted(read.data) == [b"mx1.example.com", b"mx2.example.com"]
    assert program.understood(_reply(program, "example.com", MX, "example.com. MX 0 ."), "example.com", MX).data == [
        b""
    ]


def test_without_an_answer_mail_waits(program: Any) -> None:
    broken = {("mx1.example.com", A): program.NoAnswerError("the resolver answers 2")}
    assert _ask(program, broken) == "TEMP the resolver answers 2"


def test_without_a_policy_nobody_is_asked(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Package, "answer", "NOTFOUND ")
    broken = {("mx1.example.com", A): program.NoAnswerError("the resolver answers 2")}
    assert _ask(program, broken) == "NOTFOUND "
