# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What Postfix is told of a message while an address is new, and what becomes of the count."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import jinja2
import pytest

from .conftest import ROOT

TEMPLATE = ROOT / "roles/warm_up/templates/etc/postseal/warm_up.py.j2"
DAY = date(2026, 12, 2)
FIRST, SECOND = "via_first:[a.test]:587,[b.test]:587", "via_second:[c.test]:465"
PLAN = {
    "start": "2026-12-01",
    "numbers": [2, 4],
    "logins": {"news@shop.test": None, "blog@shop.test": SECOND},
    "recipients": {"line.test": None, "big.test": SECOND},
    "senders": {"one@shop.test": SECOND, "@other.test": None},
    "bounces": {"back.test": "one@shop.test"},
    "default": FIRST,
}


@pytest.fixture
def program() -> dict[str, Any]:
    text = jinja2.Template(TEMPLATE.read_text("utf-8")).render()
    names: dict[str, Any] = {"__name__": "warm_up"}
    exec(compile(text, str(TEMPLATE), "exec"), names)  # noqa: S102  # the file under test is a template
    return names


@pytest.fixture
def warm_up(program: dict[str, Any], tmp_path: Path) -> Any:
    return program["WarmUp"](PLAN, program["Count"](str(tmp_path)))


def _ask(warm_up: Any, *recipients: str, login: str = "shop@shop.test", sender: str = "", day: date = DAY) -> str:
    asked = {"sasl_username": login, "sender": sender, "instance": "1.2", "queue_id": "AB"}
    for recipient in recipients if len(recipients) > 1 else ():
        named = {**asked, "protocol_state": "RCPT", "recipient": recipient}
        assert warm_up.answer(named, day) == "DUNNO"
    one = recipients[0] if len(recipients) == 1 else ""
    ended = {**asked, "protocol_state": "END-OF-MESSAGE", "recipient": one, "recipient_count": str(len(recipients))}
    return str(warm_up.answer(ended, day))


@pytest.mark.parametrize(
    ("asked", "way"),
    [
        ({}, FIRST),
        ({"login": "News@shop.test"}, None),
        ({"login": "blog@shop.test", "recipient": "a@line.test"}, SECOND),
        ({"recipient": "a@LINE.test", "sender": "one@shop.test"}, None),
        ({"recipient": "a@line.test."}, None),
        ({"sender": "One@shop.test"}, SECOND),
        ({"sender": "any@other.test"}, None),
        ({"sender": "any@Back.test"}, SECOND),
        ({"recipient": "a@big.test"}, SECOND),
    ],
)
def test_the_way_onward_is_found_as_postfix_finds_the_way(warm_up: Any, asked: dict[str, str], way: str | None) -> None:
    said = {"login": "shop@shop.test", "sender": "", "recipient": "a@x.test", **asked}
    assert warm_up.onward(said["login"], said["sender"], said["recipient"]) == way


def test_what_exceeds_the_number_of_the_day_goes_onward(warm_up: Any) -> None:
    assert [_ask(warm_up, "a@x.test") for _ in range(5)] == ["DUNNO"] * 4 + [f"FILTER {FIRST}"]
    assert _ask(warm_up, "a@big.test") == f"FILTER {SECOND}"
    assert _ask(warm_up, "a@line.test") == "DUNNO"
    assert warm_up.count.days == {"2026-12-02": 4}


def test_every_recipient_counts_and_a_message_is_not_split(warm_up: Any) -> None:
    assert _ask(warm_up, "a@x.test", "b@x.test", "c@y.test") == "DUNNO"
    assert _ask(warm_up, "a@x.test", "b@x.test") == f"FILTER {FIRST}"
    assert _ask(warm_up, "a@x.test") == "DUNNO"
    # Two ways: it goes both, and what goes directly counts.
    assert _ask(warm_up, "a@x.test", "a@line.test") == "DUNNO"
    assert _ask(warm_up, "a@x.test", "a@big.test", "b@big.test") == "DUNNO"
    assert warm_up.count.days == {"2026-12-02": 8}


def test_where_recipients_are_not_named_their_number_counts(warm_up: Any) -> None:
    ended = {"protocol_state": "END-OF-MESSAGE", "instance": "9", "recipient": "", "recipient_count": "4"}
    # Their routes are not known, so none of them is sent another way.
    assert [warm_up.answer(ended, DAY) for _ in range(2)] == ["DUNNO", "DUNNO"]
    assert warm_up.count.days == {DAY.isoformat(): 8}
    warm_up.plan = {**PLAN, "recipients": {}}
    assert warm_up.answer(ended, DAY) == f"FILTER {FIRST}"


@pytest.mark.parametrize(
    ("day", "answers"),
    [
        (date(2026, 11, 30), [f"FILTER {FIRST}"] * 3),
        (date(2026, 12, 1), ["DUNNO", "DUNNO", f"FILTER {FIRST}"]),
        (date(2026, 12, 3), ["DUNNO"] * 3),
    ],
)
def test_nothing_before_the_first_day_and_no_limit_after_the_last(warm_up: Any, day: date, answers: list[str]) -> None:
    assert [_ask(warm_up, "a@x.test", day=day) for _ in range(3)] == answers


def test_the_count_is_read_again_and_keeps_days_apart(program: dict[str, Any], tmp_path: Path) -> None:
    count = program["Count"](str(tmp_path))
    for day in range(1, 10):
        count.add(f"2026-12-0{day}", day)
    again = program["Count"](str(tmp_path))
    assert again.days == {f"2026-12-0{day}": day for day in range(3, 10)}
    assert [path.name for path in tmp_path.iterdir()] == ["count.json"]


@pytest.mark.parametrize("text", ["", "[]", '{"2026-12-02": null}', "\x00\x00"])
def test_a_count_that_cannot_be_read_lets_nothing_more_leave_today(
    program: dict[str, Any], tmp_path: Path, text: str
) -> None:
    (tmp_path / "count.json").write_text(text, "utf-8")
    program["today"] = lambda: DAY
    warm_up = program["WarmUp"](PLAN, program["Count"](str(tmp_path)))
    assert _ask(warm_up, "a@x.test") == f"FILTER {FIRST}"
    assert _ask(warm_up, "a@x.test", day=date(2026, 12, 1)) == "DUNNO"


def test_what_cannot_be_counted_is_put_off(warm_up: Any, tmp_path: Path) -> None:
    (tmp_path / "count.json.new").mkdir()
    assert _ask(warm_up, "a@x.test").startswith("DEFER 4.3.0 ")
    assert _ask(warm_up, "a@line.test") == "DUNNO"


def test_messages_that_never_end_are_forgotten(program: dict[str, Any], warm_up: Any) -> None:
    most = program["MOST_MESSAGES"]
    for number in range(most + 5):
        warm_up.answer({"protocol_state": "RCPT", "instance": str(number), "recipient": "a@x.test"}, DAY)
    assert len(warm_up.recipients) == most
