"""Verdicts on metrics that repeat exactly: decisions, work, modelled time. No statistics."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exhausters.observe.metrics import DECISION, HIGHER, LOWER, MODELLED, WORK
from reports.detect.thresholds import WORK_TOLERANCE
from reports.vocabulary import BETTER, BROKEN, CHANGED, SAME, UNDECIDED, WORSE

EXACT_KINDS = (DECISION, WORK, MODELLED)
Floats = NDArray[np.float64]
Codes = NDArray[np.int8]

# Verdicts as small numbers, for arrays.
CODE = {SAME: 0, BETTER: 1, WORSE: 2, CHANGED: 3}
WORDS = np.array([SAME, BETTER, WORSE, CHANGED], dtype=object)
_SIGN = {LOWER: 1.0, HIGHER: -1.0}


def judge_exact(base: Floats, head: Floats, sign: Floats, tolerance: Floats) -> Codes:
    """Return one code (`CODE`) for each pair of values; all four arrays broadcast.

    Args:
        base, head: values; NaN where a run has none.
        sign: +1 where lower is better, -1 where higher is, 0 where neither.
        tolerance: relative difference, of base, up to which two values are the same.
    """
    base, head = np.broadcast_arrays(base, head)
    no_base, no_head = np.isnan(base), np.isnan(head)
    # Comparisons with NaN are false, so a missing value is never equal and never beyond.
    same = (np.abs(head - base) <= tolerance * np.abs(base)) | (base == head) | (no_base & no_head)
    loss = (head - base) * sign
    codes = np.full(base.shape, CODE[CHANGED], dtype=np.int8)
    codes[loss > 0] = CODE[WORSE]
    codes[loss < 0] = CODE[BETTER]
    codes[same] = CODE[SAME]
    return codes


def signs(better: pd.Series) -> Floats:
    """Return `judge_exact`'s sign of each direction in a column."""
    return better.astype(object).map(lambda word: _SIGN.get(word, 0.0)).to_numpy(dtype=np.float64)


def tolerances(metric: pd.Series, kind: pd.Series, override: Mapping[str, float]) -> Floats:
    """Return the tolerance of each row: the configuration's, else that of its kind."""
    by_kind = np.where(kind.astype(object) == WORK, WORK_TOLERANCE, 0.0)
    given = metric.astype(object).map(lambda name: override.get(name, np.nan)).to_numpy(dtype=np.float64)
    return np.where(np.isnan(given), by_kind, given)


def detect_exact(
    base: pd.DataFrame, head: pd.DataFrame, *, tolerance: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Return one row for each cell and exact metric that either side has.

    Args:
        base, head: frames of one build each (see `reports.load.frame`), of cells that are to be compared.
        tolerance: relative changes by metric, from the configuration.

    Columns: cell, metric, kind, unit, better, base, head, verdict, rule, reason, required.
    """
    both = one_value_each(base).merge(
        one_value_each(head), on=["cell", "metric"], how="outer", suffixes=("_base", "_head")
    )
    for name in ("kind", "unit", "better"):
        both[name] = both[f"{name}_base"].where(both[f"{name}_base"].notna(), both[f"{name}_head"])
    tolerated = tolerances(both["metric"], both["kind"], tolerance or {})
    codes = judge_exact(
        both["value_base"].to_numpy(dtype=np.float64),
        both["value_head"].to_numpy(dtype=np.float64),
        signs(both["better"]),
        tolerated,
    )
    verdicts = pd.DataFrame(
        {
            **{name: both[name].astype(object) for name in ("cell", "metric", "kind", "unit", "better")},
            "base": both["value_base"],
            "head": both["value_head"],
            "verdict": WORDS[codes],
            "rule": [f"exact: tolerance {one:g}" if one else "exact: equality" for one in tolerated],
            "reason": "",
            "required": True,
        }
    )
    for side in ("base", "head"):
        lacks = both[f"value_{side}"].isna() & (verdicts["verdict"] == CHANGED)
        verdicts.loc[lacks, "reason"] = f"{side} has no such value"
    unstable = both["unstable_base"].eq(True) | both["unstable_head"].eq(True)
    _overrule(verdicts, unstable, BROKEN, "exact: repeated runs agree", "runs of one build disagree")
    for side in ("base", "head"):
        absent = both[f"kind_{side}"].isna()
        _overrule(verdicts, absent, UNDECIDED, "exact: both sides measured", f"{side} did not measure it")
    return verdicts


def one_value_each(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the value of each cell and exact metric, and whether repeated runs disagreed about it."""
    rows = frame[frame["kind"].isin(EXACT_KINDS)]
    names = ["cell", "metric", "kind", "unit", "better"]
    rows = rows.astype(dict.fromkeys(names, object))
    grouped = rows.groupby(["cell", "metric"], sort=False)
    found = grouped.agg(
        kind=("kind", "first"),
        unit=("unit", "first"),
        better=("better", "first"),
        value=("value", "median"),
        lowest=("value", "min"),
        highest=("value", "max"),
        known=("value", "count"),
        runs=("value", "size"),
    ).reset_index()
    tolerated = tolerances(found["metric"], found["kind"], {})
    spread = found["highest"] - found["lowest"] > tolerated * found["lowest"].abs()
    found["unstable"] = spread | ((found["known"] > 0) & (found["known"] < found["runs"]))
    return found.drop(columns=["lowest", "highest", "known", "runs"])


def _overrule(verdicts: pd.DataFrame, rows: pd.Series[bool], verdict: str, rule: str, reason: str) -> None:
    verdicts.loc[rows, ["verdict", "rule", "reason"]] = [verdict, rule, reason]
