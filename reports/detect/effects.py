"""One number for each workload and each outcome or cost, and whether it matters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from exhausters.observe.smallest_effects import CPU_TIME, OUTCOME_ROLE, SmallestEffect
from reports.detect.cell_groups import PRESSURES
from reports.detect.config import Config
from reports.detect.effect import Effect
from reports.detect.materiality import change_of, is_material, smallest_effect
from reports.detect.paired_effect import paired_cpu_time
from reports.detect.setting_effects import with_settings
from reports.detect.workload_numbers import numbers_of
from reports.vocabulary import BETTER, CHANGED, OUTCOME, UNDECIDED, WORSE


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
        groups: workload, engine settings and pressure of each cell (see `cell_groups`).
        grid_tests: tests of host time over many cells (see `detect_grid`).
        config: smallest effects.
    """
    rows = verdicts.assign(**{str(name): verdicts["cell"].map(groups[name]) for name in groups})
    found: list[Effect] = []
    for workload, part in rows.groupby("workload", sort=False):
        found += _run_ends(str(workload), part[part["metric"] == OUTCOME])
        time = paired_cpu_time(str(workload), rows, grid_tests, config)
        is_timed = any(one.verdict != UNDECIDED for one in time)
        numbers = numbers_of(str(workload), part, config, is_timed=is_timed)
        paired = part[(part["metric"] == CPU_TIME) & part["pairs"].notna()]
        timed = frozenset(map(str, paired["settings"])) if is_timed else frozenset()
        found += [*with_settings(numbers, part, config, timed=timed), *time]
    return tuple(found)


def _run_ends(workload: str, rows: pd.DataFrame) -> Iterator[Effect]:
    """How runs ended: an effect for the cells in which it got worse, one for those in which it got better."""
    for verdict in (WORSE, BETTER):
        part = rows[rows["verdict"] == verdict]
        if part.empty:
            continue
        cells = tuple(map(str, part["cell"]))
        settings = part["settings"].unique()
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
            settings=str(settings[0]) if len(settings) == 1 else "",
        )
