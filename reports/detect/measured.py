"""What several builds measured, as arrays: builds x metrics x cells, builds oldest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exhausters.observe.metrics import DECISION, HIGHER, LOWER, MODELLED, WORK
from exhausters.sweep.record import DRAINED
from reports.detect.thresholds import WORK_TOLERANCE
from reports.vocabulary import OUTCOME

EXACT_KINDS = (DECISION, WORK, MODELLED)
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_FACTS = ["metric", "kind", "unit", "better", "smallest_effect"]
_SIGN = {LOWER: 1.0, HIGHER: -1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What drained runs measured. The arrays are builds x metrics x cells.

    Attributes:
        metrics: metric, kind, unit, better and smallest_effect, one row per metric.
        cells: ids.
        values: the median of the runs; NaN where nothing is known, and where a run drained and has no such
            value (the median of no retractions).
        known: the cell drained and measured the metric.
        unstable: several runs of one build disagree about an exact metric.
        environments: what each build's counts of work depend on beside itself; None where that is not known.
    """

    metrics: pd.DataFrame
    cells: tuple[str, ...]
    values: Floats
    known: Mask
    unstable: Mask
    environments: tuple[str | None, ...]


def describe_metrics(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the metrics of a tidy frame, in order of appearance, as `Measured.metrics` has them."""
    rows = frame.loc[frame["metric"] != OUTCOME].drop_duplicates("metric")[_FACTS]
    return rows.astype(dict.fromkeys(_FACTS[:-1], object)).reset_index(drop=True)


def measure(
    frame: pd.DataFrame,
    build: Ints,
    builds: int,
    *,
    metrics: pd.DataFrame,
    cells: Sequence[str],
    environments: Sequence[str | None] | None = None,
) -> Measured:
    """Return a tidy frame as arrays.

    A run that did not drain says nothing about metrics, and a cell with such a run says nothing about exact
    ones.

    Args:
        frame: a tidy frame (see `reports.load.frame`), with its rows of outcomes.
        build: number of the build of each row; rows with a negative number are left out.
        builds: how many builds there are.
        metrics: what `describe_metrics` returned, or some rows of it; other metrics are left out.
        cells: ids; other cells are left out.
        environments: what each build's counts of work depend on beside itself, as `work_environments` returns
            it; None where the caller has refused to compare such builds already.
    """
    metric, cell = _places(frame["metric"], list(metrics["metric"])), _places(frame["cell"], cells)
    drained = (frame["outcome"] == DRAINED).to_numpy(dtype=bool)
    used = drained & (build >= 0) & (metric >= 0) & (cell >= 0)
    # Of several runs of one build the worst outcome counts, for the gate too.
    is_failed = np.zeros((builds, len(cells)), dtype=bool)
    failed = ~drained & (build >= 0) & (cell >= 0)
    is_failed[build[failed], cell[failed]] = True
    is_exact = metrics["kind"].isin(EXACT_KINDS).to_numpy()
    used[used] &= ~(is_exact[metric[used]] & is_failed[build[used], cell[used]])
    shape = (builds, len(metrics), len(cells))
    place = np.ravel_multi_index((build[used], metric[used], cell[used]), shape) if used.any() else build[:0]
    given = frame["value"].to_numpy(dtype=np.float64)[used]
    values, known, unstable = (np.full(shape, empty) for empty in (np.nan, False, False))
    values.flat[place], known.flat[place] = given, True
    if int(known.sum()) < len(place):
        _merge_repeated(given, place, values, unstable, tolerances(metrics, {}))
    return Measured(
        metrics=metrics,
        cells=tuple(cells),
        values=values,
        known=known,
        unstable=unstable,
        environments=tuple(environments or [None] * builds),
    )


def _places(column: pd.Series, names: Sequence[str]) -> Ints:
    """Number of each row's text among some names, -1 where it is none of them."""
    codes, texts = pd.factorize(column)
    places = pd.Index(list(names), dtype=object).get_indexer(pd.Index(texts.astype(object)))
    found: Ints = np.append(places, -1)[codes].astype(np.int64)
    return found


def _merge_repeated(given: Floats, place: Ints, values: Floats, unstable: Mask, tolerance: Floats) -> None:
    """Put in the median of several runs of one build, and whether they disagree about an exact metric."""
    runs = pd.Series(given).groupby(place).agg(["median", "min", "max", "count", "size"])
    where = runs.index.to_numpy()
    values.flat[where] = runs["median"].to_numpy()
    allowed = tolerance[np.unravel_index(where, values.shape)[1]]
    spread = (runs["max"] - runs["min"]).to_numpy() > allowed * runs["min"].abs().to_numpy()
    only_some = ((runs["count"] > 0) & (runs["count"] < runs["size"])).to_numpy()
    unstable.flat[where] = (spread | only_some) & ~np.isnan(allowed)


def signs(better: pd.Series) -> Floats:
    """Return +1 where lower is better, -1 where higher is, 0 where neither."""
    return better.astype(object).map(lambda word: _SIGN.get(word, 0.0)).to_numpy(dtype=np.float64)


def tolerances(metrics: pd.DataFrame, override: Mapping[str, float]) -> Floats:
    """Return the relative difference up to which two values of a metric are the same.

    It is the configuration's, else that of the metric's kind; NaN for kinds that are not exact.
    """
    return np.array(
        [
            np.nan
            if kind not in EXACT_KINDS
            else override.get(metric, WORK_TOLERANCE if kind == WORK else 0.0)
            for metric, kind in zip(metrics["metric"], metrics["kind"], strict=True)
        ],
        dtype=np.float64,
    )
