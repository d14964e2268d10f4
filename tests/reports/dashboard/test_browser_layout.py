"""Promises about what one sees: no text over another, nothing cut, and colours that can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reports.dashboard.browser import SCHEMES, WIDTHS, Opened, addresses, opened_page, visit

pytestmark = pytest.mark.browser

_TEXT_CONTRAST, _MARK_CONTRAST = 4.5, 3
_MARKS = (
    *("head", "evicted", "worse", "better", "changed", "mixed", "broken", "accent"),
    *(f"s-{name}" for name in ("batch", "waiting", "tokens", "free", "evictable", "protected", "held")),
)


@pytest.fixture(params=WIDTHS)
def sized(request: pytest.FixtureRequest, browser: Any, crowded: Path) -> Iterator[Opened]:
    with opened_page(browser, crowded, viewport={"width": request.param, "height": 800}) as one:
        yield one


@pytest.fixture(params=SCHEMES)
def coloured(request: pytest.FixtureRequest, browser: Any, crowded: Path) -> Iterator[Opened]:
    with opened_page(
        browser, crowded, viewport={"width": 1280, "height": 800}, color_scheme=request.param
    ) as one:
        yield one


def test_no_text_is_drawn_over_another(sized: Opened) -> None:
    """On every page no two texts overlap, figures in heat maps least of all: on a phone, a tablet, a desk."""
    for address in addresses(sized):
        assert visit(sized, address).evaluate("probes.overlaps()") == [], address


def test_no_text_is_cut_or_leaves_its_box(sized: Opened) -> None:
    """Every heading, name and figure is whole and on the page; no table has to be moved sideways."""
    for address in addresses(sized):
        assert visit(sized, address).evaluate("probes.cuts()") == [], address


def test_all_builds_can_be_brought_into_sight(browser: Any, crowded: Path) -> None:
    """Where not all builds fit, the newest are shown, and a button leads to the oldest."""
    with opened_page(browser, crowded, viewport={"width": 360, "height": 780}) as opened:
        head = opened.page.locator("table.releases thead th").last
        assert head.inner_text() == "a905cbd42"
        older = opened.page.locator("button", has_text="older")
        while older.get_attribute("aria-disabled") is None:
            older.click()
        assert "0.5.22.post1" in opened.page.locator("table.releases thead").inner_text()


def test_every_text_has_enough_contrast(coloured: Opened) -> None:
    """In the light and in the dark theme every text has a contrast of at least 4.5 to what is behind it."""
    for address in addresses(coloured):
        for show in ("ratio", "head") if address == "#/" else ("",):
            page = visit(coloured, f"{address}?show={show}" if show else address)
            assert page.evaluate(f"probes.faint({_TEXT_CONTRAST})") == [], address


def test_every_mark_of_a_chart_has_enough_contrast(coloured: Opened) -> None:
    """Lines and marks stand out from the page by at least 3, and what charts write by at least 4.5."""
    page = visit(coloured, "#/")
    assert (
        page.evaluate("([names, least]) => probes.faintColours(names, least)", [_MARKS, _MARK_CONTRAST]) == []
    )
    assert (
        page.evaluate("([names, least]) => probes.faintColours(names, least)", [["muted"], _TEXT_CONTRAST])
        == []
    )


def test_the_answer_comes_first_and_charts_before_the_table(sized: Opened) -> None:
    """The verdict in words is in sight without scrolling; the table of all metrics comes last."""
    page = visit(sized, "#/")
    answer = page.locator(".answer").bounding_box()
    assert answer["y"] + min(answer["height"], 100) < 800
    order = page.evaluate(
        "['.answer', '.effects', 'a.heat', '.chart canvas', 'table.releases']"
        ".map((one) => document.querySelector(one).getBoundingClientRect().top)"
    )
    assert order == sorted(order)


def test_every_chart_has_a_legend_and_units_on_its_axes(opened_cell: Opened) -> None:
    """A legend in words stands beside each chart, and each axis says what it counts."""
    page = opened_cell.page
    for section in ("steps-title", "cell-history"):
        assert page.locator(f"section[aria-labelledby={section}] ul.legend li").count() >= 1
    labels = page.evaluate(
        "(() => { const said = []; const draw = CanvasRenderingContext2D.prototype.fillText;"
        "CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {"
        " said.push(text); return draw.call(this, text, ...rest); };"
        "dispatchEvent(new HashChangeEvent('hashchange')); return new Promise((done) =>"
        " setTimeout(() => done(said), 200)); })()"
    )
    assert {"step", "requests", "tokens", "KV tokens", "build, oldest first"} <= set(labels)


@pytest.fixture
def opened_cell(browser: Any, crowded: Path) -> Iterator[Opened]:
    with opened_page(browser, crowded) as opened:
        opened.go(addresses(opened)[3])
        yield opened
