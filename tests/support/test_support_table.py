"""docs/support.md: a feature works only where all of its cells drained, and what does not says why."""

from __future__ import annotations

from pathlib import Path

from benchmarks.support.table import support_tables
from exhausters.observe.decision_log import DecisionLog
from exhausters.sweep.grid import Grid, load_grid, parse_grid
from exhausters.sweep.read_records import StoredRecords
from exhausters.sweep.record import CRASHED, DRAINED, UNSUPPORTED, CellResult, RunRecord

_NO_SWITCH = "server_args.new=true: this SGLang has no such switch"


def _grid() -> Grid:
    parts = [
        {"title": "plain", "page_size": [1, 16], "overlap": [True, False]},
        {"title": "new", "page_size": [16], "server_args": {"new": [True]}},
    ]
    return parse_grid({"name": "mine", "axes": {"workload": ["bursts"]}, "parts": parts}, source="mine.toml")


def _sweep(grid: Grid, ends: dict[str, tuple[str, str]]) -> StoredRecords:
    """A sweep in which cells ended as `ends` says, by a part of their id; all others have drained."""
    records = []
    for cell in grid.cells:
        outcome, reason = next((end for part, end in ends.items() if part in cell.id), (DRAINED, ""))
        result = CellResult(outcome=outcome, reason=reason, log=DecisionLog(()), metrics={})
        records.append(RunRecord(target="release:9.9.9", cell=cell, result=result))
    return StoredRecords(folder=Path(), header={}, records=tuple(records))


def test_the_table_tells_works_refused_and_fails() -> None:
    """A refusal and a failure have their reason once, by number; what the grid does not have is marked."""
    grid = _grid()
    old = _sweep(grid, {"new": (UNSUPPORTED, _NO_SWITCH), "p1,overlap=false": (CRASHED, "KeyError: 'x'")})
    text = support_tables({"release:1.0": old, "release:2.0": _sweep(grid, {})}, grid)
    overview, _, details = text.partition("### 1.0")
    assert "| feature | 1.0 | 2.0 |" in overview
    assert "| plain | 3 of 4 work; fails (1) | works |" in overview
    assert "| new | refused (2) | works |" in overview
    assert "| new | — | refused (2) | — | works |" not in details
    assert "| plain | fails (1) | works | works | works |" in details
    assert "| new | — | — | — | refused (2) |" in details
    assert details.count(_NO_SWITCH) == 1
    assert "1. crashed: KeyError: 'x'" in details


def test_every_part_of_the_stock_grid_has_a_title() -> None:
    """No cell of the grid `features` is left out of the table."""
    grid = load_grid("features")
    assert {cell.id for cell in grid.cells} == {one for _, ids in grid.titles for one in ids}
