"""Where in the grid a change is: one region in the words of the axes, everywhere, or scattered."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.detect.thresholds import REGION_PRECISION
from reports.explain.axes import Axis, AxisTable

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Condition:
    """One restriction of one axis, as text and as the cells that meet it."""

    axis: str
    text: str
    mask: Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A part of the grid.

    Attributes:
        conditions: texts that are joined by `and`; empty for the whole grid.
        cells: cells in it.
        hit_cells: those of them that are worse.
    """

    conditions: tuple[str, ...]
    cells: int
    hit_cells: int

    def __str__(self) -> str:
        text = " and ".join(self.conditions) or "everywhere"
        return text if self.hit_cells == self.cells else f"{text} ({self.hit_cells} of {self.cells} cells)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The region that holds all hit cells, if one describes them, or else how many are scattered.

    A description that needs an "or" explains nothing: there is one region, or none.
    """

    region: Region | None
    scattered_cells: int

    def __str__(self) -> str:
        if self.region is not None:
            return str(self.region)
        if not self.scattered_cells:
            return ""
        return f"{self.scattered_cells} scattered cell{'s' if self.scattered_cells > 1 else ''}"


def where(hit: Mask, table: AxisTable) -> Where:
    """Return where the hit cells lie.

    It is the tightest box around all of them, with as few conditions as distinguish it, if enough of it was
    hit.

    Args:
        hit: whether each cell of the table is worse.
    """
    if not hit.any():
        return Where(region=None, scattered_cells=0)
    box = _smallest([_tight(axis, hit) for axis in table.axes], hit)
    return Where(region=box, scattered_cells=int(hit.sum()) if box is None else 0)


def _tight(axis: Axis, hit: Mask) -> Condition | None:
    """The tightest condition of one axis that holds for all hit cells, None when all values are hit."""
    values = np.unique(axis.codes[hit])
    if len(values) == len(axis.labels):
        return None
    if not axis.is_ordered or len(values) == 1:
        names = [axis.labels[value] for value in values]
        text = f"{axis.name} = {names[0]}" if len(names) == 1 else f"{axis.name} in {{{', '.join(names)}}}"
        return Condition(axis.name, text, np.isin(axis.codes, values))
    low, high = int(values[0]), int(values[-1])
    if low == 0 and high == len(axis.labels) - 1:
        return None
    return _interval(axis, low, high)


def _interval(axis: Axis, low: int, high: int) -> Condition:
    first, last = axis.labels[low], axis.labels[high]
    if low == high:
        text = f"{axis.name} = {first}"
    elif low == 0:
        text = f"{axis.name} <= {last}"
    elif high == len(axis.labels) - 1:
        text = f"{axis.name} >= {first}"
    else:
        text = f"{first} <= {axis.name} <= {last}"
    return Condition(axis.name, text, (axis.codes >= low) & (axis.codes <= high))


def _smallest(conditions: Sequence[Condition | None], hit: Mask) -> Region | None:
    """The fewest of the conditions whose region was mostly hit; None where all of them are not enough."""
    usable = [condition for condition in conditions if condition is not None]
    for count in range(len(usable) + 1):
        regions = [_region(chosen, hit) for chosen in itertools.combinations(usable, count)]
        best = max(regions, key=lambda region: region.hit_cells / region.cells)
        if best.hit_cells / best.cells >= REGION_PRECISION:
            return best
    return None


def _region(conditions: Sequence[Condition], hit: Mask) -> Region:
    inside = np.ones(len(hit), dtype=bool)
    for condition in conditions:
        inside &= condition.mask
    return Region(
        conditions=tuple(condition.text for condition in conditions),
        cells=int(inside.sum()),
        hit_cells=int((inside & hit).sum()),
    )
