"""Cells of a grid by a pattern over their ids."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

from exhausters.errors import UsageError
from exhausters.sweep.grid import Grid

_SHOWN = 3


def choose_cells(grid: Grid, pattern: str | None) -> Grid:
    """Return the grid with the cells whose id matches; all of it without a pattern.

    `*` stands for any text and `?` for a character; both match `/`. A pattern without either is taken as
    part of an id.

    Raises:
        UsageError: no cell matches; shows ids.
    """
    if pattern is None:
        return grid
    cells = tuple(cell for cell in grid.cells if matches(cell.id, pattern))
    if not cells:
        ids = "; ".join(cell.id for cell in grid.cells[:_SHOWN])
        raise UsageError(
            f"--cells {pattern!r}: matches none of the {len(grid.cells)} cells of grid {grid.name!r}; "
            f"ids look like {ids}"
        )
    return replace(grid, cells=cells)


def matches(cell_id: str, pattern: str) -> bool:
    """Whether an id matches a pattern of `choose_cells`."""
    if not set("*?") & set(pattern):
        return pattern in cell_id
    # Ids hold brackets, which are no classes of characters here.
    return fnmatchcase(cell_id, pattern.replace("[", "[[]"))
