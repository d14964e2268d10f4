"""`exhausters reach-cover`: how much of what the pool executes each stock grid covers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exhausters.console import error_console, errors_shown, headed_table, output_console, print_line

if TYPE_CHECKING:
    from exhausters.compare.cover import Cover
    from exhausters.reach.cell_map import CellMap
    from exhausters.sweep.cell import Cell


def reach_cover(
    cell_map: Annotated[
        Path | None, typer.Option("--map", help="A map that `reach-map` wrote; by default the stock one.")
    ] = None,
    toml: Annotated[
        bool, typer.Option("--toml", help="Print the smallest set that covers every function, as a grid.")
    ] = False,
) -> None:
    """Print functions and lines that the stock grids cover, and the smallest sets that cover as much."""
    from exhausters.compare.cover import functions_of, grid_text, smallest_cover
    from exhausters.reach.cell_map import STOCK_MAP, read_cell_map
    from exhausters.sweep.grid import BUILT_IN, load_grid

    console = output_console()
    with errors_shown(error_console()):
        found = read_cell_map(cell_map or STOCK_MAP)
        grids = {name: load_grid(name).cells for name in BUILT_IN}
    every = tuple(
        {cell.id: cell for cells in grids.values() for cell in cells if cell.id in found.executed}.values()
    )
    if toml:
        print(grid_text("cover", smallest_cover(found, every, functions_of)), end="")
        return
    table = headed_table(f"what cells execute of {found.build}, measured {found.measured}")
    table.add_column("cells", overflow="fold")
    for column in ("number", "settings", "functions", "lines", "seconds"):
        table.add_column(column, justify="right")
    known = {name: [cell for cell in cells if cell.id in found.executed] for name, cells in grids.items()}
    is_measured = {
        name: name in found.grids or len(known[name]) == len(cells) for name, cells in grids.items()
    }
    measured = {name: known[name] for name in grids if is_measured[name]}
    for name, cover in _covers(found, measured, every):
        counts = (cover.cells, cover.engines, cover.functions, cover.lines)
        table.add_row(name, *(f"{count:,}" for count in counts), f"{cover.seconds:.0f}")
    console.print(table)
    left_out = [
        f"{name} ({len(known[name])} of {len(cells)} cells)"
        for name, cells in grids.items()
        if not is_measured[name]
    ]
    if left_out:
        print_line(console, f"not measured: {', '.join(left_out)}")


def _covers(
    found: CellMap, grids: Mapping[str, Sequence[Cell]], every: Sequence[Cell]
) -> Iterator[tuple[str, Cover]]:
    """What each grid covers, then what the smallest sets of cells do, with their names."""
    from exhausters.compare.cover import functions_of, lines_of, measure_cover, smallest_cover

    for name, cells in grids.items():
        yield name, measure_cover(found, cells)
    yield "every cell of the map", measure_cover(found, every)
    for words, wanted in (("functions", functions_of), ("lines", lines_of)):
        smallest = smallest_cover(found, every, wanted)
        yield f"smallest for all {words}", measure_cover(found, smallest)
    for name in ("short", "quick"):
        seconds = measure_cover(found, grids[name]).seconds
        best = smallest_cover(found, every, lines_of, within_seconds=seconds)
        yield f"most lines in the time of {name}", measure_cover(found, best)
