"""Changes over a range of builds.

Exact metrics and decision logs: `reports.detect.change` judges each build against the last one before it that
says something about the cell. Host time: change points of the ratios to one anchor build; `change_points`
finds where it might have changed, `change_point_tests` whether it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exhausters.observe.metrics import HOST, NONE
from exhausters.sweep.record import DRAINED
from reports.detect.change import CODE, WORDS, judge_metrics
from reports.detect.change_point_tests import confirm
from reports.detect.change_points import candidates
from reports.detect.comparable import require_one_range, work_environments
from reports.detect.measured import EXACT_KINDS, Floats, describe_metrics, measure, signs
from reports.detect.outcomes import judge_decision_logs
from reports.errors import NotComparableError
from reports.vocabulary import BETTER, BROKEN, BROKEN_OUTCOMES, CHANGED, DECISION_LOG, OUTCOME, WORSE

_COLUMNS = [
    "build",
    "before_build",
    "cell",
    "metric",
    "kind",
    "unit",
    "better",
    "before",
    "after",
    "verdict",
    "p_adjusted",
]
_CHANGES = [CODE[word] for word in (WORSE, BETTER, CHANGED, BROKEN)]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What changed over a range of builds.

    Attributes:
        builds: names, oldest first.
        changes: one row for each build, cell and metric that changed: build, before_build (the one it was
            compared with), cell, metric, kind, unit, better, before, after (values; for host time ratios to
            the anchor; NaN where a run has no such value), verdict, p_adjusted (NaN for exact kinds). A whole
            decision log is the metric `decision_log`, without values.
        outcomes: one row for each build and cell that did not drain: build, cell, outcome, is_broken.
        missing: cells without a run, for each build.
        unanchored: host-time values that could not be judged since their session lacks the anchor.
    """

    builds: tuple[str, ...]
    changes: pd.DataFrame
    outcomes: pd.DataFrame
    missing: Mapping[str, int]
    unanchored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    """Log ratios of host time to the anchor: builds x series, with one row of facts per series."""

    values: Floats
    about: pd.DataFrame


def detect_history(
    frame: pd.DataFrame,
    builds: Sequence[str],
    *,
    anchor: str | None = None,
    tolerance: Mapping[str, float] | None = None,
    smallest_effect: Mapping[str, float] | None = None,
) -> History:
    """Return what changed from each build to the next.

    Args:
        frame: a tidy frame (see `reports.load.frame`).
        builds: targets in it, oldest first; others are left out.
        anchor: the build to which host time is related; the first one by default.
        tolerance: of each metric, from the configuration.
        smallest_effect: of each metric, from the configuration.

    Raises:
        NotComparableError: runs of one build disagree about an exact metric, or the builds were not measured
            alike (see `reports.detect.comparable`).
    """
    anchor = anchor if anchor is not None else builds[0]
    rows = frame[frame["target"].isin([*builds, anchor])]
    require_one_range(rows)
    is_host = (rows["kind"] == HOST) & (rows["outcome"] == DRAINED)
    ratios, unanchored = _ratios_to_anchor(rows[is_host], anchor)
    changes = [
        _exact_changes(rows, builds, tolerance or {}),
        _log_changes(rows, builds),
        _noisy_changes(_series(ratios, builds), builds, smallest_effect or {}),
    ]
    outcomes, missing = _outcomes(rows, builds)
    return History(
        builds=tuple(builds),
        changes=pd.concat([part for part in changes if len(part)] or changes[:1], ignore_index=True),
        outcomes=outcomes,
        missing=missing,
        unanchored=unanchored,
    )


def _series(ratios: pd.DataFrame, builds: Sequence[str]) -> _Series:
    """Lay the ratios out as a matrix."""
    build = pd.Index(builds).get_indexer(pd.Index(ratios["target"].astype(object)))
    ratios, build = ratios[build >= 0], build[build >= 0]
    cell, cells = _codes(ratios["cell"])
    metric, metrics = _codes(ratios["metric"])
    series, used = pd.factorize(cell * max(1, len(metrics)) + metric)
    values = np.full((len(builds), len(used)), np.nan)
    values[build, series] = ratios["log_ratio"].to_numpy(dtype=np.float64)
    firsts = pd.Series(np.arange(len(series))).groupby(series).first().to_numpy()
    facts = ["kind", "unit", "better", "smallest_effect"]
    about = ratios.iloc[firsts][facts].astype({"kind": object, "unit": object, "better": object})
    about = about.reset_index(drop=True).assign(
        cell=cells[used // max(1, len(metrics))], metric=metrics[used % max(1, len(metrics))]
    )
    return _Series(values=values, about=about)


def _codes(column: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    codes, values = pd.factorize(column)
    return codes.astype(np.int64), np.asarray(values.astype(object), dtype=object)


def _exact_changes(rows: pd.DataFrame, builds: Sequence[str], tolerance: Mapping[str, float]) -> pd.DataFrame:
    metrics = describe_metrics(rows[rows["kind"].isin(EXACT_KINDS)])
    cells = list(dict.fromkeys(rows["cell"].astype(object)))
    number = pd.Index(builds).get_indexer(pd.Index(rows["target"].astype(object)))
    measured = measure(
        rows,
        number,
        len(builds),
        metrics=metrics,
        cells=cells,
        environments=work_environments(rows, builds),
    )
    if measured.unstable.any():
        first = [int(place[0]) for place in np.nonzero(measured.unstable)]
        raise NotComparableError(
            f"runs of {builds[first[0]]} disagree about {metrics['metric'].iloc[first[1]]} in cell "
            f"{cells[first[2]]!r}: an exact metric must repeat; find what leaks from one run into the next"
        )
    changes = judge_metrics(measured, tolerance)
    build, metric, cell = np.nonzero(np.isin(changes.codes, _CHANGES))
    names, before = np.array(builds, dtype=object), changes.before[build, metric, cell]
    found = metrics.iloc[metric].reset_index(drop=True).drop(columns="smallest_effect")
    changed: pd.DataFrame = found.assign(
        cell=np.array(cells, dtype=object)[cell],
        build=names[build],
        before_build=names[before],
        before=measured.values[before, metric, cell],
        after=measured.values[build, metric, cell],
        verdict=WORDS[changes.codes[build, metric, cell]],
        p_adjusted=np.nan,
    )[_COLUMNS]
    return changed


def _log_changes(rows: pd.DataFrame, builds: Sequence[str]) -> pd.DataFrame:
    """Changes of whole decision logs, as rows of a metric without values."""
    cells = list(dict.fromkeys(rows["cell"].astype(object)))
    changes = judge_decision_logs(rows, builds, cells)
    build, cell = np.nonzero(np.isin(changes.codes, _CHANGES))
    names = np.array(builds, dtype=object)
    return pd.DataFrame(
        {
            "build": names[build],
            "before_build": names[changes.before[build, cell]],
            "cell": np.array(cells, dtype=object)[cell],
            "metric": DECISION_LOG,
            "kind": DECISION_LOG,
            "unit": "",
            "better": NONE,
            "before": np.nan,
            "after": np.nan,
            "verdict": WORDS[changes.codes[build, cell]],
            "p_adjusted": np.nan,
        }
    )[_COLUMNS]


def _noisy_changes(series: _Series, builds: Sequence[str], override: Mapping[str, float]) -> pd.DataFrame:
    about = series.about
    given = about["metric"].map(lambda name: override.get(name, np.nan)).astype(np.float64)
    effects = given.where(given.notna(), about["smallest_effect"]).to_numpy(dtype=np.float64)
    found = confirm(
        series.values, candidates(series.values), sign=signs(about["better"]), log_effect=np.log1p(effects)
    )
    names = np.array(builds, dtype=object)
    column = np.array([point.series for point in found], dtype=np.int64)
    rows = about.iloc[column].reset_index(drop=True).drop(columns="smallest_effect")
    return rows.assign(
        build=names[np.array([point.build for point in found], dtype=np.int64)],
        before_build=names[np.array([point.build_before for point in found], dtype=np.int64)],
        before=[float(np.exp(point.before)) for point in found],
        after=[float(np.exp(point.after)) for point in found],
        verdict=[point.verdict for point in found],
        p_adjusted=[point.p_adjusted for point in found],
    )[_COLUMNS]


def _ratios_to_anchor(rows: pd.DataFrame, anchor: str) -> tuple[pd.DataFrame, int]:
    """Return one row for each build, cell and metric: the median log ratio to the anchor in its session."""
    key = ["session", "round", "cell", "metric"]
    rows = rows[rows["value"] > 0]
    is_anchor = rows["target"] == anchor
    anchors = rows.loc[is_anchor, [*key, "value"]].rename(columns={"value": "anchor_value"})
    facts = ["target", "kind", "unit", "better", "smallest_effect"]
    others = rows.loc[~is_anchor, [*key, *facts, "value"]]
    anchors = anchors.drop_duplicates(key)
    pairs = others.merge(anchors, on=key, how="left")
    unanchored = int(pairs["anchor_value"].isna().sum())
    pairs = pairs[pairs["anchor_value"].notna()]
    ratios = pairs.assign(log_ratio=np.log(pairs["value"] / pairs["anchor_value"]))
    names = ["target", "cell", "metric"]
    grouped = ratios.groupby(names, observed=True, sort=False)
    medians = grouped.agg(
        log_ratio=("log_ratio", "median"), **{name: (name, "first") for name in facts[1:]}
    ).reset_index()
    return medians, unanchored


def _outcomes(rows: pd.DataFrame, builds: Sequence[str]) -> tuple[pd.DataFrame, dict[str, int]]:
    runs = rows.loc[rows["metric"] == OUTCOME, ["target", "cell", "outcome"]].astype(object)
    runs = runs[runs["target"].isin(builds)]
    cells = runs["cell"].nunique()
    counts = runs.groupby("target")["cell"].nunique()
    failed = runs[runs["outcome"] != DRAINED].rename(columns={"target": "build"}).reset_index(drop=True)
    failed = failed.assign(is_broken=failed["outcome"].isin(BROKEN_OUTCOMES))
    return failed, {build: cells - int(counts.get(build, 0)) for build in builds}
