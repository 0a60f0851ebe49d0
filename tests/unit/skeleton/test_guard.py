# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The guard of the firewall: which lines count, for whom, and when that is too often."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jinja2
import pytest

from .conftest import ROOT

TEMPLATE = ROOT / "roles/firewall/templates/etc/postseal/guard.py.j2"
OLD = "auth: lua({login},{address}): db-lua: refused: wrong password"
NEW = "auth({login},{address},sasl:plain): credentials: db-lua: refused: wrong password"


@pytest.fixture
def guard() -> dict[str, Any]:
    """Return the names of the guard, set to three failures in ten seconds."""
    firewall = SimpleNamespace(failures=3, within=10, ban=60)
    text = jinja2.Template(TEMPLATE.read_text("utf-8")).render(model=SimpleNamespace(firewall=firewall))
    names: dict[str, Any] = {"__name__": "guard"}
    exec(compile(text, str(TEMPLATE), "exec"), names)  # noqa: S102  # the file under test is a template
    return names


@pytest.mark.parametrize("line", [OLD, NEW])
@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("999.0.2.1", "None"),
    ],
)
def test_a_refusal_counts_for_its_address(guard: dict[str, Any], line: str, address: str, counted: str) -> None:
    assert str(guard["client"](line.format(login="shop@shop.test", address=address))) == counted


@pytest.mark.parametrize(
    "line",
    [
        "auth: lua(shop@shop.test,192.0.2.1): allow_nets check failed: IP 192.0.2.1 not in allowed networks",
        "auth(shop@shop.test,192.0.2.1,sasl:plain): credentials: allow_nets check failed: IP 192.0.2.1 not in allowed",
        "auth: plain(?,192.0.2.1): Username character disallowed by auth_username_chars: 0x2c (username: x,9.9.9.9)",
        "auth(?,192.0.2.1,sasl:login): login: Empty username",
    ],
)
def test_every_kind_of_refusal_counts(guard: dict[str, Any], line: str) -> None:
    assert str(guard["client"](line)) == "192.0.2.1"


@pytest.mark.parametrize(
    "line",
    [
        "auth: lua(shop@shop.test,192.0.2.1): db-lua: refused (proof): wrong password",
        "auth: lua(shop@shop.test,192.0.2.1): Password mismatch",
        "auth: lua(x,9.9.9.9,192.0.2.1): db-lua: refused: wrong password",
        "x auth: lua(shop@shop.test,192.0.2.1): db-lua: refused: wrong password",
        "auth: plain(?,192.0.2.1): something (auth: lua(x,9.9.9.9): db-lua: refused: )",
        "",
    ],
)
def test_what_is_no_refusal_or_is_the_proofs_does_not_count(guard: dict[str, Any], line: str) -> None:
    assert guard["client"](line) is None


def test_only_failures_close_to_each_other_ban(guard: dict[str, Any]) -> None:
    banned: list[str] = []
    guard["follow"].__globals__["ban"] = lambda address: banned.append(str(address))
    clock = iter([0, 1, 20, 21, 22, 23, 24])
    guard["follow"]([OLD.format(login="x", address="192.0.2.1")] * 7, now=lambda: next(clock))
    assert banned == ["192.0.2.1"], "three within ten seconds, and counting begins anew"
