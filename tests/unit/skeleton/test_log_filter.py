# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The filter of the log: no address gets through, logins of applications do, and lines keep what else they say."""

from __future__ import annotations

import json
import re
import struct
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from .conftest import ROOT

TEMPLATE = ROOT / "roles/log/templates/etc/postseal/log.py.j2"
KEY = b"k" * 32


def program(addresses: str) -> dict[str, Any]:
    """Return the names of the filter."""
    environment = jinja2.Environment(autoescape=False)  # noqa: S701  # Python, not HTML
    environment.filters["to_json"] = json.dumps
    model = SimpleNamespace(
        log=SimpleNamespace(addresses=addresses), credentials=[SimpleNamespace(login="shop@shop.test")]
    )
    names: dict[str, Any] = {"__name__": "log"}
    text = environment.from_string(TEMPLATE.read_text("utf-8")).render(model=model)
    exec(compile(text, str(TEMPLATE), "exec"), names)  # noqa: S102  # the file under test is a template
    return names


HASH, DROP = program("hash"), program("drop")


def redacted(text: str, names: dict[str, Any] = DROP) -> str:
    """Return what becomes of a line."""
    return str(names["redacted"](text, names["masking"](KEY)))


D = "address@dropped.invalid"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("A1: to=<jo@x.test>, orig_to=<root>, relay=mx.x.test[192.0.2.1]:25, status=sent (250 2.0.0 Ok)",
         f"A1: to=<{D}>, orig_to=<{D}>, relay=mx.x.test[192.0.2.1]:25, status=sent (250 2.0.0 Ok)"),
        ("A1: from=<>, size=5, nrcpt=1 (queue active)", "A1: from=<>, size=5, nrcpt=1 (queue active)"),
        ('to=<"a>b c"@x.test>, relay=none', f"to=<{D}>, relay=none"),
        ("to=<jo@[192.0.2.9]>, x", f"to=<{D}>, x"),
        ('to=<"jo@x.test>, x', f"to=<{D}>, x"),
        ("550 5.1.1 <jo@x.test>: no such user jo@x.test. See mailto:jo@x.test", None),
        ("said: 550 o'brien@x.test unknown; 'jo@x.test'", f"said: 550 {D} unknown; {D}'"),
        ("see https://x.test/?u=jo%40x.test now", f"see {D} now"),
        ("client=unknown[192.0.2.1], sasl_method=PLAIN, sasl_username=shop@shop.test",
         "client=unknown[192.0.2.1], sasl_method=PLAIN, sasl_username=shop@shop.test"),
        ("not owned by user Shop@shop.test; from=<shop@shop.test> to=<jo@x.test>",
         f"not owned by user Shop@shop.test; from=<{D}> to=<{D}>"),
        ("sasl_username=jo@x.test", f"sasl_username={D}"),
        ("auth(shop@shop.test,192.0.2.1,sasl:plain): x", "auth(shop@shop.test,192.0.2.1,sasl:plain): x"),
        ("auth: lua(jo@x.test,192.0.2.1): db-lua: refused", f"auth: lua({D},192.0.2.1): db-lua: refused"),
        ("id: <i@x.test>, user: shop@shop.test, rcpts: <a@x.test,b@x.test>, time: 2ms",
         f"id: <{D}>, user: shop@shop.test, rcpts: <{D},{D}>, time: 2ms"),
        ("sasl_username=a:jo@x.test", f"sasl_username={D}"),
        ('say "hello" to "jo doe"@x.test', f'say "hello" to {D}'),
    ],
)  # fmt: skip
def test_what_stands_for_addresses(line: str, wanted: str | None) -> None:
    found = redacted(line)
    assert found == wanted or (wanted is None and "jo@" not in found and found.count(D) == 3)


def test_one_address_has_one_pseudonym_wherever_it_stands() -> None:
    forms = ("to=<Jo@x.test>,", "<jo@x.test>:", "user jo@x.test.", "mailto:jo@x.test", "'jo@x.test'", "from=jo@x.test")
    found = [re.findall(r"[0-9a-f]{16}@hashed[.]invalid", redacted(form, HASH)) for form in forms]
    ((name,),) = {tuple(names) for names in found}
    assert name == HASH["masking"](KEY)("jo@x.test")
    assert name != HASH["masking"](b"x" * 32)("jo@x.test")


LOCAL = st.one_of(
    st.text(st.sampled_from("abcXYZ019.!#$&'*+-/=?^_`{|}~ü"), min_size=3, max_size=12),
    st.text(st.sampled_from('ab <>,;:()[]@\\".'), min_size=1, max_size=9).map(
        lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    ),
)
AROUND = st.text(st.sampled_from("ab =:,;()[]<>'\"@.%"), max_size=12)


@given(LOCAL, st.sampled_from(["to=<{}>", "from=<{}> proto", "<{}>: x", "for <{}>; a"]), AROUND, AROUND)
def test_nothing_of_an_address_in_brackets_is_left(local: str, form: str, before: str, after: str) -> None:
    found = redacted(before.replace("<", "").replace('"', "") + " " + form.format(f"{local}@secret.test") + " " + after)
    assert "secret.test" not in found
    assert local not in found or len(local) < 4


@given(st.text(st.sampled_from("abcxyz.+-_'=&"), min_size=4).map("QQ".__add__), AROUND)
def test_nothing_of_a_bare_address_is_left(local: str, around: str) -> None:
    found = redacted(f"{around} {local}@secret.test {around}")
    assert "secret.test" not in found
    assert "QQ" not in found


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("<22>Nov  8 06:52:10 postfix/smtpd[48]: connect from x", (6, 2, "postfix/smtpd", "48", "connect from x")),
        ("<19>dovecot: auth: x", (3, 2, "dovecot", "", "auth: x")),
        ("no priority", (6, 1, "postfix", "", "no priority")),
    ],
)  # fmt: skip
def test_syslog_lines_become_journal_entries(line: str, fields: tuple[int, int, str, str, str]) -> None:
    priority, facility, name, process, text = fields
    entry = DROP["entry"](line.encode(), "postfix", DROP["masking"](KEY))
    head, _, rest = entry.partition(b"MESSAGE\n")
    assert struct.unpack("<Q", rest[:8]) == (len(text),)
    assert rest[8:] == text.encode() + b"\n"
    wanted = [f"PRIORITY={priority}", f"SYSLOG_FACILITY={facility}", f"SYSLOG_IDENTIFIER={name}"]
    wanted += [f"SYSLOG_PID={process}"] if process else []
    units = [f"OBJECT_SYSTEMD_UNIT={unit}" for unit in ("postfix.service", "postfix@-.service")]
    assert head.decode().splitlines() == wanted + units


@pytest.mark.parametrize("junk", ['<"' * 20000, "<a" * 20000, '"a' * 20000, "a" * 40000, "a@" * 20000, "%" * 40000])
def test_no_line_keeps_the_filter_busy(junk: str) -> None:
    """Lines of 40 kB, far beyond what a service writes; a pattern that backtracks would not end within the test run."""
    assert "secret" not in redacted(junk + " jo@secret.test")
