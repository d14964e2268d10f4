"""Choose cells by their id or by a pattern."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from exhausters.errors import UsageError
from exhausters.sweep.cell import Cell

_SHOWN = 3


def matching_cells(cells: Sequence[Cell], pattern: str | None) -> tuple[Cell, ...]:
    """Return the cells whose id is `pattern`, matches it (`*`, `?`), or contains it; all of them for None.

    Raises:
        UsageError: there is none; shows how ids look.
    """
    if pattern is None:
        return tuple(cells)
    exact = tuple(cell for cell in cells if cell.id == pattern)
    found = exact or tuple(cell for cell in cells if _matches(cell.id, pattern))
    if not found:
        shown = ", ".join(cell.id for cell in cells[:_SHOWN]) or "none"
        raise UsageError(
            f"cell {pattern!r}: matches none of {len(cells)} cells; expected an id, a part of one, or a "
            f"pattern with * and ?; the ids are {shown}{', …' if len(cells) > _SHOWN else ''}"
        )
    return found


def _matches(text: str, pattern: str) -> bool:
    return fnmatchcase(text, pattern) or pattern in text
