"""Verdicts of two builds on metrics that repeat exactly: decisions, work, modelled time. No statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from reports.detect.change import WORDS, judge_metrics
from reports.detect.coverage import not_measured
from reports.detect.measured import EXACT_KINDS, Mask, describe_metrics, measure, tolerances
from reports.vocabulary import BROKEN, CHANGED, UNDECIDED

_SIDES = ("base", "head")


def detect_exact(
    base: pd.DataFrame, head: pd.DataFrame, *, tolerance: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Return one row for each cell and exact metric that either side measured.

    Args:
        base, head: frames of one build each (see `reports.load.frame`), of cells that are to be compared.
        tolerance: relative differences by metric, from the configuration.

    Columns: cell, metric, kind, unit, better, base, head, verdict, rule, reason, required.
    """
    tolerance = tolerance or {}
    both = pd.concat([base, head], ignore_index=True)
    metrics = describe_metrics(both[both["kind"].isin(EXACT_KINDS)])
    cells = sorted(set(both["cell"].astype(object)))
    build = np.repeat(np.arange(2), [len(base), len(head)])
    measured = measure(both, build, 2, metrics=metrics, cells=cells)
    changes = judge_metrics(measured, tolerance)
    cell, metric = np.nonzero(measured.known.any(axis=0).T)
    rows = metrics.iloc[metric].reset_index(drop=True).drop(columns="smallest_effect")
    values, known, unstable = (
        array[:, metric, cell] for array in (measured.values, measured.known, measured.unstable)
    )
    allowed = tolerances(metrics, tolerance)[metric]
    verdicts = rows.assign(
        cell=np.array(cells, dtype=object)[cell],
        base=values[0],
        head=values[1],
        verdict=WORDS[changes.codes[1, metric, cell]],
        rule=[f"exact: tolerance {one:g}" if one else "exact: equality" for one in allowed],
        reason="",
        required=True,
    )
    is_changed = (verdicts["verdict"] == CHANGED).to_numpy()
    for number, side in enumerate(_SIDES):
        verdicts.loc[is_changed & np.isnan(values[number]), "reason"] = f"{side} has no such value"
    _overrule(
        verdicts, np.logical_or(*unstable), BROKEN, "exact: repeated runs agree", "runs of one build disagree"
    )
    for number, side in enumerate(_SIDES):
        reasons = [not_measured(kind, side) for kind in verdicts.loc[~known[number], "kind"]]
        _overrule(verdicts, ~known[number], UNDECIDED, "exact: both sides measured", reasons)
    return verdicts


def _overrule(
    verdicts: pd.DataFrame, rows: Mask, verdict: str, rule: str, reason: str | Sequence[str]
) -> None:
    verdicts.loc[rows, ["verdict", "rule"]] = [verdict, rule]
    verdicts.loc[rows, "reason"] = reason
