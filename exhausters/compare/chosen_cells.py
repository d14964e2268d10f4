"""A few cells that stand for a grid where running all of them takes too long."""

from __future__ import annotations

from collections.abc import Iterable

from exhausters.sweep.cell import Cell, EngineSettings


def covering_cells(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """Return, for each workload with each engine settings, the cell without pressure and the tightest one.

    Pressure is what makes a scheduler evict and retract; without it batches are formed that pressure never
    allows. The levels between execute no other code.
    """
    groups: dict[tuple[str, EngineSettings], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.workload, cell.engine), []).append(cell)
    chosen = []
    for group in groups.values():
        by_pressure = sorted(group, key=_tightness)
        chosen += by_pressure[:1] if len(group) == 1 else [by_pressure[0], by_pressure[-1]]
    return tuple(chosen)


def _tightness(cell: Cell) -> tuple[int, float]:
    """More resources taken, and then less left of them, is tighter."""
    given = cell.levels.given()
    return len(given), -float(sum(given.values()))
