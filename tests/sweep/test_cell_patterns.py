"""Cells are chosen by their id, a part of it, or a pattern."""

from __future__ import annotations

import pytest

from exhausters.errors import GridError
from exhausters.sweep.cell_patterns import matching_cells
from tests.sweep.samples import a_grid

CELLS = a_grid(workload=["bursts", "agents"], leave_pages=["all", 5, 56]).cells


@pytest.mark.parametrize(
    ("pattern", "count"), [(None, 6), ("agents", 3), ("*pages=5,*", 2), ("bursts/*/pages=56*", 1)]
)
def test_patterns(pattern: str | None, count: int) -> None:
    """A pattern is matched against the whole id; what has no wildcard may be a part of it."""
    assert len(matching_cells(CELLS, [pattern] if pattern else ())) == count


def test_an_id_is_that_cell_alone() -> None:
    """An id that is a part of another one names its own cell."""
    assert all(matching_cells(CELLS, [cell.id]) == (cell,) for cell in CELLS)


def test_no_match_shows_what_there_is() -> None:
    """A pattern that matches nothing is refused with the nearest ids."""
    with pytest.raises(GridError, match=r"'agent\?': matches none of 6 cells; the nearest are .*agents/p16"):
        matching_cells(CELLS, ["agent?"])


def test_brackets_are_ordinary_characters() -> None:
    """An id with a list in brackets is found by a pattern that holds them."""
    listed = a_grid(server_args={"x": [[1, 2], [3, 4]]}).cells
    found = matching_cells(listed, ["*" + listed[1].id.split("server_args.x=")[1]])
    assert found == (listed[1],)
