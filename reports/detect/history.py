"""Changes over a range of builds.

Exact kinds: each build against the last one before it that has a value. Host time: change points of the
ratios to one anchor build; *where* it might have changed and whether that *is real* are two parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exhausters.observe.metrics import HOST
from exhausters.sweep.record import DRAINED
from reports.detect.change_point_tests import confirm
from reports.detect.change_points import candidates
from reports.detect.exact import CODE, EXACT_KINDS, WORDS, Floats, judge_exact, signs, tolerances
from reports.errors import NotComparableError
from reports.vocabulary import BROKEN_OUTCOMES, OUTCOME, SAME

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


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What changed over a range of builds.

    Attributes:
        builds: names, oldest first.
        changes: one row for each build, cell and metric that changed: build, before_build (the last one
            before it with a value), cell, metric, kind, unit, better, before, after (values; for host time
            ratios to the anchor), verdict, p_adjusted (NaN for exact kinds).
        outcomes: one row for each build and cell that did not drain: build, cell, outcome.
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
    """Values of all cells and metrics, builds by series, and one row of facts a series."""

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
        tolerance, smallest_effect: from the configuration.

    Raises:
        NotComparableError: runs of one build disagree about an exact metric, or their workloads, schemas,
            grids or forward-time models differ.
    """
    anchor = anchor if anchor is not None else builds[0]
    rows = frame[frame["target"].isin([*builds, anchor])]
    _require_comparable(rows)
    drained = rows["outcome"] == DRAINED
    exact = _series(rows[rows["kind"].isin(EXACT_KINDS) & drained], builds, "value")
    ratios, unanchored = _ratios_to_anchor(rows[(rows["kind"] == HOST) & drained], anchor)
    noisy = _series(ratios, builds, "log_ratio", may_differ=True)
    changes = [
        _exact_changes(exact, builds, tolerance or {}),
        _noisy_changes(noisy, builds, smallest_effect or {}),
    ]
    outcomes, missing = _outcomes(rows, builds)
    return History(
        builds=tuple(builds),
        changes=pd.concat([part for part in changes if len(part)] or changes[:1], ignore_index=True),
        outcomes=outcomes,
        missing=missing,
        unanchored=unanchored,
    )


def _require_comparable(rows: pd.DataFrame) -> None:
    for column in ("harness_schema", "grid_digest", "forward_time_model", "clock"):
        values = rows[column].dropna().unique()
        if len(values) > 1:
            raise NotComparableError(
                f"{column.replace('_', ' ')} differs over the range ({', '.join(map(str, values))}): "
                "run all builds alike"
            )
    runs = rows.loc[rows["metric"] == OUTCOME, ["cell", "workload_digest"]].dropna()
    differing = runs.groupby("cell", observed=True)["workload_digest"].nunique()
    if bool((differing > 1).any()):
        raise NotComparableError(
            f"workload digest differs over the range in {int((differing > 1).sum())} cells, first "
            f"{differing.index[differing > 1][0]!r}: sweep all builds with one harness"
        )


def _series(rows: pd.DataFrame, builds: Sequence[str], column: str, *, may_differ: bool = False) -> _Series:
    """Lay rows out as a matrix; of repeated noisy values the last counts, exact ones must agree."""
    build = pd.Index(builds).get_indexer(pd.Index(rows["target"].astype(object)))
    rows, build = rows[build >= 0], build[build >= 0]
    cell, cells = _codes(rows["cell"])
    metric, metrics = _codes(rows["metric"])
    series, used = pd.factorize(cell * max(1, len(metrics)) + metric)
    values = np.full((len(builds), len(used)), np.nan)
    given = rows[column].to_numpy(dtype=np.float64)
    values[build, series] = given
    differs = (values[build, series] != given) & ~np.isnan(given)
    if differs.any() and not may_differ:
        row = rows.iloc[int(np.flatnonzero(differs)[0])]
        raise NotComparableError(
            f"runs of {row['target']} disagree about {row['metric']} in cell {row['cell']!r}: an exact "
            "metric must repeat; find out what leaks from one run into the next"
        )
    firsts = pd.Series(np.arange(len(series))).groupby(series).first().to_numpy()
    facts = ["kind", "unit", "better", "smallest_effect"]
    about = rows.iloc[firsts][facts].astype({"kind": object, "unit": object, "better": object})
    about = about.reset_index(drop=True).assign(
        cell=cells[used // max(1, len(metrics))], metric=metrics[used % max(1, len(metrics))]
    )
    return _Series(values=values, about=about)


def _codes(column: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    codes, values = pd.factorize(column)
    return codes.astype(np.int64), np.asarray(values.astype(object), dtype=object)


def _exact_changes(series: _Series, builds: Sequence[str], tolerance: Mapping[str, float]) -> pd.DataFrame:
    known = ~np.isnan(series.values)
    # Number of the last build before this one that has a value.
    numbers = np.where(known, np.arange(len(builds))[:, None], -1)
    last = np.maximum.accumulate(numbers, axis=0)[:-1]
    before = np.take_along_axis(series.values, np.maximum(last, 0), axis=0)
    about = series.about
    codes = judge_exact(
        before,
        series.values[1:],
        signs(about["better"]),
        tolerances(about["metric"], about["kind"], tolerance),
    )
    changed = (codes != CODE[SAME]) & known[1:] & (last >= 0)
    build, column = np.nonzero(changed)
    names = np.array(builds, dtype=object)
    found = about.iloc[column].reset_index(drop=True).drop(columns="smallest_effect")
    return found.assign(
        build=names[build + 1],
        before_build=names[last[build, column]],
        before=before[build, column],
        after=series.values[build + 1, column],
        verdict=WORDS[codes[build, column]],
        p_adjusted=np.nan,
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
