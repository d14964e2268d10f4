"""Cells of a grid, or of what was run before: a comparison chooses and makes cells that no grid has."""

from __future__ import annotations

from pathlib import Path

from exhausters.errors import GridError
from exhausters.sweep.grid import Grid, load_grid
from exhausters.sweep.read_records import read_records
from exhausters.sweep.store import HEADER_NAME

# Where a comparison keeps the records of a build.
_SIDE = "base"


def load_cells(text: str) -> Grid:
    """Return the grid of that name or file, or the cells whose records a folder holds.

    Args:
        text: as in `load_grid`, or a folder of a sweep, or of `compare`.

    Raises:
        GridError: none of these.
        StoreError: a folder with records that cannot be read.
    """
    folder = Path(text)
    if not folder.is_dir():
        return load_grid(text)
    for one in (folder / _SIDE, folder):
        if (one / HEADER_NAME).is_file():
            cells = {record.cell.id: record.cell for record in read_records(one).records}
            return Grid(name=text, cells=tuple(cells.values()))
    raise GridError(f"grid {text!r}: expected a folder of records, of `compare` or `sweep`; there are none")
