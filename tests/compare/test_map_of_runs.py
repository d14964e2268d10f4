"""A map is measured of what a known one lacks, and of nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from exhausters.compare.map_of_runs import cells_to_measure, measure_map
from exhausters.errors import ReachMapError
from exhausters.reach.cell_map import CellMap
from exhausters.reach.functions import Function
from exhausters.sweep.cell import Cell
from exhausters.sweep.execute import Executor
from exhausters.sweep.grid import Grid
from tests.fakes.fake_target import fake_target

_CELLS = tuple(Cell(workload=name) for name in ("bursts", "agents"))
_GRID = Grid(name="pool", cells=_CELLS)


class _NoMachine:
    """An executor that has nothing to run."""

    workers = 1

    def run(self, plan: Any) -> Any:
        yield from ()


def _known(build: str, *cells: Cell) -> CellMap:
    executed = {cell.id: {Function("sglang/srt/a.py", "f"): frozenset({1})} for cell in cells}
    return CellMap(
        build=build,
        measured="2026-07-01",
        grids={},
        seconds=dict.fromkeys(executed, 0.5),
        executed=executed,
    )


def test_cells_that_are_known_are_not_run(tmp_path: Path) -> None:
    """Only the others are; of cells that the grid has no more nothing is left, and the order is its own."""
    target, gone = replace(fake_target(), source_dirs=(tmp_path,)), Cell(workload="long_context")
    assert list(cells_to_measure([_GRID], _known(target.name, _CELLS[1]))) == [_CELLS[0].id]
    known = _known(target.name, gone, *reversed(_CELLS))
    found = measure_map(target, [_GRID], executor=cast(Executor, _NoMachine()), known=known)
    assert list(found.executed) == [cell.id for cell in _CELLS]
    assert found.seconds == {cell.id: 0.5 for cell in _CELLS}
    assert found.grids == {"pool": _GRID.digest}


def test_a_map_of_another_build_is_refused() -> None:
    """Its lines are those of other files."""
    with pytest.raises(ReachMapError, match=r"release:0\.0\.0"):
        measure_map(
            fake_target(), [_GRID], executor=cast(Executor, _NoMachine()), known=_known("release:0.0.0")
        )
