"""Host time in two looks: which cells need more pairs after the first."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reports.detect.paired_tests import estimate
from reports.detect.pairs import pair_up

# What decides; other host times of a cell follow it.
_METRIC = "scheduler_cpu_ms_per_step"


def undecided_cells(base: pd.DataFrame, head: pd.DataFrame) -> frozenset[str]:
    """Return the cells whose CPU time is not clearly the same yet: no interval within the smallest effect.

    The first look calls nothing other, so that the two raise no more false alarms than one.

    Args:
        base, head: the measurements of either build, with rounds.
    """
    pairs = pair_up(base, head)
    cells = pairs[pairs["metric"] == _METRIC].groupby("cell", sort=False)
    return frozenset(str(cell) for cell, group in cells if not _is_same(group))


def _is_same(group: pd.DataFrame) -> bool:
    found = estimate(group["log_ratio"].to_numpy(float)[np.newaxis, :])
    smallest = float(np.log1p(group["smallest_effect"].iloc[0]))
    return bool(found.ci_low[0] >= -smallest and found.ci_high[0] <= smallest)
