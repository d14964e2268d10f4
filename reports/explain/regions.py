"""Where in the grid a loss is: the smallest set of axis values that covers it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.detect.thresholds import REGION_MAX_AXES, REGION_MAX_COUNT, REGION_MIN_SHARE, REGION_PRECISION
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
    """Regions that cover a loss, largest first, and the hit cells outside all of them."""

    regions: tuple[Region, ...]
    other_cells: int

    def __str__(self) -> str:
        if not self.regions and not self.other_cells:
            return ""
        if not self.regions:
            return _counted(self.other_cells, "scattered cell")
        text = "; or ".join(map(str, self.regions))
        return f"{text}; and {_counted(self.other_cells, 'other cell')}" if self.other_cells else text


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def where(hit: Mask, table: AxisTable) -> Where:
    """Return where the hit cells lie.

    First the tightest box around all of them, with as few conditions as distinguish it. When too little of
    that box was hit, several smaller regions, found greedily.

    Args:
        hit: whether each cell of the table is worse.
    """
    if not hit.any():
        return Where(regions=(), other_cells=0)
    box = _smallest([_tight(axis, hit) for axis in table.axes], hit)
    if box is not None:
        return Where(regions=(box,), other_cells=0)
    return _greedy(hit, table)


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


def _greedy(hit: Mask, table: AxisTable) -> Where:
    candidates = [
        (chosen, inside)
        for chosen, inside in _candidates(table)
        if (inside & hit).sum() >= REGION_PRECISION * inside.sum() and (inside & hit).any()
    ]
    left = hit.copy()
    regions: list[Region] = []
    while left.any() and candidates and len(regions) < REGION_MAX_COUNT:
        chosen, inside = max(
            candidates, key=lambda one: (int((one[1] & left).sum()), -len(one[0]), -int(one[1].sum()))
        )
        # A region for a single cell, or for few of many, is no pattern.
        if (inside & left).sum() < max(2, REGION_MIN_SHARE * hit.sum()):
            break
        regions.append(_region(chosen, hit))
        left &= ~inside
    return Where(regions=tuple(regions), other_cells=int(left.sum()))


def _candidates(table: AxisTable) -> Iterator[tuple[tuple[Condition, ...], Mask]]:
    elementary = {axis.name: tuple(_elementary(axis)) for axis in table.axes}
    for count in range(1, REGION_MAX_AXES + 1):
        for axes in itertools.combinations(elementary, count):
            for chosen in itertools.product(*(elementary[axis] for axis in axes)):
                inside = chosen[0].mask
                for condition in chosen[1:]:
                    inside = inside & condition.mask
                if inside.any():
                    yield chosen, inside


def _elementary(axis: Axis) -> Iterator[Condition]:
    """Each value alone; on an ordered axis also everything up to it, and everything from it on."""
    last = len(axis.labels) - 1
    for code in range(last + 1):
        yield _interval(axis, code, code) if axis.is_ordered else _single(axis, code)
        if axis.is_ordered and 0 < code < last:
            yield _interval(axis, 0, code)
            yield _interval(axis, code, last)


def _single(axis: Axis, code: int) -> Condition:
    return Condition(axis.name, f"{axis.name} = {axis.labels[code]}", axis.codes == code)
