"""Cells are found again where they ran, also those that no grid has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exhausters.cli.app import app
from exhausters.errors import GridError
from exhausters.sweep.grid import load_grid
from exhausters.sweep.store import sweep_writer
from exhausters.sweep.stored_cells import load_cells
from tests.sweep.samples import a_grid, a_record, a_target


@pytest.fixture(name="comparison")
def _comparison(tmp_path: Path) -> Path:
    """A folder as `compare` leaves it: two cells that were chosen, and one that was made for a switch."""
    grid = a_grid(leave_pages=["all", 64])
    switched = grid.cells[0]
    made = replace(switched, engine=replace(switched.engine, env=(("SGLANG_X", "1"),)))
    with sweep_writer(tmp_path / "base", target=a_target(), grid=grid) as writer:
        for cell in grid.cells:
            writer.add(a_record(cell))
        writer.extend(replace(grid, cells=(*grid.cells, made)))
        writer.add(a_record(made))
        writer.finish()
    return tmp_path


def test_a_folder_of_records_is_a_grid(comparison: Path) -> None:
    """A comparison and a sweep give the cells that ran, with the settings that came from a switch."""
    cells = load_cells(str(comparison)).cells
    assert cells == load_cells(str(comparison / "base")).cells
    assert [cell.levels.leave_pages for cell in cells] == [None, 64, None]
    assert cells[2].engine.env == (("SGLANG_X", "1"),)
    assert load_cells("quick") == load_grid("quick")


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    """It says what was expected."""
    with pytest.raises(GridError, match="expected a folder of records"):
        load_cells(str(tmp_path))


def test_why_takes_the_folder(comparison: Path) -> None:
    """A pattern that matches none of its cells is refused, with the nearest of them."""
    command = ["why", "release:0.5.22", "release:0.5.23", "--grid", str(comparison), "--cell", "nothing"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert "matches none of 3 cells" in done.stderr
