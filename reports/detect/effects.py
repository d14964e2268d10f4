"""One number for each workload and each outcome or cost, and whether it matters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

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
from reports.detect.materiality import Change, change_of, is_material, smallest_effect, threshold_text
from reports.detect.measured import Floats
from reports.detect.thresholds import WORK_TOLERANCE
from reports.vocabulary import (
    BETTER,
    BROKEN,
    CHANGED,
    NEUTRAL,
    OUTCOME,
    SAME,
    UNDECIDED,
    WORSE,
)

_SIGN = {"lower": 1.0, "higher": -1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What became of one outcome or cost of one workload.

    Attributes:
        workload: its text.
        metric: name; `outcome` for how the runs ended.
        role: `outcome` or `cost`.
        unit, better: of the metric.
        verdict: `worse` or `better` (it matters), `neutral` (it differs), `same`, `undecided`, or `changed`:
            a count that measured CPU time overrules.
        change: over all cells that drained on both sides.
        by_pressure: the same for the cells without, with some and under tight pressure.
        pressures: those of them in which it moved enough by itself, in the direction of the verdict.
        cells: how many cells the number is over.
        worse_cells, better_cells: cells that moved by more than the smallest effect of a cell.
        threshold: the smallest effect for a workload.
        rule: what decided, for `--explain`.
        reasons: of how runs ended: each reason once.
    """

    workload: str
    metric: str
    role: str
    unit: str
    better: str
    verdict: str
    change: Change | None
    by_pressure: Mapping[str, Change] = field(default_factory=dict)
    pressures: tuple[str, ...] = ()
    cells: int = 0
    worse_cells: tuple[str, ...] = ()
    better_cells: tuple[str, ...] = ()
    threshold: float = 0.0
    rule: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def closeness(self) -> float:
        """The size in smallest effects, so that percentages and differences can be put in order."""
        if self.change is None:
            return math.inf
        size = abs(self.change.size)
        return size / self.threshold if self.threshold else math.inf if size else 0.0


def judge_cells(verdicts: pd.DataFrame, config: Config) -> pd.Series[str]:
    """Return what each row means for its cell: what was seen, and `changed` for what does not matter there.

    Mechanisms, and outcomes and costs that moved by less than the smallest effect of a cell, are `changed`.
    """
    judged = verdicts["verdict"].astype(object).copy()
    moved = verdicts[verdicts["verdict"].isin([WORSE, BETTER]) & (verdicts["metric"] != OUTCOME)]
    for metric, rows in moved.groupby("metric", sort=False):
        effect = smallest_effect(str(metric), config.smallest_effect, config.smallest_cell_effect)
        for index, base, head in zip(rows.index, rows["base"], rows["head"], strict=True):
            if effect is None or not _matters_in_a_cell(float(base), float(head), effect):
                judged[index] = CHANGED
    return judged


def _matters_in_a_cell(base: float, head: float, effect: SmallestEffect) -> bool:
    return is_material(change_of(np.array([base]), np.array([head]), effect), effect, effect.cell)


def find_effects(
    verdicts: pd.DataFrame, groups: pd.DataFrame, grid_tests: pd.DataFrame, config: Config
) -> tuple[Effect, ...]:
    """Return the effects, workload by workload, outcomes before costs.

    Args:
        verdicts: rows of verdicts with `judged` (see `judge_cells`), without cells that a waiver covers.
        groups: workload and pressure of each cell (see `cell_groups`).
        grid_tests: tests of host time over many cells (see `detect_grid`).
        config: smallest effects.
    """
    rows = verdicts.assign(
        workload=verdicts["cell"].map(groups["workload"]), pressure=verdicts["cell"].map(groups["pressure"])
    )
    found: list[Effect] = []
    for workload, part in rows.groupby("workload", sort=False):
        by_metric = {str(name): of_metric for name, of_metric in part.groupby("metric", sort=False)}
        found += _run_ends(str(workload), by_metric.get(OUTCOME, part.iloc[:0]))
        time = _cpu_time(str(workload), by_metric, rows, grid_tests, config)
        is_timed = any(one.verdict != UNDECIDED for one in time)
        numbers: list[Effect] = []
        for metric in (*OUTCOMES, *COSTS):
            if metric in by_metric and metric != CPU_TIME:
                numbers += _effect(str(workload), metric, by_metric, config, is_timed=is_timed)
        found += [*_for_equal_service(numbers), *time]
    return tuple(found)


def _for_equal_service(effects: Sequence[Effect]) -> Iterator[Effect]:
    """What is won because requests were lost is no gain; what is lost by serving more stays a loss."""
    is_paid_for = any(one.metric in LOST_REQUESTS and one.verdict == WORSE for one in effects)
    for one in effects:
        if is_paid_for and one.role == OUTCOME_ROLE and one.verdict == BETTER:
            rule = "fewer requests were served in full, and the others had it easier"
            yield one if one.metric in LOST_REQUESTS else replace(one, verdict=CHANGED, rule=rule)
        else:
            yield one


def _effect(
    workload: str, metric: str, by_metric: Mapping[str, pd.DataFrame], config: Config, *, is_timed: bool
) -> Iterator[Effect]:
    known = by_metric[metric]
    effect = smallest_effect(metric, config.smallest_effect, config.smallest_cell_effect)
    rows = known[known["base"].notna() & known["head"].notna() & ~known["verdict"].isin([BROKEN, UNDECIDED])]
    if effect is None or rows.empty:
        return
    # Equal up to the tolerance of its kind or of the configuration is equal.
    rows = rows.assign(head=rows["head"].where(rows["verdict"] != SAME, rows["base"]))
    change = _change(rows, effect)
    sign = _SIGN[str(rows["better"].iloc[0])]
    verdict, rule = _verdict(rows, change, effect, sign)
    if metric in COUNTS and verdict in (WORSE, BETTER):
        if not _moved_per_step(by_metric.get(f"{metric}_per_step"), change):
            verdict, rule = NEUTRAL, f"{rule}, but not per step: there are more or fewer steps"
        elif is_timed and metric not in NOT_IN_CPU_TIME:
            verdict, rule = CHANGED, "CPU time was measured in pairs, and decides"
    by_pressure = {
        pressure: _change(part, effect)
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
    )


def _change(rows: pd.DataFrame, effect: SmallestEffect) -> Change:
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


def _cpu_time(
    workload: str,
    by_metric: Mapping[str, pd.DataFrame],
    rows: pd.DataFrame,
    grid_tests: pd.DataFrame,
    config: Config,
) -> list[Effect]:
    """The paired test of CPU time over the workload's cells; empty where there are no pairs."""
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
    verdict, rule = UNDECIDED, "too few pairs"
    if len(own):
        verdict = str(own["verdict"].iloc[0])
        low, high = (100 * (float(own[name].iloc[0]) - 1) for name in ("ci_low", "ci_high"))
        rule = (
            f"paired, {low:+.1f} to {high:+.1f} %, smallest effect {threshold_text(effect, effect.workload)}"
        )
        if own["reason"].iloc[0]:
            rule += f": {own['reason'].iloc[0]}"
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
                pressure: _change(part, effect)
                for pressure in PRESSURES
                if len(part := here[here["pressure"] == pressure])
            },
            cells=len(here),
            worse_cells=tuple(here.loc[here["judged"] == WORSE, "cell"]),
            better_cells=tuple(here.loc[here["judged"] == BETTER, "cell"]),
            threshold=effect.workload,
            rule=rule,
        )
    ]


def _run_ends(workload: str, rows: pd.DataFrame) -> Iterator[Effect]:
    """How runs ended: an effect for the cells in which it got worse, one for those in which it got better."""
    for verdict in (WORSE, BETTER):
        part = rows[rows["verdict"] == verdict]
        if part.empty:
            continue
        cells = tuple(map(str, part["cell"]))
        yield Effect(
            workload=workload,
            metric=OUTCOME,
            role=OUTCOME_ROLE,
            unit="",
            better="none",
            verdict=verdict,
            change=None,
            pressures=tuple(one for one in PRESSURES if (part["pressure"] == one).any()),
            cells=len(rows),
            worse_cells=cells if verdict == WORSE else (),
            better_cells=cells if verdict == BETTER else (),
            rule="how a run ended always counts",
            reasons=tuple(map(str, part["reason"].value_counts().index)),
        )
