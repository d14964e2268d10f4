"""What changed at each build against the last one before it that shows the same, in a few numbers.

Of many builds, such as the commits of a scan, most change nothing that matters: a reader looks for the
others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from exhausters.observe.metrics import HOST, METRICS
from exhausters.observe.smallest_effects import COUNTS, SmallestEffect
from reports.dashboard.trend import LETTERS, Trend
from reports.detect.change import CODE
from reports.detect.config import Config
from reports.detect.materiality import Change, change_of, is_material, smallest_effect
from reports.detect.measured import Mask, signs
from reports.detect.outcomes import judge_decision_logs, judge_outcome
from reports.vocabulary import BETTER, BROKEN, CHANGED, NOT_JUDGED, WORSE

_PER_STEP = "_per_step"


def find_moves(
    frame: pd.DataFrame,
    targets: Sequence[str],
    trend: Trend,
    *,
    outcomes: Sequence[Sequence[str | None]],
    workloads: Sequence[str],
    config: Config,
) -> list[dict[str, Any]]:
    """Return what changed at each build.

    {"ends": [{"verdict", "outcome", "cells": number of cells that end otherwise, so}]
     "decides": number of cells whose decision log differs
     "effects": [{"metric", "verdict", "text", "workloads"}]}     outcomes and costs that moved by as much as
                            matters over a workload, the farthest first; counts are those per step

    Args:
        frame: a tidy frame (see `reports.load.frame`).
        targets: the builds, oldest first.
        trend: what became of each metric.
        outcomes: builds x cells, None where there is no run.
        workloads: of each cell.
        config: smallest effects.
    """
    logs = judge_decision_logs(frame, targets, trend.cells).codes == CODE[CHANGED]
    ends = _ends(outcomes)
    groups = [np.array([one == name for one in workloads]) for name in dict.fromkeys(workloads)]
    judged = _judged_metrics(trend, config)
    return [
        {
            "ends": ends[build],
            "decides": int(logs[build].sum()),
            "effects": list(_effects(build, trend, judged, groups)),
        }
        for build in range(len(targets))
    ]


def _ends(outcomes: Sequence[Sequence[str | None]]) -> list[list[dict[str, Any]]]:
    """For each build, how many cells end in which other way than in the last build that ran them."""
    last: list[str | None] = [None] * len(outcomes[0])
    found = []
    for build in outcomes:
        pairs = [(base, head) for base, head in zip(last, build, strict=True) if base and head]
        ends = Counter((judge_outcome(*pair)[0], pair[1]) for pair in pairs if pair[0] != pair[1])
        found.append(
            [
                {"verdict": verdict, "outcome": outcome, "cells": cells}
                for (verdict, outcome), cells in ends.items()
            ]
        )
        last = [head or base for base, head in zip(last, build, strict=True)]
    return found


def _judged_metrics(trend: Trend, config: Config) -> list[tuple[int, float, SmallestEffect]]:
    """Outcomes, and counts per step: place, +1 where lower is better, smallest effect."""
    found = []
    for place, (name, kind) in enumerate(zip(trend.metrics["metric"], trend.metrics["kind"], strict=True)):
        total = str(name).removesuffix(_PER_STEP)
        if kind == HOST or (total == name and name in COUNTS):
            continue
        known = total if total in COUNTS else str(name)
        effect = smallest_effect(known, config.smallest_effect, config.smallest_cell_effect)
        if effect is not None:
            found.append((place, float(signs(pd.Series([METRICS[known].better]))[0]), effect))
    return found


def _effects(
    build: int, trend: Trend, judged: Sequence[tuple[int, float, SmallestEffect]], groups: Sequence[Mask]
) -> Iterator[dict[str, Any]]:
    """The largest change of each metric, of the workloads over which it matters."""
    moved = []
    for metric, sign, effect in judged:
        changes = [
            change
            for cells in groups
            if (change := _change(build, metric, trend, cells, effect)) is not None
            and is_material(change, effect, effect.workload)
        ]
        if changes:
            largest = max(changes, key=lambda one: abs(one.size))
            farthest = abs(largest.size) / effect.workload if effect.workload else np.inf
            verdict = WORSE if largest.size * sign > 0 else BETTER if largest.size * sign < 0 else CHANGED
            name = str(trend.metrics["metric"].iloc[metric])
            about = {"metric": name, "verdict": verdict, "text": largest.text, "workloads": len(changes)}
            moved.append((farthest, about))
    yield from (about for _, about in sorted(moved, key=lambda one: -one[0]))


def _change(build: int, metric: int, trend: Trend, cells: Mask, effect: SmallestEffect) -> Change | None:
    """The change over the cells of a workload that both builds measured; None where nothing moved."""
    letters = trend.letters[build, metric]
    before = trend.before[build, metric]
    head = trend.values[build, metric]
    base = trend.values[np.maximum(before, 0), metric, np.arange(len(before))]
    unjudged = np.isin(letters, [LETTERS[NOT_JUDGED], LETTERS[BROKEN]])
    used = cells & (before >= 0) & ~unjudged & ~np.isnan(base) & ~np.isnan(head)
    if not used.any() or (base[used] == head[used]).all():
        return None
    return change_of(base[used], head[used], effect)
