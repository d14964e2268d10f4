"""What asv and pytest-benchmark would have said: their own rules on the same samples.

Both time the drain of a cell, so a sample is the CPU seconds of one run. Of pairs they see two lists: they do
not run in turns. asv compares medians by a factor of 1.1 and needs a difference at its own level
(`asv continuous`); `--benchmark-compare-fail=mean:10%` compares means, and knows losses only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from asv.commands.compare import _is_result_better
from asv_runner.statistics import compute_stats
from pytest_benchmark.stats import Stats
from pytest_benchmark.utils import PercentageRegressionCheck

from exhausters.sweep.record import DRAINED
from reports.vocabulary import BETTER, SAME, TRADE_OFF, WORSE

SAMPLE = "scheduler_cpu_seconds"
ASV_FACTOR, MEAN_PERCENT = 1.1, 10.0
Samples = Mapping[str, tuple[Sequence[float], Sequence[float]]]


def samples_of(base: pd.DataFrame, head: pd.DataFrame) -> dict[str, tuple[list[float], list[float]]]:
    """Return the samples of both builds by cell, in the order of rounds."""
    sides = []
    for frame in (base, head):
        rows = frame[
            (frame["metric"] == SAMPLE) & frame["round"].notna() & (frame["outcome"] == DRAINED)
        ].sort_values("round")
        sides.append({str(cell): list(map(float, one["value"])) for cell, one in rows.groupby("cell")})
    return {cell: (sides[0][cell], sides[1][cell]) for cell in sides[0] if cell in sides[1]}


def asv_says(samples: Samples) -> str:
    """Return worse, better, both (a trade-off) or same over all cells, as `asv continuous` lists them."""
    found = set()
    for base, head in samples.values():
        (ours, our_stats), (theirs, their_stats) = compute_stats(base, 1), compute_stats(head, 1)
        both = ((our_stats, base), (their_stats, head))
        if _is_result_better(theirs, ours, both[1], both[0], ASV_FACTOR):
            found.add(BETTER)
        if _is_result_better(ours, theirs, both[0], both[1], ASV_FACTOR):
            found.add(WORSE)
    return TRADE_OFF if len(found) == 2 else found.pop() if found else SAME


def pytest_benchmark_says(samples: Samples) -> str:
    """Return worse if a cell fails `mean:10%`, else same: it has no word for a gain."""
    check = PercentageRegressionCheck("mean", MEAN_PERCENT)
    for base, head in samples.values():
        if check.fails(*({"mean": _mean(one)} for one in (head, base))):
            return WORSE
    return SAME


def _mean(values: Sequence[float]) -> float:
    stats = Stats()
    for one in values:
        stats.update(one)
    return float(stats.mean)
