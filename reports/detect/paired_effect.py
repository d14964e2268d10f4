"""The cost of a workload by paired CPU time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from exhausters.observe.smallest_effects import COST, CPU_TIME
from reports.detect.cell_groups import PRESSURES
from reports.detect.config import Config
from reports.detect.effect import Effect
from reports.detect.materiality import change_of, smallest_effect, threshold_text
from reports.detect.workload_numbers import change_over
from reports.vocabulary import BETTER, UNDECIDED, WORSE


def paired_cpu_time(
    workload: str, rows: pd.DataFrame, grid_tests: pd.DataFrame, config: Config
) -> list[Effect]:
    """Return the paired test of CPU time over the workload's cells; empty where there are no pairs.

    Args:
        workload: its text.
        rows: the verdicts on all cells, with `workload`, `pressure` and `judged`.
        grid_tests: tests of host time over many cells (see `detect_grid`).
        config: smallest effects.
    """
    paired = rows[(rows["metric"] == CPU_TIME) & rows["pairs"].notna()]
    here = paired[paired["workload"] == workload]
    if here.empty:
        return []
    tests = grid_tests[grid_tests["metric"] == CPU_TIME]
    own = tests[(tests["axis"] == "workload") & (tests["axis_value"] == workload)]
    if own.empty and paired["workload"].nunique() == 1:
        own = tests[tests["axis"] == ""]
    effect = smallest_effect(CPU_TIME, config.smallest_effect, config.smallest_cell_effect)
    assert effect is not None
    verdict, rule, interval, doubt = UNDECIDED, "too few pairs", "", ""
    if len(own):
        verdict, doubt = str(own["verdict"].iloc[0]), str(own["reason"].iloc[0])
        low, high = (100 * (float(own[name].iloc[0]) - 1) for name in ("ci_low", "ci_high"))
        interval = f"{_signed(low)} to {_signed(high)} %" if low == low else ""
        parts = ("paired", interval, f"smallest effect {threshold_text(effect, effect.workload)}")
        rule = ", ".join(filter(None, parts)) + (f": {doubt}" if doubt else "")
    ratio = float(own["ratio"].iloc[0]) if len(own) else np.nan
    base = float(np.exp(np.log(here["base"].to_numpy(dtype=np.float64)).mean()))
    change = None
    if ratio == ratio:
        change = change_of(np.array([base]), np.array([base * ratio]), effect)
    return [
        Effect(
            workload=workload,
            metric=CPU_TIME,
            role=COST,
            unit="ms",
            better="lower",
            verdict=verdict,
            change=change,
            by_pressure={
                pressure: change_over(part, effect)
                for pressure in PRESSURES
                if len(part := here[here["pressure"] == pressure])
            },
            cells=len(here),
            worse_cells=tuple(here.loc[here["judged"] == WORSE, "cell"]),
            better_cells=tuple(here.loc[here["judged"] == BETTER, "cell"]),
            threshold=effect.workload,
            rule=rule,
            interval=interval,
            doubt=doubt,
            settings=_settings(rows[rows["workload"] == workload], here),
        )
    ]


def _settings(rows: pd.DataFrame, timed: pd.DataFrame) -> str:
    """The engine settings in words where the workload runs with several, and was timed with one of them."""
    names = timed["settings"].unique()
    return str(names[0]) if len(names) == 1 < rows["settings"].nunique() else ""


def _signed(percent: float) -> str:
    return f"{percent:+.1f}".replace("-", "−")
