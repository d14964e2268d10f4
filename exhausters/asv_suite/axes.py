"""A grid as asv sees it: named axes whose product is every cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exhausters.errors import GridError
from exhausters.pressure.level_values import ALL
from exhausters.pressure.registry import level_names
from exhausters.sweep.cell import Cell
from exhausters.sweep.grid import Grid

__all__ = ["axes_of", "cells_by_values"]

# Shown even where a grid has only one value for them; asv would lose its history with another list.
_ALWAYS = ("leave_pages", "leave_refs", "workload", "page_size", "overlap")


def axes_of(grid: Grid) -> dict[str, tuple[Any, ...]]:
    """Return each axis with its values, in the order in which the grid has them.

    asv stores a place in these lists with each value, so they come from the grid alone and are the same for
    every commit.
    """
    points = [_values(cell) for cell in grid.cells]
    axes = {name: tuple(dict.fromkeys(point[name] for point in points)) for name in points[0]}
    others = [name for name in axes if name not in _ALWAYS and len(axes[name]) > 1]
    return {name: axes[name] for name in (*_ALWAYS, *others)}


def cells_by_values(grid: Grid) -> Mapping[tuple[Any, ...], Cell]:
    """Return the cell of each point of the axes' product.

    Raises:
        GridError: the cells are not the full product of the axes.
    """
    axes = axes_of(grid)
    known = {_key(_values(cell), axes): cell for cell in grid.cells}
    points = _product(axes)
    missing = [point for point in points if _key(point, axes) not in known]
    if missing:
        raise GridError(f"grid {grid.name!r}: has no cell at {missing[0]}; expected a product of axes")
    return {tuple(point.values()): known[_key(point, axes)] for point in points}


def _product(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = [{}]
    for name, values in axes.items():
        points = [{**point, name: value} for point in points for value in values]
    return points


def _values(cell: Cell) -> dict[str, Any]:
    levels = {**cell.levels.as_axes(), "held": cell.levels.held}
    return {"workload": cell.workload, **levels, **cell.engine.to_json()}


def _key(point: Mapping[str, Any], axes: Mapping[str, Sequence[Any]]) -> tuple[Any, ...]:
    # Where nothing is taken, `held` makes no difference: it is the same cell.
    is_untouched = all(point.get(name, ALL) == ALL for name in level_names())
    return tuple(False if name == "held" and is_untouched else point[name] for name in axes)
