"""The few cells whose host time is worth its minutes."""

from __future__ import annotations

import pytest

from exhausters.compare.chosen_cells import cells_to_time
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings


@pytest.mark.parametrize(("times", "overlap"), [(2, True), (3, False)])
def test_host_time_is_taken_where_work_moved_most(times: int, overlap: bool) -> None:
    """Of five workloads three, the most different; with the defaults unless others moved twice as much."""
    cells = [
        Cell(workload=name, levels=PressureLevels(leave_pages=left), engine=EngineSettings(overlap=overlap))
        for name in ("a", "b", "c", "d", "e")
        for left in (None, 128, 16)
        for overlap in (True, False)
    ]
    sizes = {"a": 0.01, "b": 0.2, "c": 0.0, "d": 0.05, "e": 0.01}
    moved = {cell: sizes[cell.workload] * (1 if cell.engine.overlap else times) for cell in cells}
    found = cells_to_time(cells, moved=moved)
    assert {cell.workload for cell in found} == {"a", "b", "d"}
    assert {cell.engine.overlap for cell in found} == {overlap}
    assert {cell.levels.leave_pages for cell in found} == {None, 16}
    assert cells_to_time([], moved={}) == ()
