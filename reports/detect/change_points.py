"""Where a noisy series might have changed. Generous on purpose: `change_point_tests` says what is real."""

from __future__ import annotations

import math

import numpy as np
import ruptures
from numpy.typing import NDArray

from reports.detect.thresholds import CHANGE_POINT_PENALTY, MIN_SEGMENT_BUILDS

Floats = NDArray[np.float64]
# Of normal noise: median absolute difference of neighbours over the standard deviation of the noise.
_DIFFERENCE_TO_SD = math.sqrt(2) * 0.6744897501960817


def candidates(values: Floats) -> list[list[int]]:
    """Return, for each series, the positions among its known values at which a new segment begins.

    Args:
        values: builds by series; NaN where a build has no value.

    Optimal partitioning by least squares (PELT, Killick and others 2012; in C by ruptures), with a penalty
    of `CHANGE_POINT_PENALTY` times the noise variance times log(length) for each change. The noise is
    estimated from neighbouring differences, which a level shift does not inflate.
    """
    return [_candidates(column[~np.isnan(column)]) for column in values.T]


def _candidates(series: Floats) -> list[int]:
    if len(series) < 2 * MIN_SEGMENT_BUILDS:
        return []
    noise = float(np.median(np.abs(np.diff(series)))) / _DIFFERENCE_TO_SD
    scale = noise if noise > 0 else float(series.std())
    if scale == 0:
        return []
    search = ruptures.KernelCPD(kernel="linear", min_size=MIN_SEGMENT_BUILDS, jump=1)
    found = search.fit((series / scale)[:, None]).predict(pen=CHANGE_POINT_PENALTY * math.log(len(series)))
    return [int(position) for position in found[:-1]]
