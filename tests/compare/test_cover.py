"""Set cover: the cells that are kept cover what all cover, and a grid made of them has the same cells."""

from __future__ import annotations

import tomllib

from exhausters.compare.cover import functions_of, grid_text, lines_of, measure_cover, smallest_cover
from exhausters.pressure.levels import PressureLevels
from exhausters.reach.cell_map import CellMap, read_cell_map
from exhausters.reach.functions import Function
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.grid import load_grid, parse_grid

_FUNCTIONS = [Function("sglang/srt/a.py", name) for name in "abc"]
_CELLS = [Cell(workload=name) for name in ("bursts", "agents", "many_leaves")]
_OTHER = Cell(workload="bursts", engine=EngineSettings(page_size=1))


def _map(*brings: str) -> CellMap:
    cells = (*_CELLS, _OTHER)
    executed = {
        cell.id: {one: frozenset({1, len(names)}) for one in _FUNCTIONS if one.name in names}
        for cell, names in zip(cells, brings, strict=True)
    }
    return CellMap(
        build="release:0.5.23",
        measured="2026-07-01",
        grids={},
        seconds=dict.fromkeys(executed, 1.0),
        executed=executed,
    )


def test_nothing_is_lost_and_what_is_superfluous_is_dropped() -> None:
    """Two cells cover all three functions; a cell that costs a boot and brings nothing new is not taken."""
    found = _map("ab", "bc", "a", "abc")
    chosen = smallest_cover(found, _CELLS, functions_of)
    assert set(chosen) == set(_CELLS[:2])
    assert measure_cover(found, chosen).functions == measure_cover(found, (*_CELLS, _OTHER)).functions


def test_all_lines_are_covered_too() -> None:
    """Lines are finer than functions."""
    found = _map("ab", "bc", "a", "abc")
    chosen = smallest_cover(found, (*_CELLS, _OTHER), lines_of)
    assert measure_cover(found, chosen).lines == measure_cover(found, (*_CELLS, _OTHER)).lines


def test_a_cover_stays_within_its_time() -> None:
    """One boot and one cell cost eleven seconds here; a second cell would cost one more."""
    chosen = smallest_cover(_map("ab", "bc", "a", "abc"), _CELLS, functions_of, within_seconds=11.5)
    assert len(chosen) == 1


def test_the_printed_grid_has_the_cells() -> None:
    """Every setting, level and workload comes back, free ones and held pressure included."""
    engine = EngineSettings(
        page_size=1, overlap=False, server_args=(("stream_interval", 4),), env=(("A", "1"),)
    )
    cells = (
        Cell(workload="bursts:seed=3", levels=PressureLevels(leave_pages=9, leave_refs=0, held=True)),
        Cell(workload="agents", engine=engine),
    )
    found = parse_grid(tomllib.loads(grid_text("cover", cells)), source="cover")
    assert found.cells == cells


def test_the_cells_of_short_are_cells_of_the_pool() -> None:
    """So that guarding costs no boot of its own and the map knows them."""
    assert {one.id for one in load_grid("short").cells} <= {one.id for one in load_grid("pool").cells}


def test_the_stock_cover_covers_every_function_of_the_map() -> None:
    """Each function that any measured cell executes is executed by a cell of the grid `cover`."""
    stock = read_cell_map()
    cells = load_grid("cover").cells
    assert measure_cover(stock, cells).functions == len(stock.functions)
