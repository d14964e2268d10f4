"""Whether the cost of a step grows faster with a size than it did (docs/growth.md)."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exhausters.growth.measure import PointRun
from exhausters.growth.window import CPU_TIME, EXACT_METRICS
from exhausters.observe.metrics import LOWER
from reports.detect.growth_windows import obstacles
from reports.detect.pairs import detect_paired, with_orders
from reports.detect.thresholds import WORK_TOLERANCE
from reports.vocabulary import BETTER, BROKEN, CHANGED, NOT_JUDGED, SAME, UNDECIDED, WORSE

Floats = NDArray[np.float64]

# Growth that makes a step of the largest size this much dearer matters: that of a cost in one cell.
SMALLEST_EFFECT = 0.05
# Allocated bytes differ a little between two runs of one build: dictionaries and free lists have a history.
_NOT_EXACT = frozenset({"python_bytes_per_step"})
_PER = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """How one metric of a step grows along one axis, on base and head; head is nan where there is one build.

    Attributes:
        axis, metric: what grows with what.
        sizes: the sizes that both builds reached, ascending.
        base, head: value per step at each size; of CPU time the median over the rounds.
        base_slope, head_slope: value per step and 1,000 more of what the size counts.
        effect: what a step at the largest size costs more by head's growth than by base's, a share of base's.
        ci_low, ci_high: interval of `effect`, of paired host time; nan otherwise.
        p_adjusted: of paired host time; nan otherwise.
        verdict: `same`, `changed` (below the smallest effect), `worse`, `better`, `undecided`, `broken` or
            `not judged` (one build).
        reason: why it is undecided or broken; else empty. Where the windows did not do the same, `effect` is
            nan: slopes of different work are shown, and not compared.
    """

    axis: str
    metric: str
    sizes: tuple[int, ...]
    base: tuple[float, ...]
    head: tuple[float, ...]
    base_slope: float
    head_slope: float
    effect: float = float("nan")
    ci_low: float = float("nan")
    ci_high: float = float("nan")
    p_adjusted: float = float("nan")
    verdict: str = NOT_JUDGED
    reason: str = ""


def slopes(sizes: Sequence[int], values: Floats) -> Floats:
    """Return the least-squares slope of each row of values over the sizes, shape (rows,), per unit of size.

    Linear in the size, not in its logarithm: a scan or a copy adds the same for each element, and what a step
    costs at any size (a constant more, on head) then drops out.
    """
    found: Floats = np.polyfit(np.asarray(sizes, dtype=np.float64), np.atleast_2d(values).T, 1)[0]
    return found


def log_ratios(sizes: Sequence[int], base: Floats, head: Floats) -> Floats:
    """Return, per round, the log of the factor by which head's growth makes the largest size dearer.

    The difference of the two slopes over the whole range of sizes, against the median of what base pays at
    the largest. Ratios of slopes would not do: where nothing grows both slopes are noise around 0.

    Args:
        sizes: ascending.
        base, head: values of each round at each size, shape (rounds, sizes).
    """
    more = (slopes(sizes, head) - slopes(sizes, base)) * (max(sizes) - min(sizes))
    share = more / np.median(base[:, -1])
    # A growth that is gone cannot make a step free: the logarithm needs something above 0.
    found: Floats = np.log1p(np.maximum(share, -0.99))
    return found


def judge_growth(
    runs: Sequence[PointRun], *, base: str, head: str | None, units: Mapping[str, str]
) -> tuple[Series, ...]:
    """Return one series per axis and metric, in the order of the runs.

    Exact metrics are compared as they are; CPU time by the inference of paired host time, the rounds being
    the replicates and all axes one family. An axis whose windows did not do the same is undecided.

    Args:
        runs: what was measured.
        base, head: names of the builds; head None for one build, of which nothing is judged.
        units: what each axis counts; only its axes are looked at.
    """
    found: list[Series] = []
    unequal = obstacles(runs, base=base, head=head, units=units)
    for axis in units:
        mine = [run for run in runs if run.point.axis == axis]
        failure = next((run.failure for run in mine if run.failure), "")
        exact = _table([run for run in mine if run.round is None])
        for metric in EXACT_METRICS:
            found.append(_exact(axis, metric, exact, base, head, failure))
    found += _timed(runs, tuple(units), base, head, unequal)
    return tuple(_without_effect(one, unequal.get(one.axis, "")) for one in found)


def _without_effect(series: Series, reason: str) -> Series:
    if not reason or series.verdict == BROKEN:
        return series
    nan = float("nan")
    return replace(
        series,
        effect=nan,
        ci_low=nan,
        ci_high=nan,
        p_adjusted=nan,
        verdict=UNDECIDED,
        reason=reason,
    )


def _broken(axis: str, metric: str, reason: str) -> Series:
    nan = float("nan")
    return Series(
        axis=axis,
        metric=metric,
        sizes=(),
        base=(),
        head=(),
        base_slope=nan,
        head_slope=nan,
        verdict=BROKEN,
        reason=reason,
    )


def _table(runs: Sequence[PointRun]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"target": run.target, "axis": run.point.axis, "size": run.point.size, "round": run.round}
            | {"order": run.order, "metric": metric, "value": value}
            for run in runs
            if run.window is not None
            for metric, value in run.window.metrics.items()
        ],
        columns=["target", "axis", "size", "round", "order", "metric", "value"],
    )


def _exact(axis: str, metric: str, table: pd.DataFrame, base: str, head: str | None, failure: str) -> Series:
    rows = table[table["metric"] == metric]
    wide = rows.pivot_table(index="size", columns="target", values="value").sort_index()
    names = [base] if head is None else [base, head]
    wide = wide.reindex(columns=names).dropna()
    sizes = tuple(int(size) for size in wide.index)
    if failure or len(sizes) < 2:
        return _broken(axis, metric, failure or "fewer than two sizes were measured")
    ours = wide[base].to_numpy(dtype=np.float64)
    theirs = wide[head].to_numpy(dtype=np.float64) if head is not None else np.full(len(sizes), np.nan)
    both = slopes(sizes, np.vstack([ours, theirs])) if head is not None else slopes(sizes, ours)
    series = Series(
        axis=axis,
        metric=metric,
        sizes=sizes,
        base=tuple(ours.tolist()),
        head=tuple(theirs.tolist()),
        base_slope=float(both[0]) * _PER,
        head_slope=float(both[-1]) * _PER if head is not None else float("nan"),
    )
    if head is None:
        return series
    effect = float(np.expm1(log_ratios(sizes, ours[None, :], theirs[None, :])[0])) if ours[-1] else 0.0
    return replace(series, effect=effect, verdict=_exact_verdict(metric, effect))


def _exact_verdict(metric: str, effect: float) -> str:
    if abs(effect) >= SMALLEST_EFFECT:
        return WORSE if effect > 0 else BETTER
    if metric in _NOT_EXACT:
        return SAME
    return SAME if abs(effect) <= WORK_TOLERANCE else CHANGED


def _timed(
    runs: Sequence[PointRun],
    axes: Sequence[str],
    base: str,
    head: str | None,
    unequal: Container[str],
) -> list[Series]:
    table = _table([run for run in runs if run.round is not None])
    if table.empty and not any(run.round is not None for run in runs):
        return []
    series: list[Series] = []
    pairs: list[pd.DataFrame] = []
    for axis in axes:
        rows = table[(table["axis"] == axis) & (table["metric"] == CPU_TIME)]
        failure = next((run.failure for run in runs if run.failure and run.point.axis == axis), "")
        wide = rows.pivot_table(index=["round", "order"], columns=["target", "size"], values="value").dropna()
        sizes = tuple(sorted(int(size) for size in rows["size"].unique()))
        if failure or len(sizes) < 2 or wide.empty:
            series.append(_broken(axis, CPU_TIME, failure or "no round was measured at every size"))
            continue
        ours = wide[base][list(sizes)].to_numpy(dtype=np.float64)
        theirs = ours * np.nan if head is None else wide[head][list(sizes)].to_numpy(dtype=np.float64)
        thousand = _PER * 1e3  # of milliseconds: microseconds per 1,000
        series.append(
            Series(
                axis=axis,
                metric=CPU_TIME,
                sizes=sizes,
                base=tuple(np.median(ours, axis=0).tolist()),
                head=tuple(np.median(theirs, axis=0).tolist()),
                base_slope=float(np.median(slopes(sizes, ours))) * thousand,
                head_slope=float("nan")
                if head is None
                else float(np.median(slopes(sizes, theirs))) * thousand,
            )
        )
        if head is not None and axis not in unequal:
            pairs.append(_pair_rows(axis, wide.index, sizes, ours, theirs))
    return _judged(series, pairs)


def _pair_rows(axis: str, rounds: pd.Index, sizes: Sequence[int], base: Floats, head: Floats) -> pd.DataFrame:
    """Rows as `detect_paired` takes them; its cell is the axis."""
    frame = pd.DataFrame(
        {
            "session": "growth",
            "cell": axis,
            "metric": CPU_TIME,
            "unit": "ms",
            "better": LOWER,
            "smallest_effect": SMALLEST_EFFECT,
            "round": [number for number, _ in rounds],
            "order": [order for _, order in rounds],
            # One process of either build measures all sizes: what is its own is in all of them.
            "boot": pd.array([pd.NA] * len(rounds), dtype="Int64"),
            "base": base[:, -1],
            "head": head[:, -1],
            "log_ratio": log_ratios(sizes, base, head),
        }
    )
    return with_orders(frame)


def _judged(series: list[Series], pairs: list[pd.DataFrame]) -> list[Series]:
    if not pairs:
        return series
    found = detect_paired(pd.concat(pairs, ignore_index=True))
    rows = {str(row["cell"]): row for row in found.to_dict("records")}
    return [
        replace(
            one,
            effect=float(rows[one.axis]["ratio"]) - 1,
            ci_low=float(rows[one.axis]["ci_low"]) - 1,
            ci_high=float(rows[one.axis]["ci_high"]) - 1,
            p_adjusted=float(rows[one.axis]["p_adjusted"]),
            verdict=str(rows[one.axis]["verdict"]),
            reason=str(rows[one.axis]["reason"]),
        )
        if one.axis in rows
        else one
        for one in series
    ]
