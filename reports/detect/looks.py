"""Host time in two looks: which cells need more pairs after the first."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reports.detect.multiple_testing import adjust
from reports.detect.paired_tests import estimate
from reports.detect.pairs import pair_up

# Two looks at growing data raise more false alarms than one. By Bonferroni's inequality their levels add up:
# the first spends so little that it and the verdict, over all pairs at `FDR_LEVEL`, stay below 0.0525.
FIRST_LOOK_LEVEL = 0.0025
# What decides; other host times of a cell follow it.
_METRIC = "scheduler_cpu_ms_per_step"


def undecided_cells(base: pd.DataFrame, head: pd.DataFrame) -> frozenset[str]:
    """Return the cells whose CPU time per step is neither clearly other nor clearly the same yet.

    Clearly other: adjusted p below the level of the first look, an interval without 1, and a material effect.
    Clearly the same: an interval within the smallest material effect.

    Args:
        base, head: the measurements of either build, with rounds.
    """
    pairs = pair_up(base, head)
    pairs = pairs[pairs["metric"] == _METRIC]
    cells = dict(iter(pairs.groupby("cell", sort=False)))
    if not cells:
        return frozenset()
    found = [estimate(group["log_ratio"].to_numpy(float)[np.newaxis, :]) for group in cells.values()]
    adjusted = adjust(np.array([one.p[0] for one in found]))
    smallest = np.array([np.log1p(group["smallest_effect"].iloc[0]) for group in cells.values()])
    low, high = (np.array([getattr(one, name)[0] for one in found]) for name in ("ci_low", "ci_high"))
    middle = np.array([one.log_ratio[0] for one in found])
    is_other = (adjusted < FIRST_LOOK_LEVEL) & ((low > 0) | (high < 0)) & (np.abs(middle) >= smallest)
    is_same = (low >= -smallest) & (high <= smallest)
    return frozenset(str(cell) for cell, known in zip(cells, is_other | is_same, strict=True) if not known)
