"""Every build against the one before it and against the first, as arrays for the dashboard.

Arrays are builds x metrics x cells, builds oldest first; what is not known is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exhausters.observe.metrics import HOST
from reports.detect.change import WORDS, judge_metrics, taken_from
from reports.detect.comparable import work_environments
from reports.detect.config import Config
from reports.detect.history import History
from reports.detect.measured import EXACT_KINDS, Floats, Ints, Mask, describe_metrics, measure
from reports.detect.paired_tests import estimate
from reports.detect.pairs import pair_up
from reports.detect.thresholds import MIN_PAIRS
from reports.explain.headlines import describe_change
from reports.vocabulary import BETTER, BROKEN, CHANGED, NOT_JUDGED, SAME, UNDECIDED, WORSE

LETTERS: Mapping[str, str] = {
    SAME: "s", BETTER: "b", WORSE: "w", CHANGED: "c", UNDECIDED: "u", BROKEN: "x", NOT_JUDGED: "-"
}  # fmt: skip
_LETTER_OF_CODE = np.array([LETTERS[word] for word in WORDS])


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Several builds, measured alike.

    Attributes:
        metrics: names, kinds and directions, one row each, in the order of the arrays.
        cells: ids, in the order of the arrays.
        values: the median of each cell's runs, of those that drained.
        before: number of the build that each value is compared with: the last one before that measured it; -1
            where there is none.
        ratios: over the value in that build.
        letters: a verdict's letter (`LETTERS`) on each value against that build.
        index: over all cells, the ratio to the first build: builds x metrics.
        low, high: a band around `index`: the confidence interval of the paired rounds for host time, the
            middle half of the cells' ratios for exact kinds; NaN where there is none.
        changes: text of the change against those builds, over all cells: builds x metrics.
        means: mean over the cells that every build has a value for which has any: builds x metrics.
    """

    metrics: pd.DataFrame
    cells: tuple[str, ...]
    values: Floats
    before: Ints
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
    metrics = describe_metrics(frame)
    number = pd.Index(list(targets)).get_indexer(pd.Index(frame["target"].astype(object)))
    measured = measure(
        frame,
        number,
        len(targets),
        metrics=metrics,
        cells=cells,
        environments=work_environments(frame, targets),
    )
    changes = judge_metrics(measured, config.tolerance)
    before, letters = changes.before, _LETTER_OF_CODE[changes.codes]
    if history is not None:
        _add_host_time(history, targets, metrics, cells, letters)
    compared = _compared(measured.values, before)
    index, low, high = _bands(measured.values, metrics)
    _paired_bands(frame, targets, metrics, index, low, high)
    return Trend(
        metrics=metrics,
        cells=measured.cells,
        values=measured.values,
        before=before,
        ratios=ratios(compared, measured.values),
        letters=letters,
        index=index,
        low=low,
        high=high,
        changes=_changes(compared, measured.values),
        means=_means(measured.values),
    )


def _compared(values: Floats, before: Ints) -> Floats:
    """The value that each one is compared with."""
    compared: Floats = np.where(before < 0, np.nan, taken_from(values, before))
    return compared


def ratios(base: Floats, head: Floats) -> Floats:
    """Return head over base; 1 where both are equal, also zero, and NaN where there is no ratio."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = head / base
    found[~np.isfinite(found)] = np.nan
    found[head == base] = 1.0
    return found


def _add_host_time(
    history: History,
    targets: Sequence[str],
    metrics: pd.DataFrame,
    cells: Sequence[str],
    letters: NDArray[np.str_],
) -> None:
    """Put in the change points of host time, which the exact judge leaves alone."""
    noisy = history.changes[history.changes["kind"] == HOST]
    places = [
        pd.Index(list(names)).get_indexer(pd.Index(noisy[column].astype(object)))
        for column, names in (("build", targets), ("metric", metrics["metric"]), ("cell", cells))
    ]
    letters[tuple(places)] = [LETTERS[word] for word in noisy["verdict"]]


def _bands(values: Floats, metrics: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    """Ratios to the first build over the cells that all builds have: middle, and the middle half.

    A build that has no value at all, of which every cell crashed, is a gap and takes no cell from the others.
    """
    builds, count = values.shape[:2]
    index, low, high = (np.full((builds, count), np.nan) for _ in range(3))
    for metric in range(count):
        here: Mask = (~np.isnan(values[:, metric])).sum(axis=1) > 0
        known = values[:, metric, ~np.isnan(values[here, metric]).any(axis=0)]
        if not here[0] or not known.shape[1]:
            continue
        if (known[here] > 0).all():
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


def _changes(compared: Floats, values: Floats) -> list[list[str]]:
    return [
        [_change(*pair) for pair in zip(base, head, strict=True)]
        for base, head in zip(compared, values, strict=True)
    ]


def _change(before: Floats, after: Floats) -> str:
    text, log_change = describe_change(before, after)
    return text if log_change else ""


def _means(values: Floats) -> Floats:
    here = ~np.isnan(values).all(axis=2, keepdims=True)
    known = (~np.isnan(values) | ~here).all(axis=0)
    counts = known.sum(axis=1)
    sums = np.where(known, values, 0.0).sum(axis=2)
    with np.errstate(invalid="ignore"):
        means: Floats = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means


def count_letters(trend: Trend, verdict: str) -> list[list[Any]]:
    """Return the number of cells that have a verdict, builds x metrics."""
    counts: list[list[Any]] = (trend.letters == LETTERS[verdict]).sum(axis=2).tolist()
    return counts
