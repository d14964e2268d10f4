"""`exhausters reach-cover` on a made-up map: grids that were measured have a row, others are named."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exhausters.cli.app import app
from exhausters.reach import cell_map as map_module
from exhausters.reach.cell_map import CellMap
from exhausters.reach.functions import Function
from exhausters.sweep import grid as grid_module
from exhausters.sweep.grid import Grid, parse_grid
from tests.sweep.samples import a_grid

_RUNNER = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200"})
_CELLS = a_grid(workload=["bursts", "agents"], leave_pages=["all", 64]).cells
_GRIDS = {"short": _CELLS[:1], "quick": _CELLS[:3], "more": _CELLS}


@pytest.fixture(name="stock")
def _stock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three grids, and a map of three of four cells: `more` is not measured, until the map names it."""
    monkeypatch.setattr(grid_module, "BUILT_IN", tuple(_GRIDS))
    monkeypatch.setattr(grid_module, "load_grid", lambda name: Grid(name=name, cells=_GRIDS[name]))
    monkeypatch.setattr(map_module, "read_cell_map", lambda path: _map())


def _map() -> CellMap:
    functions = [Function("a.py", name) for name in "abc"]
    brings = ((0,), (0, 1), (2,))
    executed = {
        cell.id: {functions[one]: frozenset({1, 2}) for one in ones}
        for cell, ones in zip(_CELLS, brings, strict=False)
    }
    return CellMap(
        build="release:0.5.23",
        measured="2026-07-01",
        grids={},
        seconds=dict.fromkeys(executed, 1.0),
        executed=executed,
    )


def _rows(text: str) -> dict[str, list[str]]:
    """The five numbers at the end of each line that has them, by what stands before."""
    rows = {}
    for line in text.splitlines():
        *words, cells, settings, functions, lines, seconds = [*([""] * 5), *line.replace("│", " ").split()]
        if seconds.isdigit():
            rows[" ".join(words).strip()] = [cells, settings, functions, lines, seconds]
    return rows


@pytest.mark.usefixtures("stock")
def test_measured_grids_have_a_row_and_others_are_named() -> None:
    """Numbers are those of cells that the map has; a grid with a cell that it lacks has none."""
    result = _RUNNER.invoke(app, ["reach-cover"])
    assert result.exit_code == 0, result.output
    rows = _rows(result.output)
    assert rows["short"][:4] == ["1", "1", "1", "2"]
    assert rows["quick"][:4] == ["3", "1", "3", "6"]
    assert rows["every cell of the map"] == rows["quick"]
    assert rows["smallest for all functions"][:4] == ["2", "1", "3", "6"]
    assert "more" not in rows
    assert "not measured: more (3 of 4 cells)" in result.output


@pytest.mark.usefixtures("stock")
def test_the_smallest_set_is_printed_as_a_grid() -> None:
    """With `--toml` standard output is a grid file, and nothing but it."""
    result = _RUNNER.invoke(app, ["reach-cover", "--toml"])
    assert result.exit_code == 0, result.output
    found = parse_grid(tomllib.loads(result.stdout), source="cover")
    assert {one.id for one in found.cells} == {one.id for one in _CELLS[1:3]}


def test_a_map_that_is_none_is_refused(tmp_path: Path) -> None:
    """The file is named, and the exit code is that of a failure."""
    path = tmp_path / "map.json"
    path.write_text("{}")
    result = _RUNNER.invoke(app, ["reach-cover", "--map", str(path)])
    assert result.exit_code == 2
    assert "map.json" in result.output.replace("\n", "")
