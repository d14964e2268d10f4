from __future__ import annotations

import pytest

from exhausters.asv_suite.axes import axes_of, cells_by_values
from exhausters.errors import GridError
from exhausters.sweep.grid import Grid, load_grid, parse_grid


def test_product_is_every_cell() -> None:
    """The axes' product is the grid: no cell is lost, none is made up."""
    grid = load_grid("quick")
    cells = cells_by_values(grid)
    assert sorted(cell.id for cell in cells.values()) == sorted(cell.id for cell in grid.cells)
    assert len(cells) == len(grid.cells)


def test_axes_keep_the_grids_order() -> None:
    """Values keep the order of the grid's file: asv stores places, and a new order would mix cells up."""
    axes = axes_of(load_grid("quick"))
    assert axes["leave_pages"] == ("all", 128, 80, 56)
    assert axes["overlap"] == (True, False)


def test_other_axes_appear_when_they_vary() -> None:
    """An axis that the suites do not name is still an axis if the grid has several values for it."""
    document = {"axes": {"workload": ["agents"], "policy": ["fcfs", "lpm"]}}
    assert axes_of(parse_grid(document, source="test"))["policy"] == ("fcfs", "lpm")


def test_nothing_taken_is_one_cell() -> None:
    """Held and one-shot are the same cell where nothing is taken, and both points read it."""
    document = {"axes": {"workload": ["agents"], "held": [False, True], "leave_pages": ["all", 64]}}
    grid = parse_grid(document, source="test")
    cells = cells_by_values(grid)
    assert (len(grid.cells), len(cells)) == (3, 4)
    assert len({cell.id for values, cell in cells.items() if values[0] == "all"}) == 1


def test_ragged_cells_are_refused() -> None:
    """Cells that are no product of axes cannot be shown by asv, and that is said."""
    grid = load_grid("quick")
    with pytest.raises(GridError, match="has no cell at"):
        cells_by_values(Grid(name="ragged", cells=grid.cells[:-1]))
