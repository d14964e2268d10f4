"""Promises to a reader without a mouse, or without eyes for a chart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reports.dashboard.browser import Opened, addresses, opened_page, visit
from tests.reports.dashboard.pages import COMMITS

pytestmark = pytest.mark.browser

_FOCUSABLE = "a[href], button, input, select, summary, [tabindex='0']"


@pytest.fixture
def opened(browser: Any, crowded: Path) -> Iterator[Opened]:
    with opened_page(browser, crowded, viewport={"width": 1280, "height": 800}) as one:
        visit(one, "")
        yield one


def _tab_to(opened: Opened, what: str, most: int = 80) -> int:
    """Press Tab until a place has the focus; return how often."""
    for count in range(1, most + 1):
        opened.page.keyboard.press("Tab")
        if opened.page.evaluate("(what) => document.activeElement.matches(what)", what):
            return count
    raise AssertionError(f"{most} tabs do not lead to {what}")


def test_the_first_answer_is_one_step_from_the_skip_link(opened: Opened) -> None:
    """Tab, Enter and Tab lead to the build that the verdict is about."""
    opened.page.keyboard.press("Tab")
    opened.page.keyboard.press("Enter")
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("Boolean(document.activeElement.closest('.verdict h1'))")


def test_the_heat_map_is_one_tab_stop_and_arrows_reach_every_cell(opened: Opened) -> None:
    """Arrow keys go through all cells of all maps, and what a cell says is written out below them."""
    _tab_to(opened, "a.heat")
    there = "Number(document.activeElement.dataset.cell)"
    seen = {opened.page.evaluate(there)}
    while True:
        for key in ("Home", *["ArrowRight"] * 8):
            opened.page.keyboard.press(key)
            seen.add(opened.page.evaluate(there))
        opened.page.keyboard.press("Home")
        before = opened.page.evaluate(there)
        opened.page.keyboard.press("ArrowDown")
        if opened.page.evaluate(there) == before:
            break
    assert len(seen) == opened.page.locator("a.heat").count()
    label = str(opened.page.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert label.split(":")[0].split(", steps")[0].split(",")[0] in opened.page.inner_text("#heat-detail")
    opened.page.keyboard.press("Tab")
    assert not opened.page.evaluate("document.activeElement.matches('a.heat')")


def test_a_cell_opens_by_keyboard_and_can_be_left_again(opened: Opened) -> None:
    """Enter on a cell of the heat map opens its page with the focus on the content."""
    _tab_to(opened, "a.heat")
    opened.page.keyboard.press("ArrowDown")
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_selector("#steps-title")
    assert opened.page.evaluate("document.activeElement.id") == "content"
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.textContent") == "All cells"


def test_every_control_is_reached_by_tab_and_shows_it(opened: Opened) -> None:
    """On every page Tab stops at each link, button and field, and each is outlined while it has the focus."""
    for address in addresses(opened):
        opened.go(address)
        opened.page.reload()  # tabs start at the top again
        page = visit(opened, address)
        wanted = page.evaluate(
            f"[...document.querySelectorAll({_FOCUSABLE!r})]"
            ".filter((one) => one.checkVisibility() && one.tabIndex >= 0).length"
        )
        lost = page.evaluate(
            f"[...document.querySelectorAll({_FOCUSABLE!r})]"
            ".filter((one) => one.tabIndex < 0 && !one.matches('a.heat'))"
            ".map((one) => one.outerHTML)"
        )
        assert lost == []
        seen, faint = set(), []
        for _ in range(wanted + 10):
            page.keyboard.press("Tab")
            found = page.evaluate("probes.focused()")
            if not found["isBody"]:
                seen.add(found["number"])
                faint += [found["name"]] if found["outline"] < 2 else []
        assert faint == []
        assert len(seen) == wanted, address


def test_tables_keep_their_roles_on_a_phone(browser: Any, crowded: Path) -> None:
    """A table that is laid out as blocks is still a table to a screen reader, and can be sorted."""
    with opened_page(browser, crowded, viewport={"width": 360, "height": 780}) as opened:
        opened.go("#/cells")
        assert opened.page.get_by_role("table").count() == 1
        assert opened.page.get_by_role("rowheader").count() == 48
        opened.page.get_by_role("button", name="verdict").click()
        assert opened.page.locator("th[aria-sort=ascending]").inner_text().startswith("verdict")


def test_links_lead_to_releases_commits_and_pull_requests(opened: Opened) -> None:
    """A build's name leads to its release or commit, and a subject to its pull request."""
    opened.go("#/")
    hrefs = set(opened.page.evaluate("[...document.querySelectorAll('a.out')].map((one) => one.href)"))
    home = "https://github.com/sgl-project/sglang"
    assert f"{home}/releases/tag/v0.5.22.post1" in hrefs
    assert f"{home}/pull/12345" in hrefs
    assert {f"{home}/commit/{commit}" for commit in COMMITS} <= hrefs
    assert "Let the scheduler retract" in opened.page.inner_text("table.builds")


def test_what_is_no_web_address_is_no_link(browser: Any, hostile: Path) -> None:
    """An address that is not of the web stays text."""
    with opened_page(browser, hostile) as opened:
        for address in ("#/", "#/about"):
            opened.go(address)
            assert opened.page.locator("a[href^='javascript']").count() == 0
