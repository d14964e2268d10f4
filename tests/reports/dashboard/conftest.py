"""A browser for all tests of the dashboard, and the reports they open in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exhausters.observe.metrics import METRICS
from reports.dashboard.page import DASHBOARD_NAME, render_dashboard
from reports.dashboard.page_data import KEY_METRICS
from tests.reports.dashboard.browser import HOW_TO_GET_IT, chromium, is_left_out
from tests.reports.dashboard.pages import (
    HOSTILE,
    crowded_report,
    data_of,
    hostile_report,
    large_report,
    many_report,
    page_text,
)

_LEFT_OUT = pytest.StashKey[int]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that need a browser where there is none; one line at the end says how many."""
    wanted = [item for item in items if item.get_closest_marker("browser")]
    if wanted and is_left_out():
        items[:] = [item for item in items if item not in wanted]
        config.hook.pytest_deselected(items=wanted)
        config.stash[_LEFT_OUT] = len(wanted)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    count = config.stash.get(_LEFT_OUT, 0)
    if count:
        terminalreporter.write_line(f"{count} tests of the dashboard were left out: {HOW_TO_GET_IT}")


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="package")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four builds, 120 cells, and enough metrics to search in."""
    metrics = (*KEY_METRICS, *[name for name in METRICS if name not in KEY_METRICS][:12])
    return large_report(tmp_path_factory.mktemp("large"), builds=4, metrics=metrics)


@pytest.fixture(scope="package")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long names and wide numbers."""
    return crowded_report(tmp_path_factory.mktemp("crowded"))


@pytest.fixture(scope="package")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many commits as a scan leaves."""
    return many_report(tmp_path_factory.mktemp("many"))


@pytest.fixture(scope="package")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = hostile_report(tmp_path_factory.mktemp("hostile"))
    data = data_of(page_text(folder))
    for build in data["builds"]:
        build["subject"] = HOSTILE
        build["url"] = "javascript:window.hacked=1"
    (folder / DASHBOARD_NAME).write_text(render_dashboard(data), encoding="utf-8")
    return folder
