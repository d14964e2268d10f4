"""Tests of host time over many cells at once, since a single cell lacks power."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from reports.detect.measured import signs
from reports.detect.multiple_testing import adjust
from reports.detect.paired_tests import PairedEstimates, estimate, judge_estimates, open_words
from reports.detect.thresholds import MIN_PAIRS
from reports.vocabulary import UNDECIDED

WHOLE_GRID = ""
_COLUMNS = ["metric", "unit", "better", "axis", "axis_value", "cells", "skipped_cells", "pairs", "ratio"]


def detect_grid(
    pairs: pd.DataFrame,
    axes: pd.DataFrame,
    judged: pd.DataFrame,
    *,
    smallest_effect: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return one row for each host-time metric and subset of the grid; one family of tests.

    A subset is the whole grid (axis "") or all cells with one value of one axis. Each of its pairs is the
    geometric mean of its cells' ratios in that round, so that rounds, which are independent, are the
    replicates, and never cells or samples of one process.

    Args:
        pairs: what `pair_up` returned.
        axes: axis values as text: one row per cell, indexed by cell, and one column per varying axis.
        judged: what `detect_paired` returned: only cells with enough balanced pairs (p is known) take part.

    Columns: metric, unit, better, axis, axis_value, cells, skipped_cells, pairs, ratio, ci_low, ci_high,
    p, p_adjusted, verdict, reason.
    """
    rows = [
        row
        for metric, about in judged.groupby("metric", sort=False)
        for row in _parts(pairs[pairs["metric"] == metric], about, axes)
    ]
    if not rows:
        return pd.DataFrame(columns=[*_COLUMNS, "ci_low", "ci_high", "p", "p_adjusted", "verdict", "reason"])
    found = pd.DataFrame(rows)
    estimates = PairedEstimates(
        **{name: found[name].to_numpy(dtype=np.float64) for name in ("log_ratio", "ci_low", "ci_high", "p")}
    )
    p_adjusted = adjust(estimates.p)
    override = smallest_effect or {}
    effect = np.array(
        [override.get(name, own) for name, own in zip(found["metric"], found["smallest_effect"], strict=True)]
    )
    verdicts = judge_estimates(estimates, p_adjusted, signs(found["better"]), np.log1p(effect))
    lacking = found["skipped_cells"].to_numpy() > 0
    # What was not measured could have been a loss: it cannot be part of a pass.
    verdicts[lacking & (verdicts == "same")] = UNDECIDED
    verdicts[np.isnan(estimates.p)] = UNDECIDED
    reasons = np.where(lacking, [f"{n} cells lack pairs" for n in found["skipped_cells"]], "")
    reasons = np.where(
        (verdicts == UNDECIDED) & ~lacking, open_words(estimates, p_adjusted), reasons.astype(object)
    )
    return found.assign(
        ratio=np.exp(estimates.log_ratio),
        ci_low=np.exp(estimates.ci_low),
        ci_high=np.exp(estimates.ci_high),
        p_adjusted=p_adjusted,
        verdict=verdicts,
        reason=reasons,
    ).drop(columns=["log_ratio", "smallest_effect"])


def _parts(pairs: pd.DataFrame, about: pd.DataFrame, axes: pd.DataFrame) -> Iterator[dict[str, object]]:
    usable = about.loc[about["p"].notna(), "cell"]
    ratios = {
        str(cell): group.sort_values(["session", "round"])["log_ratio"].to_numpy(dtype=np.float64)
        for cell, group in pairs.groupby("cell", sort=False)
    }
    first = pairs.iloc[0]
    for axis, value, cells in _scopes(list(about["cell"]), axes):
        measured = [cell for cell in cells if cell in set(usable)]
        chosen = [ratios[cell] for cell in measured]
        count = min(map(len, chosen), default=0)
        together = np.mean([one[:count] for one in chosen], axis=0) if count else np.array([])
        found = (
            estimate(together[None, :])
            if count >= MIN_PAIRS
            else PairedEstimates(**dict.fromkeys(("log_ratio", "ci_low", "ci_high", "p"), np.array([np.nan])))
        )
        yield {
            "metric": first["metric"],
            "unit": first["unit"],
            "better": first["better"],
            "smallest_effect": first["smallest_effect"],
            "axis": axis,
            "axis_value": value,
            "cells": len(cells),
            "skipped_cells": len(cells) - len(chosen),
            "pairs": count,
            **{name: float(getattr(found, name)[0]) for name in ("log_ratio", "ci_low", "ci_high", "p")},
        }


def _scopes(cells: Sequence[str], axes: pd.DataFrame) -> Iterator[tuple[str, str, Sequence[str]]]:
    yield WHOLE_GRID, "", cells
    here = axes.loc[axes.index.isin(cells)]
    for axis in here.columns:
        if here[axis].nunique() > 1:
            for value, part in here.groupby(axis, sort=True):
                yield str(axis), str(value), [str(cell) for cell in part.index]
