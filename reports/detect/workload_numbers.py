"""The numbers of some cells of one workload, one for each outcome or cost, and whether each matters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from exhausters.observe.smallest_effects import (
    COST,
    COSTS,
    COUNTS,
    CPU_TIME,
    LOST_REQUESTS,
    NOT_IN_CPU_TIME,
    OUTCOME_ROLE,
    OUTCOMES,
    SmallestEffect,
)
from reports.detect.cell_groups import PRESSURES
from reports.detect.config import Config
from reports.detect.effect import Effect
from reports.detect.materiality import (
    Change,
    change_of,
    for_cells,
    is_material,
    smallest_effect,
    threshold_text,
)
from reports.detect.measured import Floats
from reports.detect.thresholds import WORK_TOLERANCE
from reports.vocabulary import BETTER, BROKEN, CHANGED, NEUTRAL, SAME, UNDECIDED, WORSE

_SIGN = {"lower": 1.0, "higher": -1.0}


def numbers_of(
    workload: str, rows: pd.DataFrame, config: Config, *, is_timed: bool, settings: str = ""
) -> tuple[Effect, ...]:
    """Return the number of each outcome and each count over some cells of a workload.

    Args:
        workload: its text.
        rows: the verdicts on these cells, with `judged` and `pressure`.
        config: smallest effects.
        is_timed: CPU time was measured in pairs here, and decides instead of the counts.
        settings: the engine settings of these cells in words; empty for all cells of the workload.
    """
    by_metric = {str(name): of_metric for name, of_metric in rows.groupby("metric", sort=False)}
    found = [
        number
        for metric in (*OUTCOMES, *COSTS)
        if metric in by_metric and metric != CPU_TIME
        for number in _number(workload, metric, by_metric, config, is_timed=is_timed, settings=settings)
    ]
    return tuple(_for_equal_service(found))


def _for_equal_service(effects: Sequence[Effect]) -> Iterator[Effect]:
    """What is won because requests were lost is no gain; what is lost by serving more stays a loss."""
    is_paid_for = any(one.metric in LOST_REQUESTS and one.verdict == WORSE for one in effects)
    for one in effects:
        if is_paid_for and one.role == OUTCOME_ROLE and one.verdict == BETTER:
            rule = "fewer requests were served in full, and the others had it easier"
            yield one if one.metric in LOST_REQUESTS else replace(one, verdict=CHANGED, rule=rule)
        else:
            yield one


def _number(
    workload: str,
    metric: str,
    by_metric: Mapping[str, pd.DataFrame],
    config: Config,
    *,
    is_timed: bool,
    settings: str,
) -> Iterator[Effect]:
    effect = smallest_effect(metric, config.smallest_effect, config.smallest_cell_effect)
    rows = judged_rows(by_metric[metric])
    if effect is None or rows.empty:
        return
    if settings:
        effect = for_cells(effect, len(rows))
    change = change_over(rows, effect)
    sign = _SIGN[str(rows["better"].iloc[0])]
    verdict, rule = _verdict(rows, change, effect, sign)
    if metric in COUNTS and verdict in (WORSE, BETTER):
        if not _moved_per_step(by_metric.get(f"{metric}_per_step"), change):
            verdict, rule = NEUTRAL, f"{rule}, but not per step: there are more or fewer steps"
        elif is_timed and metric not in NOT_IN_CPU_TIME:
            verdict, rule = CHANGED, "CPU time was measured in pairs, and decides"
    by_pressure = {
        pressure: change_over(part, effect)
        for pressure in PRESSURES
        if len(part := rows[rows["pressure"] == pressure])
    }
    yield Effect(
        workload=workload,
        metric=metric,
        role=OUTCOME_ROLE if metric in OUTCOMES else COST,
        unit=str(rows["unit"].iloc[0]),
        better=str(rows["better"].iloc[0]),
        verdict=verdict,
        change=change,
        by_pressure=by_pressure,
        pressures=tuple(
            pressure
            for pressure, one in by_pressure.items()
            if one.size * change.size > 0 and is_material(one, effect, effect.workload)
        ),
        cells=len(rows),
        worse_cells=tuple(rows.loc[rows["judged"] == WORSE, "cell"]),
        better_cells=tuple(rows.loc[rows["judged"] == BETTER, "cell"]),
        threshold=effect.workload,
        rule=rule,
        settings=settings,
    )


def judged_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one metric that have values on both sides; what is `same` is equal in them."""
    known = rows[rows["base"].notna() & rows["head"].notna() & ~rows["verdict"].isin([BROKEN, UNDECIDED])]
    # Equal up to the tolerance of its kind or of the configuration is equal.
    return known.assign(head=known["head"].where(known["verdict"] != SAME, known["base"]))


def change_over(rows: pd.DataFrame, effect: SmallestEffect) -> Change:
    """Return the change of one metric over some rows, none of them empty."""
    base, head = (rows[side].to_numpy(dtype=np.float64) for side in ("base", "head"))
    return change_of(base, head, effect)


def _verdict(rows: pd.DataFrame, change: Change, effect: SmallestEffect, sign: float) -> tuple[str, str]:
    """Return the verdict and the rule. A lost request of one cell is not made good by another cell."""
    if effect.is_absolute and not effect.workload:
        seen = [word for word in (WORSE, BETTER) if (rows["verdict"] == word).any()]
        return (seen[0] if seen else SAME), "each one counts"
    words = "mean difference" if effect.is_absolute else "sum" if effect.at_least else "geometric mean"
    rule = f"{words} over {len(rows)} cells, smallest effect {threshold_text(effect, effect.workload)}"
    if is_material(change, effect, effect.workload):
        return (WORSE if change.size * sign > 0 else BETTER), rule
    return (SAME if (rows["verdict"] == SAME).all() else NEUTRAL), rule


def _moved_per_step(rows: pd.DataFrame | None, change: Change) -> bool:
    if rows is None:
        return True
    known = rows[(rows["base"] > 0) & (rows["head"] > 0)]
    if known.empty:
        return True
    ratios: Floats = np.log(
        known["head"].to_numpy(dtype=np.float64) / known["base"].to_numpy(dtype=np.float64)
    )
    per_step = float(ratios.mean())
    return per_step * change.size > 0 and abs(per_step) > WORK_TOLERANCE
