# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The report in a real browser: readable on a phone and on paper, light and dark; the network is asked for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.postseal.mail.tests.samples import results, run
from ansible_collections.postseal.mail.tests.verify.proof.outcome import Status
from ansible_collections.postseal.mail.tests.verify.proof.page import page

from .browser import Browser

WIDTHS = (360, 1280)
SCHEMES = ("light", "dark")
# WCAG 2.2, 1.4.3: text of normal size at level AA.
CONTRAST = 4.5
OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"
# Every text that is shown, with its colour and the first colour behind it that is not transparent.
COLOURS = """(() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = {};
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim(), holder = walker.currentNode.parentElement;
    if (!text || !holder.checkVisibility()) continue;
    let behind = holder;
    while (behind && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
    found[getComputedStyle(holder).color + '|' + getComputedStyle(behind).backgroundColor] = text;
  }
  return found;
})()"""
# What reaches beyond the right edge; innerWidth would not do, a phone shrinks the page until all is within.
WIDE = """[...document.querySelectorAll('body *')].filter(one => one.getBoundingClientRect().right > WIDTH + 0.5)
  .map(one => one.outerHTML.slice(0, 120))"""
SMALL = """[...document.querySelectorAll('body *')]
  .filter(one => one.innerText && parseFloat(getComputedStyle(one).fontSize) < 14)
  .map(one => one.outerHTML.slice(0, 120))"""
FINDINGS = """[...document.querySelectorAll('article.finding')].map(one => {
  const box = one.getBoundingClientRect();
  return [one.checkVisibility() && box.width > 200 && box.height > 50, one.innerText];
})"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "verify.html"
    path.write_text(page(results(), run()), "utf-8")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


def _luminance(colour: str) -> float:
    """Return the relative luminance of ``rgb(r, g, b)`` as WCAG 2.2 defines it."""
    channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _faint(found: dict[str, str]) -> list[tuple[str, str, float]]:
    assert len(found) > 5, "the page shows hardly any text"
    pairs = [(text, pair, _contrast(*pair.split("|"))) for pair, text in found.items()]
    return [one for one in pairs if one[2] < CONTRAST]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_readable_on_phone_and_desk_by_day_and_night(
    browser: Browser, report: Path, width: int, scheme: str, tmp_path: Path
) -> None:
    browser.open(report, width, scheme)
    browser.evaluate(OPEN_ALL)
    assert browser.evaluate("innerWidth") == width
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(WIDE.replace("WIDTH", str(width))) == []
    assert browser.evaluate(SMALL) == []
    assert _faint(browser.evaluate(COLOURS)) == []
    browser.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_the_colours_follow_the_scheme(browser: Browser, report: Path) -> None:
    shown = []
    for scheme in SCHEMES:
        browser.open(report, 360, scheme)
        shown.append(_luminance(browser.evaluate("getComputedStyle(document.body).backgroundColor")))
    assert shown[0] > 0.8
    assert shown[1] < 0.05


def test_every_problem_is_visible_at_once(browser: Browser, report: Path) -> None:
    browser.open(report, 360, "light")
    shown: list[list[Any]] = browser.evaluate(FINDINGS)
    wanted = results().having(Status.FAILED, Status.WARNED, Status.NOTED, Status.NOT_TESTED)
    assert len(shown) == len(wanted)
    assert all(visible for visible, _ in shown)
    assert all(result.check in text for result, (_, text) in zip(wanted[:3], shown, strict=False))


def test_nothing_is_asked_of_the_network_and_nothing_runs(browser: Browser, report: Path) -> None:
    browser.open(report, 1280, "light")
    browser.evaluate(OPEN_ALL)
    assert browser.requests() == [report.as_uri()]
    assert browser.evaluate("document.scripts.length + document.images.length") == 0
    assert browser.evaluate("document.title") == "Something is wrong: proof of production"


def test_paper_shows_what_is_folded_on_a_screen(browser: Browser, report: Path) -> None:
    browser.open(report, 1280, "dark")
    folded = "[...document.querySelectorAll('details li')].filter(one => one.checkVisibility()).length"
    assert browser.evaluate(folded) == 0
    browser.media("print", "dark")
    assert browser.evaluate(folded) > 40
    assert _luminance(browser.evaluate("getComputedStyle(document.body).backgroundColor")) == 1
    assert _faint(browser.evaluate(COLOURS)) == []


def test_what_loads_something_would_be_noticed(browser: Browser, report: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.html"
    text = report.read_text("utf-8").replace("default-src 'none'; ", "")
    spoilt.write_text(
        text.replace("</main>", '<img src="missing.png"><p style="width: 900px">wide</p></main>'), "utf-8"
    )
    browser.open(spoilt, 360, "light")
    assert len(browser.requests()) == 2
    assert browser.evaluate(WIDE.replace("WIDTH", "360")) != []
