"""Cells are chosen by their id, a part of it, or a pattern."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from exhausters.errors import GridError
from exhausters.sweep.cell import Cell

_SHOWN = 3


def matching_cells(cells: Sequence[Cell], patterns: Sequence[str]) -> tuple[Cell, ...]:
    """Return the cells that a pattern chooses, in their order; all of them when there is no pattern.

    A pattern that is an id chooses that cell alone. In others `*` stands for any characters, slashes
    included, and `?` for one; brackets are ordinary, since ids hold some. A pattern without either may be a
    part of an id.

    Raises:
        GridError: a pattern that chooses no cell; names the nearest ids.
    """
    if not patterns:
        return tuple(cells)
    chosen: set[str] = set()
    for pattern in patterns:
        ids = [cell.id for cell in cells]
        found = [pattern] if pattern in ids else [one for one in ids if _matches(one, pattern)]
        if not found:
            near = get_close_matches(pattern.strip("*"), ids, n=_SHOWN, cutoff=0.0)
            raise GridError(
                f"cells {pattern!r}: matches none of {len(ids)} cells; the nearest are {', '.join(near)}; "
                "a * stands for any characters, as in '*agents*'"
            )
        chosen.update(found)
    return tuple(cell for cell in cells if cell.id in chosen)


def _matches(cell_id: str, pattern: str) -> bool:
    if not set("*?") & set(pattern):
        return pattern in cell_id
    return fnmatchcase(cell_id, pattern.replace("[", "[[]"))
