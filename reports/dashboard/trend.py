"""Every build against the one before it and against the first: arrays that a dashboard only has to show.

Arrays are builds x metrics x cells, builds oldest first; what is not known is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exhausters.observe.metrics import HOST
from exhausters.sweep.record import DRAINED
from reports.detect.config import Config
from reports.detect.exact import EXACT_KINDS, WORDS, judge_exact, signs, tolerances
from reports.detect.history import History
from reports.detect.paired_tests import estimate
from reports.detect.pairs import pair_up
from reports.detect.thresholds import MIN_PAIRS
from reports.explain.headlines import describe_change
from reports.vocabulary import BETTER, BROKEN, CHANGED, OUTCOME, SAME, UNDECIDED, WORSE

Floats = NDArray[np.float64]

# One letter for each verdict, and for values that were not judged, or not there to be judged.
LETTERS: Mapping[str, str] = {
    SAME: "s", BETTER: "b", WORSE: "w", CHANGED: "c", UNDECIDED: "u", BROKEN: "x"
}  # fmt: skip
NOT_JUDGED = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Several builds, measured alike.

    Attributes:
        metrics: names, kinds and directions, one row each, in the order of the arrays.
        cells: ids, in the order of the arrays.
        values: the median of each cell's runs, of those that drained.
        ratios: over the value of the build before; NaN for the first.
        letters: a verdict's letter (`LETTERS`) on each value against the build before.
        index: over all cells, the ratio to the first build: builds x metrics.
        low, high: a band around `index`: the confidence interval of the paired rounds for host time, the
            middle half of the cells' ratios for exact kinds; NaN where there is none.
        changes: text of the change from the build before, over all cells: builds x metrics.
        means: mean over the cells that every build has a value for: builds x metrics.
    """

    metrics: pd.DataFrame
    cells: tuple[str, ...]
    values: Floats
    ratios: Floats
    letters: NDArray[np.str_]
    index: Floats
    low: Floats
    high: Floats
    changes: list[list[str]]
    means: Floats


def find_trend(
    frame: pd.DataFrame,
    targets: Sequence[str],
    cells: Sequence[str],
    history: History | None,
    config: Config,
) -> Trend:
    """Return the trend over `targets`, oldest first."""
    measured = frame[frame["metric"] != OUTCOME]
    columns = ["metric", "kind", "unit", "better"]
    metrics = measured.drop_duplicates("metric")[columns].astype(object).reset_index(drop=True)
    values = _values(measured, targets, list(metrics["metric"]), cells)
    index, low, high = _bands(values, metrics)
    _paired_bands(frame, targets, metrics, index, low, high)
    return Trend(
        metrics=metrics,
        cells=tuple(cells),
        values=values,
        ratios=_ratios(values),
        letters=_letters(values, metrics, targets, cells, history, config),
        index=index,
        low=low,
        high=high,
        changes=_changes(values),
        means=_means(values),
    )


def _values(
    measured: pd.DataFrame, targets: Sequence[str], metrics: Sequence[str], cells: Sequence[str]
) -> Floats:
    rows = measured[(measured["outcome"] == DRAINED) & measured["target"].isin(targets)]
    medians = rows.groupby(["target", "metric", "cell"], observed=True, sort=False)["value"].median()
    values = np.full((len(targets), len(metrics), len(cells)), np.nan)
    places = [
        pd.Index(names).get_indexer(medians.index.get_level_values(level).astype(object))
        for level, names in enumerate((targets, metrics, cells))
    ]
    values[tuple(places)] = medians.to_numpy(dtype=np.float64)
    return values


def _ratios(values: Floats) -> Floats:
    ratios = np.full(values.shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios[1:] = values[1:] / values[:-1]
    ratios[~np.isfinite(ratios)] = np.nan
    same = np.zeros(values.shape, dtype=bool)
    same[1:] = values[1:] == values[:-1]
    ratios[same] = 1.0
    return ratios


def _letters(
    values: Floats,
    metrics: pd.DataFrame,
    targets: Sequence[str],
    cells: Sequence[str],
    history: History | None,
    config: Config,
) -> NDArray[np.str_]:
    letters = np.full(values.shape, NOT_JUDGED, dtype="<U1")
    exact = metrics["kind"].isin(EXACT_KINDS).to_numpy()
    tolerated = tolerances(metrics["metric"], metrics["kind"], config.tolerance)
    codes = judge_exact(values[:-1], values[1:], signs(metrics["better"])[:, None], tolerated[:, None])
    words = np.array([LETTERS[word] for word in WORDS])[codes]
    known = ~np.isnan(values[:-1]) & ~np.isnan(values[1:]) & exact[None, :, None]
    letters[1:] = np.where(known, words, NOT_JUDGED)
    if history is not None:
        noisy = history.changes[~history.changes["kind"].isin(EXACT_KINDS)]
        places = [
            pd.Index(list(names)).get_indexer(pd.Index(noisy[column].astype(object)))
            for column, names in (("build", targets), ("metric", metrics["metric"]), ("cell", cells))
        ]
        letters[tuple(places)] = [LETTERS[word] for word in noisy["verdict"]]
    return letters


def _bands(values: Floats, metrics: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    """Ratios to the first build over the cells that all builds have: middle, and the middle half."""
    builds, count = values.shape[:2]
    index, low, high = (np.full((builds, count), np.nan) for _ in range(3))
    for metric in range(count):
        known = values[:, metric, ~np.isnan(values[:, metric]).any(axis=0)]
        if not known.shape[1]:
            continue
        if (known > 0).all():
            logs = np.log(known / known[0])
            index[:, metric] = np.exp(logs.mean(axis=1))
            if metrics["kind"].iloc[metric] in EXACT_KINDS:
                low[:, metric], high[:, metric] = np.exp(np.quantile(logs, (0.25, 0.75), axis=1))
        elif known[0].sum() > 0:
            index[:, metric] = known.sum(axis=1) / known[0].sum()
    return index, low, high


def _paired_bands(
    frame: pd.DataFrame,
    targets: Sequence[str],
    metrics: pd.DataFrame,
    index: Floats,
    low: Floats,
    high: Floats,
) -> None:
    """Put the interval of host time where a build was paired with the first; rounds are the replicates."""
    rows = frame[(frame["kind"] == HOST) & frame["round"].notna()]
    anchor = rows[rows["target"] == targets[0]]
    names = list(metrics["metric"])
    for build, target in enumerate(targets[1:], start=1):
        theirs = rows[rows["target"] == target]
        if anchor.empty or theirs.empty:
            continue
        pairs = pair_up(anchor, theirs)
        for name, group in pairs.groupby("metric", observed=True):
            by_round = group.groupby(["session", "round"], observed=True)["log_ratio"].mean()
            if len(by_round) < MIN_PAIRS:
                continue
            found = estimate(by_round.to_numpy(dtype=np.float64)[None, :])
            place = build, names.index(str(name))
            index[place] = np.exp(found.log_ratio[0])
            low[place], high[place] = np.exp(found.ci_low[0]), np.exp(found.ci_high[0])


def _changes(values: Floats) -> list[list[str]]:
    first = [""] * values.shape[1]
    later = [
        [_change(*pair) for pair in zip(before, after, strict=True)] for before, after in pairwise(values)
    ]
    return [first, *later]


def _change(before: Floats, after: Floats) -> str:
    text, log_change = describe_change(before, after)
    return text if log_change else ""


def _means(values: Floats) -> Floats:
    known = ~np.isnan(values).any(axis=0)
    counts = known.sum(axis=1)
    sums = np.where(known, values, 0.0).sum(axis=2)
    with np.errstate(invalid="ignore"):
        means: Floats = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means


def count_letters(trend: Trend, verdict: str) -> list[list[Any]]:
    """Return how many cells have a verdict, builds x metrics."""
    counts: list[list[Any]] = (trend.letters == LETTERS[verdict]).sum(axis=2).tolist()
    return counts
