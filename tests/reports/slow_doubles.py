"""The detectors once more, slow and obvious: loops over single values, one library call each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import binom, wilcoxon


def judge_values(base: float, head: float, better: str, tolerance: float) -> str:
    if math.isnan(base) and math.isnan(head):
        return "same"
    if math.isnan(base) or math.isnan(head):
        return "changed"
    if base == head or abs(head - base) <= tolerance * abs(base):
        return "same"
    if better == "none":
        return "changed"
    went_up = head > base
    return "worse" if went_up == (better == "lower") else "better"


def adjust(p_values: Sequence[float]) -> list[float]:
    """Benjamini-Hochberg by its definition: the smallest level at which each test would be rejected."""
    count = len(p_values)
    order = sorted(range(count), key=lambda index: p_values[index])
    adjusted = [0.0] * count
    for place, index in enumerate(order):
        later = [p_values[order[k]] * count / (k + 1) for k in range(place, count)]
        adjusted[index] = min(1.0, *later)
    return adjusted


def median_interval(values: Sequence[float], level: float) -> tuple[float, float]:
    """Order statistics whose chance of missing the median on one side is at most half of the rest."""
    ordered, count = sorted(values), len(values)
    low = -1
    while binom.cdf(low + 1, count, 0.5) <= (1 - level) / 2:
        low += 1
    return (ordered[low], ordered[count - 1 - low]) if low >= 0 else (-math.inf, math.inf)


def judge_pairs(
    rows: Sequence[Sequence[float]],
    better: Sequence[str],
    effects: Sequence[float],
    *,
    level: float,
    fdr: float,
) -> list[str]:
    adjusted = adjust([float(wilcoxon(row, method="exact").pvalue) for row in rows])
    verdicts = []
    for row, direction, effect, p in zip(rows, better, effects, adjusted, strict=True):
        low, high = median_interval(row, level)
        middle, limit = float(np.median(row)), math.log1p(effect)
        if p < fdr and (low > 0 or high < 0) and abs(middle) >= limit:
            if direction == "none":
                verdicts.append("changed")
            else:
                verdicts.append("worse" if (middle > 0) == (direction == "lower") else "better")
        elif -limit <= low and high <= limit:
            verdicts.append("same")
        else:
            verdicts.append("undecided")
    return verdicts


def history_changes(
    values: Sequence[Sequence[float | None]], better: Sequence[str], tolerance: Sequence[float]
) -> set[tuple[int, int, int, str]]:
    """(build, last build that measured it, series, verdict) of each change; None is a gap."""
    found = set()
    for series, direction in enumerate(better):
        last = None
        for build, row in enumerate(values):
            value = row[series]
            if value is None:
                continue
            if last is not None:
                verdict = judge_values(last[1], value, direction, tolerance[series])
                if verdict != "same":
                    found.add((build, last[0], series, verdict))
            last = build, value
    return found
