"""False discovery rates, and how many pairs a family of tests needs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from reports.detect.thresholds import FDR_LEVEL


def adjust(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Benjamini-Hochberg adjusted p values of one family; NaN (not tested) stays NaN.

    Source: Benjamini and Hochberg 1995; valid for tests that depend positively on one another.
    """
    adjusted = np.full(p_values.shape, np.nan)
    tested = ~np.isnan(p_values)
    if tested.any():
        adjusted[tested] = false_discovery_control(p_values[tested], method="bh")
    return adjusted


def pairs_needed(tests: int) -> int:
    """Return the pairs with which a single true change among `tests` can be found at all.

    The smallest p of Wilcoxon's signed-rank test with n pairs is 2^(1 - n); the first of m adjusted
    values is below `FDR_LEVEL` when p <= FDR_LEVEL / m.
    """
    return max(1, math.ceil(1 - math.log2(FDR_LEVEL / max(1, tests))))
