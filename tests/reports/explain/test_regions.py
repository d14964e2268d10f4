"""Promises about where in the grid a loss is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reports.explain.axes import axis_table
from reports.explain.regions import where
from reports.load.load_results import load_results
from tests.reports.make import cells, write_sweep


def _where(tmp_path: Path, hit: object) -> str:
    results = load_results([write_sweep(tmp_path)])
    table = axis_table([results.frame], results.axes)
    mask = np.array([hit(cell) for cell in cells()])  # type: ignore[operator]
    assert table.cells == tuple(cell.id for cell in cells())
    return str(where(mask, table))


@pytest.mark.parametrize(
    ("hit", "expected"),
    [
        (
            lambda c: c.levels.leave_pages in (16, 64) and c.engine.page_size == 16,
            "leave_pages <= 64 and page_size = 16",
        ),
        (lambda c: c.levels.leave_pages is None, "leave_pages = all"),
        (lambda c: c.levels.leave_pages in (None, 128), "leave_pages >= 128"),
        (lambda c: c.levels.leave_pages in (64, 128), "64 <= leave_pages <= 128"),
        (lambda c: c.workload == "agents", "workload = agents"),
        (lambda c: True, "everywhere"),
        (lambda c: False, ""),
        (
            lambda c: c.workload == "agents" or (c.levels.leave_pages == 16 and c.engine.page_size == 1),
            "9 scattered cells",
        ),
    ],
)
def test_where_names_the_smallest_set_of_axis_values(tmp_path: Path, hit: object, expected: str) -> None:
    """A loss planted in a part of the grid is described by exactly that part, with no axis too many."""
    found = _where(tmp_path, hit)
    assert found == expected


def test_one_cell_that_did_not_lose_is_counted(tmp_path: Path) -> None:
    """A region of which one cell was spared is still named, with the count."""
    spared = cells()[-1].id
    found = _where(tmp_path, lambda c: c.workload == "agents" and c.id != spared)
    assert found == "workload = agents (7 of 8 cells)"


def test_two_separate_losses_are_scattered(tmp_path: Path) -> None:
    """Losses in two parts that no one box describes are not described by an "or"."""
    found = _where(
        tmp_path,
        lambda c: (
            (c.workload == "agents" and c.engine.page_size == 1)
            or (c.workload == "shared_prefix" and c.engine.page_size == 16)
        ),
    )
    assert found == "8 scattered cells"


def test_cells_without_a_pattern_are_called_scattered(tmp_path: Path) -> None:
    """Single cells here and there are counted, not dressed up as a region."""
    chosen = {cells()[i].id for i in (0, 7, 10)}
    assert _where(tmp_path, lambda c: c.id in chosen) == "3 scattered cells"
