"""Promises of the dashboard in a real browser, without network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.dashboard.report_folder import write_report
from reports.detect.config import Config
from reports.explain.report import make_report
from reports.load.load_results import load_results
from tests.reports.dashboard.browser import Opened, opened_page
from tests.reports.dashboard.pages import HOSTILE, data_of, page_text, record_with
from tests.reports.make import write_sweep

pytestmark = pytest.mark.browser


@pytest.fixture
def opened(browser: Any, large: Path) -> Iterator[Opened]:
    with opened_page(browser, large) as one:
        yield one


@pytest.fixture
def evil(browser: Any, hostile: Path) -> Iterator[Opened]:
    with opened_page(browser, hostile) as one:
        yield one


@pytest.fixture
def phone(browser: Any, large: Path) -> Iterator[Opened]:
    with opened_page(browser, large, viewport={"width": 380, "height": 780}, color_scheme="dark") as one:
        yield one


def _rows(opened: Opened, name: str) -> int:
    count: int = opened.page.locator(f"table.{name} tbody tr").count()
    return count


def test_first_screen_has_the_verdict_all_releases_and_the_heat_map(opened: Opened) -> None:
    assert "0.5.13 against 0.5.12" in opened.page.inner_text("h1")
    heads = opened.page.locator("table.releases thead th").all_inner_texts()
    assert heads == ["metric", "0.5.10", "0.5.11", "0.5.12", "0.5.13"]
    assert opened.page.locator("a.heat").count() == 120


def test_first_screen_says_what_was_judged(opened: Opened) -> None:
    """The reader of a verdict sees which kinds of metric it judged, and which it could not."""
    text = opened.page.inner_text(".verdict")
    assert "Judged: decision, work, modelled time." in text
    assert "Not judged: host time (one run each: host time needs pairs)." in text


def test_head_is_shown_against_the_chosen_base(browser: Any, tmp_path: Path) -> None:
    """Where base is not the build before head, the heat map compares these two, and the history does not."""
    for build, evicted in enumerate((6000, 5000, 5000)):
        change = lambda one, evicted=evicted: record_with(one, retractions=evicted)  # noqa: E731
        write_sweep(tmp_path / "in" / str(build), f"release:0.5.{build}", change)
    report = make_report(load_results([tmp_path / "in"]), Config(), base="0.5.0", head="0.5.2")
    write_report(report, tmp_path / "out")
    with opened_page(browser, tmp_path / "out") as opened:
        opened.go("#/?metric=retractions")
        assert "retractions (requests), 0.5.2 against 0.5.0" in opened.page.inner_text("#heat-title")
        assert "×0.83" in opened.page.locator("a.heat .big").first.inner_text()
        opened.page.select_option('select[name="release"]', "0.5.1")
        assert "0.5.1 against 0.5.0" in opened.page.inner_text("#heat-title")
        opened.go("#/metric/retractions")
        opened.page.wait_for_selector("#history-title")
        counts = opened.page.locator("table.history tbody td:last-child").all_inner_texts()
        assert ["better" in text for text in counts] == [False, True, False]


def test_a_cell_after_a_crash_names_the_build_it_is_compared_with(browser: Any, tmp_path: Path) -> None:
    """The page says which earlier build took the place of a base whose cell crashed."""
    for build, evicted in enumerate((5000, None, 6000)):

        def change(one: dict[str, Any], evicted: int | None = evicted) -> dict[str, Any]:
            if evicted is None:
                return one | {"outcome": "crashed", "reason": "so it is"}
            return record_with(one, retractions=evicted)

        write_sweep(tmp_path / "in" / str(build), f"release:0.5.{build}", change)
    write_report(make_report(load_results([tmp_path / "in"]), Config()), tmp_path / "out")
    with opened_page(browser, tmp_path / "out") as opened:
        opened.go("#/?metric=retractions")
        assert "0.5.2 against 0.5.0" in opened.page.inner_text("#heat-title")
        opened.go(str(opened.page.locator("a.heat").first.get_attribute("href")))
        opened.page.wait_for_selector("#metrics-title")
        row = opened.page.locator("main table:not(.u-legend) tr", has_text="retractions").first.inner_text()
        assert "worse" in row
        assert "base is 0.5.0, the last build that measured it" in row


@pytest.mark.parametrize(
    "address", ["#/metric/steps_to_drain", "#/cells", "#/about", "#/nonsense/%E0%A4%A", "#/cell/x"]
)
def test_every_page_opens_without_errors(opened: Opened, address: str) -> None:
    opened.go(address)
    assert opened.page.locator("h1").count() == 1


def test_filter_hides_cells_and_is_kept_in_the_address(opened: Opened) -> None:
    opened.go("#/cells")
    assert _rows(opened, "cells") == 120
    opened.page.select_option('select[name="workload"]', "storm")
    assert _rows(opened, "cells") == 40
    assert "workload=storm" in opened.page.url
    opened.page.reload()
    opened.page.wait_for_selector("html[data-ready]")
    assert _rows(opened, "cells") == 40


def test_search_finds_a_metric_and_keeps_the_focus(opened: Opened) -> None:
    opened.page.fill('input[name="find a metric"]', "recompute tax")
    opened.page.locator("table.releases tbody tr").nth(1).wait_for(state="detached")
    assert _rows(opened, "releases") == 1
    assert opened.page.evaluate("document.activeElement.name") == "find a metric"


def test_all_metrics_can_be_shown(opened: Opened, large: Path) -> None:
    opened.page.check('input[name="all metrics"]')
    assert _rows(opened, "releases") == len(data_of(page_text(large))["metrics"])


def test_sorting_is_told_to_screen_readers(opened: Opened) -> None:
    opened.go("#/cells")
    opened.page.click("button.sort >> text=worse")
    assert opened.page.locator('th[aria-sort="ascending"]').inner_text().startswith("worse")
    opened.page.click("button.sort >> text=worse")
    assert opened.page.locator('th[aria-sort="descending"]').count() == 1
    counts = [
        int(text.replace("–", "0"))
        for text in opened.page.locator("table.cells tbody td:nth-child(3)").all_inner_texts()
    ]
    assert counts == sorted(counts, reverse=True)


def test_heat_map_cell_opens_its_page_by_keyboard(opened: Opened) -> None:
    cell = opened.page.locator("a.heat").first
    cell.focus()
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_selector("#steps-title")
    assert "#/cell/" in opened.page.url
    assert opened.page.locator(".side canvas").count() == 4
    assert "Decisions first differ at step" in opened.page.inner_text("#content")


def test_heat_map_shows_base_head_and_ratio(opened: Opened) -> None:
    shown = set()
    for choice in ("ratio", "head", "base"):
        opened.page.select_option('select[name="show"]', choice)
        shown.add(opened.page.locator("a.heat .big").first.inner_text())
    assert len(shown) == 3


def test_history_marks_and_tables_are_there(opened: Opened) -> None:
    opened.go("#/metric/steps_to_drain")
    assert opened.page.locator(".chart canvas").count() == 1
    assert opened.page.locator("table.history .badge").count() >= 1


def test_scripts_in_names_reasons_and_messages_do_not_run(evil: Opened) -> None:
    addresses = ["", "#/cells", "#/about", "#/metric/retractions"]
    addresses.append(str(evil.page.locator("a.heat").first.get_attribute("href")))
    for address in addresses:
        evil.go(address)
        assert evil.page.evaluate("window.hacked") is None
        assert evil.page.locator("img").count() == 0
        assert evil.page.locator("script").count() == 2
    evil.go("#/about")
    assert HOSTILE in evil.page.inner_text("#content")


def test_script_that_gets_in_does_not_run(opened: Opened) -> None:
    """The policy is the second wall."""
    opened.page.evaluate(
        "const one = document.createElement('script'); one.textContent = 'window.hacked=1'; "
        "document.body.append(one)"
    )
    assert opened.page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in problem for problem in opened.problems)
    opened.problems.clear()


def test_page_fits_a_phone(phone: Opened) -> None:
    for address in ("", "#/cells", "#/metric/steps_to_drain", "#/about"):
        phone.go(address)
        assert phone.page.evaluate("document.documentElement.scrollWidth") <= 380


def test_theme_follows_the_system_and_can_be_chosen(phone: Opened) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = phone.page.evaluate(ground)
    phone.page.click("#theme")
    light = phone.page.evaluate(ground)
    assert dark != light
    phone.page.click("#theme")
    assert phone.page.evaluate(ground) == dark


def test_first_tab_stop_skips_to_the_content(opened: Opened) -> None:
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.id") == "skip"
    opened.page.keyboard.press("Enter")
    assert opened.page.evaluate("document.activeElement.id") == "content"


def test_tables_have_captions_and_every_control_a_label(opened: Opened) -> None:
    for address in ("", "#/cells", "#/metric/steps_to_drain"):
        opened.go(address)
        tables = "[...document.querySelectorAll('main table:not(.u-legend)')].filter(t => !t.caption).length"
        assert opened.page.evaluate(tables) == 0
        controls = (
            "[...document.querySelectorAll('main input, main select')].filter(c => !c.labels.length).length"
        )
        assert opened.page.evaluate(controls) == 0
