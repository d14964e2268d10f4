"""A few cells that stand for a grid where running all of them takes too long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields

from exhausters.sweep.cell import Cell, EngineSettings

# Each takes two minutes and more; counts judge the other workloads.
_MAX_TIMED_WORKLOADS = 3


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


def cells_to_time(cells: Sequence[Cell], *, moved: Mapping[Cell, float]) -> tuple[Cell, ...]:
    """Return the cells whose host time is taken: two of each of the workloads whose work moved most.

    Args:
        cells: those in which something differs and both builds drain.
        moved: by what share the work of each differs; of equals the first workload is taken.
    """
    most = {cell.workload: 0.0 for cell in cells}
    for cell in cells:
        most[cell.workload] = max(most[cell.workload], moved[cell])
    chosen = sorted(most, key=lambda workload: -most[workload])[:_MAX_TIMED_WORKLOADS]
    # One engine setting per workload: a cell takes twenty runs and more.
    engines = {
        workload: _engine_to_time([cell for cell in cells if cell.workload == workload], moved)
        for workload in chosen
    }
    return covering_cells(cell for cell in cells if engines.get(cell.workload) == cell.engine)


def _engine_to_time(cells: Sequence[Cell], moved: Mapping[Cell, float]) -> EngineSettings:
    """Of the settings whose work moved at least half as much as any, those nearest to the defaults."""
    most: dict[EngineSettings, float] = {}
    for cell in cells:
        most[cell.engine] = max(most.get(cell.engine, 0.0), moved[cell])
    enough = [engine for engine, share in most.items() if 2 * share >= max(most.values())]
    return min(enough, key=lambda engine: (_given(engine), -most[engine]))


def _given(engine: EngineSettings) -> int:
    """How many settings are not the defaults."""
    default = EngineSettings()
    return sum(getattr(engine, one.name) != getattr(default, one.name) for one in fields(engine))


def _tightness(cell: Cell) -> tuple[int, float]:
    """More resources taken, and then less left of them, is tighter."""
    given = cell.levels.given()
    return len(given), -float(sum(given.values()))
