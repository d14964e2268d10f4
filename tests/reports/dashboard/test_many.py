"""Promises about reports on very many builds, such as the commits of a scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reports.dashboard.browser import addresses, opened_page, visit
from tests.reports.dashboard.pages import data_of, page_text

_CHANGED = ["010cccccc", "013cccccc", "040cccccc", "070cccccc"]


def test_only_what_matters_is_told_of_a_build(many: Path) -> None:
    """How cells end, what decides otherwise, and what moved over a workload by its smallest effect."""
    moved = {
        build["label"]: build["moved"]
        for build in data_of(page_text(many))["builds"]
        if any(build["moved"].values())
    }
    assert list(moved) == _CHANGED
    assert moved["010cccccc"]["ends"] == [{"verdict": "worse", "outcome": "crashed", "cells": 4}]
    assert moved["013cccccc"]["ends"] == [{"verdict": "better", "outcome": "drained", "cells": 4}]
    assert moved["040cccccc"] == {"ends": [], "decides": 4, "effects": []}
    effects = [{"metric": "python_calls_per_step", "verdict": "worse", "text": "+10 %", "workloads": 2}]
    assert moved["070cccccc"] == {"ends": [], "decides": 0, "effects": effects}


def test_builds_that_crash_are_gaps_in_a_line(many: Path) -> None:
    """One build of which nothing ran takes no cell from the means and the line of all others."""
    data = data_of(page_text(many))
    metric = [one["name"] for one in data["metrics"]].index("python_calls_per_step")
    index = np.array([row[metric] for row in data["trend"]["index"]], dtype=float)
    means = np.array([row[metric] for row in data["trend"]["means"]], dtype=float)
    assert list(np.flatnonzero(np.isnan(index))) == list(np.flatnonzero(np.isnan(means))) == [10, 11, 12]
    assert means[0] == 1000
    assert index[-1] == pytest.approx(means[-1] / 1000, rel=1e-4)


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1280])
def test_a_page_of_many_builds_can_be_read(browser: Any, many: Path, width: int) -> None:
    """Nothing overlaps or leaves the page, also of what is folded at first; no chart is missing."""
    with opened_page(browser, many, viewport={"width": width, "height": 900}) as opened:
        for address in addresses(opened):
            page = visit(opened, address, unfold=True)
            assert page.evaluate("probes.overlaps()") == [], address
            assert page.evaluate("probes.cuts()") == [], address
            assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        visit(opened, "#/metric/python_calls_per_step")
        assert opened.page.locator(".chart canvas").count() == 1


@pytest.mark.browser
def test_builds_that_changed_something_come_first(browser: Any, many: Path) -> None:
    """A reader sees them behind the verdict without looking for them; all others are one tick away."""
    with opened_page(browser, many) as opened:
        rows = opened.page.locator("table.builds tbody tr")
        assert [row.split()[0].rstrip("↗") for row in rows.all_inner_texts()] == _CHANGED
        titles = opened.page.locator("main h2").all_inner_texts()
        assert titles[0] == "What changed at which build"
        assert "At 4 of 105 builds" in opened.page.inner_text("section[aria-labelledby=builds-title]")
        opened.page.uncheck("input[name='only those that changed something']")
        assert rows.count() == 105
        opened.go("#/metric/python_calls_per_step")
        assert "A short mark: by less than what matters" in opened.page.inner_text("main")
