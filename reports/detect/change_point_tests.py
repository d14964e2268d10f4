"""Whether a change point of a noisy series is real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from reports.detect.multiple_testing import adjust
from reports.detect.thresholds import FDR_LEVEL, MIN_SEGMENT_BUILDS
from reports.vocabulary import BETTER, CHANGED, WORSE

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePoint:
    """A change that is real and large enough.

    Attributes:
        series: column of the series.
        build, build_before: row of the first build after the change, and of the last one before it.
        before, after: medians of the segments on both sides.
        p_adjusted: adjusted over all series and all places where the change could have been put.
        verdict: `worse`, `better`, or `changed` where the metric has no direction.
    """

    series: int
    build: int
    build_before: int
    before: float
    after: float
    p_adjusted: float = 1.0
    verdict: str = ""


def confirm(
    values: Floats, found: Sequence[Sequence[int]], *, sign: Floats, log_effect: Floats
) -> list[ChangePoint]:
    """Return the candidates that are real.

    Each is tested by Mann-Whitney between its neighbouring segments. The place was chosen by looking at the
    data, so p is multiplied by the number of places there were to choose from. While the weakest candidate
    of a series is not real even by itself, it is dropped and its neighbours are tested again over longer
    segments. Then Benjamini-Hochberg over all that are left; a series without any counts as one test.

    Args:
        values: builds by series, NaN where unknown.
        found: what `candidates` returned for them.
        sign: +1 where lower is better, -1 where higher is, 0 where neither; one per series.
        log_effect: log(1 + smallest change of interest); one per series.
    """
    p_values: list[float] = []
    owners: list[ChangePoint | None] = []
    for series, positions in enumerate(found):
        rows = np.flatnonzero(~np.isnan(values[:, series]))
        points, tested = _pruned(values[rows, series], rows, positions, series)
        owners += points or [None]
        p_values += tested
    adjusted = adjust(np.array(p_values))
    real = []
    for point, p in zip(owners, adjusted, strict=True):
        if point is None:
            continue
        shift = point.after - point.before
        if p < FDR_LEVEL and abs(shift) >= log_effect[point.series]:
            loss = shift * sign[point.series]
            verdict = WORSE if loss > 0 else BETTER if loss < 0 else CHANGED
            real.append(replace(point, p_adjusted=float(p), verdict=verdict))
    return real


def _pruned(
    series: Floats, rows: NDArray[np.int64], positions: Sequence[int], number: int
) -> tuple[list[ChangePoint], list[float]]:
    """Return the points that are real by themselves with their p, or no points and the p of the last."""
    left, p_left = list(positions), [1.0]
    while left:
        p_left = _p_values(series, left)
        weakest = int(np.argmax(p_left))
        if p_left[weakest] < FDR_LEVEL:
            return _points(series, rows, left, number), p_left
        del left[weakest]
    return [], [max(p_left)]


def _p_values(series: Floats, positions: Sequence[int]) -> list[float]:
    places = len(series) - 2 * MIN_SEGMENT_BUILDS + 1
    edges = [0, *positions, len(series)]
    return [
        min(1.0, places * float(mannwhitneyu(series[low:middle], series[middle:high]).pvalue))
        for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False)
    ]


def _points(
    series: Floats, rows: NDArray[np.int64], positions: Sequence[int], number: int
) -> list[ChangePoint]:
    edges = [0, *positions, len(series)]
    return [
        ChangePoint(
            series=number,
            build=int(rows[middle]),
            build_before=int(rows[middle - 1]),
            before=float(np.median(series[low:middle])),
            after=float(np.median(series[middle:high])),
        )
        for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False)
    ]
