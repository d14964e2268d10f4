"""`exhausters reach-cover`: how much of what the pool executes each stock grid covers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exhausters.console import error_console, errors_shown, output_console, print_line


def reach_cover(
    cell_map: Annotated[
        Path | None, typer.Option("--map", help="A map that `reach-map` wrote; by default the stock one.")
    ] = None,
    toml: Annotated[
        bool, typer.Option("--toml", help="Print the smallest set that covers every function, as a grid.")
    ] = False,
) -> None:
    """Print functions and lines that the stock grids cover, and the smallest sets that cover as much."""
    from rich.table import Table

    from exhausters.compare.cover import (
        Cover,
        functions_of,
        grid_text,
        lines_of,
        measure_cover,
        smallest_cover,
    )
    from exhausters.reach.cell_map import STOCK_MAP, read_cell_map
    from exhausters.sweep.grid import BUILT_IN, load_grid

    console = output_console()
    with errors_shown(error_console()):
        found = read_cell_map(cell_map or STOCK_MAP)
        grids = {name: load_grid(name).cells for name in BUILT_IN}
    every = tuple(
        {cell.id: cell for cells in grids.values() for cell in cells if cell.id in found.executed}.values()
    )
    smallest = smallest_cover(found, every, functions_of)
    if toml:
        print(grid_text("cover", smallest), end="")
        return
    table = Table(title=f"what cells execute of {found.build}, measured {found.measured}")
    table.add_column("cells", overflow="fold")
    for column in ("number", "settings", "functions", "lines", "seconds"):
        table.add_column(column, justify="right")

    def row(name: str, cover: Cover) -> None:
        counts = (cover.cells, cover.engines, cover.functions, cover.lines)
        table.add_row(name, *(f"{count:,}" for count in counts), f"{cover.seconds:.0f}")

    left_out = []
    for name, cells in grids.items():
        known = [cell for cell in cells if cell.id in found.executed]
        if name in found.grids or len(known) == len(cells):
            row(name, measure_cover(found, known))
        else:
            left_out.append(f"{name} ({len(known)} of {len(cells)} cells)")
    row("every cell of the map", measure_cover(found, every))
    row("smallest for all functions", measure_cover(found, smallest))
    row("smallest for all lines", measure_cover(found, smallest_cover(found, every, lines_of)))
    for name in ("short", "quick"):
        seconds = measure_cover(found, grids[name]).seconds
        best = smallest_cover(found, every, lines_of, within_seconds=seconds)
        row(f"most lines in the time of {name}", measure_cover(found, best))
    console.print(table)
    if left_out:
        print_line(console, f"not measured: {', '.join(left_out)}")
