"""The map that the package brings is what the real scheduler does; a boot's lines are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from exhausters.compare.boot_lines import boot_lines
from exhausters.compare.map_of_runs import measure_map
from exhausters.reach.cell_map import read_cell_map
from exhausters.reach.functions import lines_by_function
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.grid import load_grid
from exhausters.targets import prepare
from tests.conftest import newest_release

pytestmark = pytest.mark.real


def test_a_cell_executes_what_the_map_says() -> None:
    """Measured again on the build of the map, a cell executes the same functions and the same lines."""
    stock = read_cell_map()
    grid = load_grid("pool").select(["retraction_storm/p16/pages=56,refs=all,rows=all/one_shot"])
    target = prepare(stock.build)
    again = measure_map(target, [grid], executor=LocalExecutor(1))
    (cell,) = again.executed
    assert again.executed[cell].keys() == stock.executed[cell].keys()
    differing = {one for one, lines in again.executed[cell].items() if lines != stock.executed[cell][one]}
    assert not differing


def test_a_boot_executes_constructors_and_no_step() -> None:
    """Lines recorded until the scheduler is up are those of its construction, not of its loop."""
    target = newest_release()
    (lines,) = boot_lines([target], EngineSettings())
    file = "sglang/srt/managers/scheduler.py"
    text = (Path(target.source_dirs[0]) / file).read_text()
    names = {function.name for function in lines_by_function(file, text, lines[file])}
    assert "Scheduler.__init__" in names
    assert "Scheduler.get_next_batch_to_run" not in names
