"""Whether a difference matters: the arithmetic of one cell and of many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from exhausters.observe.metrics import METRICS
from exhausters.observe.smallest_effects import SmallestEffect
from reports.detect.measured import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one value, of one cell or over many.

    Attributes:
        base, head: geometric means where ratios are judged, means where differences are, sums of what is
            counted and can be 0.
        size: log(head / base) where ratios are judged, else the difference.
        text: the size for a reader: "+38 %", "+0.03", "0 → 12".
    """

    base: float
    head: float
    size: float
    text: str


def smallest_effect(
    metric: str, workload: Mapping[str, float], cell: Mapping[str, float]
) -> SmallestEffect | None:
    """Return the smallest effect of a metric, with the configuration's numbers; None for a mechanism."""
    known = METRICS[metric].materiality if metric in METRICS else None
    if known is None:
        return None
    return replace(known, workload=workload.get(metric, known.workload), cell=cell.get(metric, known.cell))


def for_cells(effect: SmallestEffect, cells: int) -> SmallestEffect:
    """Return the smallest effect for a number over few cells, such as those of one engine setting.

    It lies between that of a cell and that of a workload: what one batch more does to a single cell averages
    out like 1 / sqrt(cells).
    """
    return replace(effect, workload=max(effect.workload, effect.cell / math.sqrt(cells)))


def change_of(base: Floats, head: Floats, effect: SmallestEffect) -> Change:
    """Return the change over some cells; both arrays hold one value for each, none of them NaN."""
    if effect.is_absolute and effect.workload:
        ours, theirs = float(base.mean()), float(head.mean())
        return Change(base=ours, head=theirs, size=theirs - ours, text=f"{theirs - ours:+.3g}")
    if not effect.can_be_zero and (base > 0).all() and (head > 0).all():
        ours, theirs = (float(np.exp(np.log(side).mean())) for side in (base, head))
        size = math.log(theirs / ours)
        return Change(base=ours, head=theirs, size=size, text=percent(math.expm1(size)))
    ours, theirs = float(base.sum()), float(head.sum())
    if effect.can_be_zero:
        return Change(base=ours, head=theirs, size=theirs - ours, text=f"{ours:,.6g} → {theirs:,.6g}")
    if ours > 0 and theirs > 0:
        return Change(base=ours, head=theirs, size=math.log(theirs / ours), text=percent(theirs / ours - 1))
    # From or to nothing: larger than any ratio.
    size = math.copysign(math.inf, theirs - ours) if theirs != ours else 0.0
    return Change(base=ours, head=theirs, size=size, text=f"{ours:g} → {theirs:g}")


def is_material(change: Change, effect: SmallestEffect, threshold: float) -> bool:
    """Return whether a change reaches the smallest effect of a cell, or of a workload."""
    size = abs(change.size)
    if size == 0:
        return False
    if effect.is_absolute:
        return size >= threshold - 1e-12
    if effect.at_least:
        return size >= effect.at_least and (change.base == 0 or size >= threshold * change.base - 1e-12)
    # A fall by 2 % is judged like a rise by 2 %.
    return abs(math.expm1(change.size)) >= threshold - 1e-12


def percent(change: float) -> str:
    """Return a relative change with a true minus sign: +38 %, −0.02 %."""
    size = abs(100 * change)
    digits = 0 if round(size, 1) >= 10 else 1 if round(size, 2) >= 1 else 2
    text = f"{size:.{digits}f}"
    if float(text) == 0 and size:
        text = f"{size:.1g}"
    return f"{'−' if change < 0 else '+'}{text} %"


def threshold_text(effect: SmallestEffect, threshold: float) -> str:
    """Return a smallest effect for a reader."""
    if effect.is_absolute:
        return f"{threshold:g}" if threshold else "any"
    at_least = f" and {effect.at_least:g}" if effect.at_least else ""
    return f"{100 * threshold:g} %{at_least}"
