"""The map from cells to functions: what is written is read, and what is broken is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exhausters.errors import ReachMapError
from exhausters.reach.cell_map import STOCK_MAP, CellMap, read_cell_map
from exhausters.reach.functions import Function
from exhausters.sweep.grid import load_grid

_ADD, _EVICT = Function("sglang/srt/adder.py", "Adder.add"), Function("sglang/srt/tree.py", "evict")


def a_map() -> CellMap:
    """Two cells: one executes a branch more than the other, and one function more."""
    return CellMap(
        build="release:0.5.23",
        measured="2026-07-01",
        grids={"pool": "ab"},
        seconds={"calm": 0.25, "tight": 0.5},
        executed={
            "calm": {_ADD: frozenset({1, 2, 7})},
            "tight": {_ADD: frozenset({1, 2, 4, 5}), _EVICT: frozenset({1})},
        },
    )


def test_a_map_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Cells, their seconds, functions and lines are the same, and so is the text of what was read."""
    path = tmp_path / "map.json"
    path.write_text(a_map().to_text())
    found = read_cell_map(path)
    assert found == a_map()
    assert found.to_text() == path.read_text()
    assert found.cells_executing(_EVICT) == ("tight",)


def test_a_set_of_cells_is_stored_once() -> None:
    """Three sets (both cells, either alone) however many functions have them."""
    assert len(json.loads(a_map().to_text())["sets"]) == 3


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"format": 1}', a_map().to_text()[:-40], a_map().to_text().replace('"3"', '"f"')],
)
def test_a_broken_map_is_refused(tmp_path: Path, text: str) -> None:
    """Whatever is missing or makes no sense, the error names the file and the command that measures one."""
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(ReachMapError, match=r"map\.json.*reach-map"):
        read_cell_map(path)


def test_a_map_of_another_format_is_refused(tmp_path: Path) -> None:
    """Its numbers could mean something else."""
    path = tmp_path / "map.json"
    path.write_text(a_map().to_text().replace('"format":1', '"format":2'))
    with pytest.raises(ReachMapError, match="format 2, this harness reads 1"):
        read_cell_map(path)


def test_the_stock_map_is_of_the_stock_pool() -> None:
    """A pool that was edited after the map was measured would be chosen from blindly."""
    found = read_cell_map(STOCK_MAP)
    assert found.grids["pool"] == load_grid("pool").digest
    assert found.executed.keys() <= {cell.id for name in found.grids for cell in load_grid(name).cells}
