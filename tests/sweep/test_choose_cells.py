"""Cells by a pattern."""

from __future__ import annotations

import pytest

from exhausters.errors import UsageError
from exhausters.sweep.choose_cells import choose_cells, matches
from tests.sweep.samples import a_grid

_GRID = a_grid(leave_pages=["all", 64, 16])


@pytest.mark.parametrize(
    ("pattern", "count"), [(None, 3), ("*", 3), ("bursts*pages=64*", 1), ("pages=??,*", 0), ("pages=64", 1)]
)
def test_a_pattern_chooses_cells_in_the_order_of_the_grid(pattern: str | None, count: int) -> None:
    """`*` and `?` stand for text, slashes included; a pattern without them is a part of an id."""
    if count == 0:
        with pytest.raises(UsageError, match=r"matches none of the 3 cells of grid 'sample'; ids look like"):
            choose_cells(_GRID, pattern)
        return
    chosen = choose_cells(_GRID, pattern).cells
    assert len(chosen) == count
    assert [cell for cell in _GRID.cells if cell in chosen] == list(chosen)


def test_brackets_are_ordinary_characters() -> None:
    """An id with a list in brackets matches itself."""
    assert matches("a/server_args.x=[1, 2]/b", "a/*=[1, 2]/*")
