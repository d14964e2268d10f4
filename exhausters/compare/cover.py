"""How much of what any cell of a map executes some cells cover, and the smallest sets that cover all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from exhausters.compare.choose import BOOT_SECONDS
from exhausters.pressure.level_values import ALL
from exhausters.pressure.registry import level_names
from exhausters.reach.cell_map import CellMap
from exhausters.sweep.cell import Cell, EngineSettings

# What one cell executes, in units of which a set is to cover all: functions, or lines of functions.
Units = Callable[[CellMap, str], frozenset[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """What some cells execute, and what a sweep of them costs.

    Attributes:
        cells: how many there are.
        engines: how many engine settings they have, each of which is a boot.
        functions, lines: how many of them are executed by one or more of the cells.
        seconds: CPU time of one plain run of each cell, and a boot per engine setting.
    """

    cells: int
    engines: int
    functions: int
    lines: int
    seconds: float


def functions_of(cell_map: CellMap, cell: str) -> frozenset[object]:
    """Return the functions that a cell executes."""
    return frozenset(cell_map.executed[cell])


def lines_of(cell_map: CellMap, cell: str) -> frozenset[object]:
    """Return the lines that a cell executes, each with its function."""
    return frozenset((one, line) for one, lines in cell_map.executed[cell].items() for line in lines)


def measure_cover(cell_map: CellMap, cells: Sequence[Cell]) -> Cover:
    """Return what these cells cover; all of them are in the map."""
    return Cover(
        cells=len(cells),
        engines=len({cell.engine for cell in cells}),
        functions=len(_union(functions_of(cell_map, cell.id) for cell in cells)),
        lines=len(_union(lines_of(cell_map, cell.id) for cell in cells)),
        seconds=_seconds(cell_map, cells),
    )


def smallest_cover(
    cell_map: CellMap, cells: Sequence[Cell], units: Units, *, within_seconds: float | None = None
) -> tuple[Cell, ...]:
    """Return a small set of the cells that covers what all of them cover, by greedy set cover.

    Each step takes the cell that brings most for its time, its boot included when its setting is new; greedy
    choice is within a factor of ln(n) of the best. Cells that later ones made superfluous are dropped again.

    Args:
        cell_map: what each cell executes.
        cells: the cells to choose from, all of them in the map.
        units: what is to be covered.
        within_seconds: stop before a sweep of the set would cost more than this; None for no limit.
    """
    brings = {cell: units(cell_map, cell.id) for cell in cells}
    missing = set(_union(brings.values()))
    chosen: list[Cell] = []
    engines: set[EngineSettings] = set()

    def worth(cell: Cell) -> float:
        boot = 0.0 if cell.engine in engines else BOOT_SECONDS
        return len(brings[cell] & missing) / (cell_map.seconds[cell.id] + boot)

    while missing:
        best = max(cells, key=worth)
        if within_seconds is not None and _seconds(cell_map, [*chosen, best]) > within_seconds:
            break
        chosen.append(best)
        engines.add(best.engine)
        missing -= brings[best]
    return tuple(_without_superfluous(chosen, brings))


def _without_superfluous(chosen: Sequence[Cell], brings: Mapping[Cell, frozenset[object]]) -> list[Cell]:
    kept = list(chosen)
    for cell in chosen:
        others = _union(brings[one] for one in kept if one != cell)
        if brings[cell] <= others:
            kept.remove(cell)
    return kept


def grid_text(name: str, cells: Sequence[Cell]) -> str:
    """Return the cells as the TOML file of a grid, a part per cell."""
    lines = [f"name = {json.dumps(name)}", "", "[axes]", f"page_size = [{EngineSettings().page_size}]"]
    defaults = EngineSettings().to_json()
    for cell in cells:
        lines += ["", "[[parts]]", f"workload = [{json.dumps(cell.workload)}]"]
        given = cell.levels.given()
        lines += [f"{level} = [{given[level]}]" for level in level_names() if given.get(level, ALL) != ALL]
        if given and cell.levels.held:
            lines.append("held = [true]")
        settings = {
            axis: value for axis, value in cell.engine.to_json().items() if defaults.get(axis) != value
        }
        lines += [f"{axis} = [{json.dumps(value)}]" for axis, value in settings.items()]
    return "\n".join(lines) + "\n"


def _seconds(cell_map: CellMap, cells: Sequence[Cell]) -> float:
    boots = len({cell.engine for cell in cells})
    return BOOT_SECONDS * boots + sum(cell_map.seconds[cell.id] for cell in cells)


def _union(sets: Iterable[frozenset[object]]) -> frozenset[object]:
    return frozenset().union(*sets)
