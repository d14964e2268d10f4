"""A history as a table: one row per build, oldest first, over the whole grid or a part of it.

`decisions` has the same letter wherever builds have the same decision log in every cell of the table;
`as before` counts the cells whose log is the same as in the last build before that has one (see
`reports.detect.change`). A metric is the mean over the cells that have a number in
every build that was measured: over the same cells in every row.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Mapping, Sequence
from string import ascii_uppercase

import pandas as pd

from exhausters.pressure import ALL
from exhausters.sweep.record import DRAINED, UNSUPPORTED
from reports.detect.change import CODE
from reports.detect.outcomes import judge_decision_logs
from reports.errors import SelectionError
from reports.load.builds import list_builds
from reports.load.frame import Results
from reports.vocabulary import OUTCOME, SAME

__all__ = ["DEFAULT_METRICS", "history_table", "parse_where"]

DEFAULT_METRICS = (
    "steps_to_drain",
    "evicted_tokens",
    "recomputed_tokens",
    "retractions",
    "python_calls_per_step",
)
_NOTHING = "–"


def history_table(
    results: Results,
    *,
    metrics: Sequence[str] | None = None,
    where: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
) -> str:
    """Return Markdown with one row per build.

    Args:
        results: single runs of several builds; rounds of pairs are ignored.
        metrics: names of the columns; by default those of DEFAULT_METRICS that the results have.
        where: values by axis, to select cells; `all` is an untouched level. By default every cell.
        names: what to call builds, by the commit or the target.

    Raises:
        SelectionError: the results do not have a metric, an axis, or a value of an axis.
    """
    frame = results.frame[results.frame["round"].isna()]
    metrics = _columns(frame, metrics)
    frame = frame[frame["cell"].isin(_cells_at(results, frame, where or {}))]
    builds = list_builds(frame)
    targets = list(dict.fromkeys(builds["target"]))
    ends = frame[frame["metric"] == OUTCOME]
    digests, outcomes = (_by_cell(ends, column, targets) for column in ("decision_digest", "outcome"))
    drained = outcomes == DRAINED
    measured = [target for target in targets if drained[target].any()]
    rows = pd.DataFrame(
        {
            "build": [_name(builds, target, names or {}) for target in targets],
            "decisions": _letters(digests, measured),
            "as before": _as_before(ends, list(digests.index), targets, measured),
            "drained": [f"{drained[target].sum()}/{len(drained)}" for target in targets],
        }
    )
    unsupported = [target for target in targets if outcomes[target].dropna().eq(UNSUPPORTED).all()]
    for metric in metrics:
        means = _means(frame[frame["metric"] == metric], targets, measured)
        rows[metric] = [
            UNSUPPORTED if target in unsupported else mean
            for target, mean in zip(targets, means, strict=True)
        ]
    align = ("left", "left", *["right"] * (len(rows.columns) - 2))
    return rows.to_markdown(index=False, colalign=align, disable_numparse=True)


def parse_where(text: str) -> dict[str, str]:
    """Return `axis=value,axis=value` as a mapping; raises SelectionError for another form."""
    pairs = [item.partition("=") for item in text.split(",") if item]
    if not all(axis and separator for axis, separator, _ in pairs):
        raise SelectionError(f"--where {text!r}: expected AXIS=VALUE,AXIS=VALUE")
    return {axis.strip(): value.strip() for axis, _, value in pairs}


def _columns(frame: pd.DataFrame, metrics: Sequence[str] | None) -> list[str]:
    known = set(frame["metric"].astype(object)) - {OUTCOME}
    if metrics is None:
        return [metric for metric in DEFAULT_METRICS if metric in known]
    for metric in metrics:
        if metric not in known:
            near = difflib.get_close_matches(metric, known, n=3) or sorted(known)
            raise SelectionError(
                f"--metric {metric}: not in these results; expected one of docs/metrics.md, "
                f"e.g. {', '.join(near[:10])}; repeat --metric for several"
            )
    return list(metrics)


def _cells_at(results: Results, frame: pd.DataFrame, where: Mapping[str, str]) -> set[str]:
    cells = frame.drop_duplicates("cell")
    for axis, value in where.items():
        if axis not in results.axes:
            raise SelectionError(
                f"--where {axis}={value}: no such axis; the axes are {', '.join(results.axes)}"
            )
        texts = cells[axis].astype(object).map(lambda one: ALL if pd.isna(one) else str(one))
        there = sorted(set(texts))
        cells = cells[texts.str.lower() == value.lower()]
        if cells.empty:
            raise SelectionError(f"--where {axis}={value}: no cell there; the values are {', '.join(there)}")
    return set(cells["cell"].astype(object))


def _by_cell(rows: pd.DataFrame, column: str, targets: Sequence[str]) -> pd.DataFrame:
    """One value for each cell and target; of several runs the last."""
    plain = rows[["cell", "target", column]].astype(object).drop_duplicates(["cell", "target"], keep="last")
    return plain.pivot(index="cell", columns="target", values=column).reindex(columns=list(targets))


def _name(builds: pd.DataFrame, target: str, names: Mapping[str, str]) -> str:
    commits = builds.loc[builds["target"] == target, "commit"]
    return next((names[one] for one in (*commits, target) if one in names), target)


def _letters(digests: pd.DataFrame, measured: Sequence[str]) -> list[str]:
    letters: dict[tuple[object, ...], str] = {}
    names = (letter * times for times in itertools.count(1) for letter in ascii_uppercase)
    found = []
    for target in digests.columns:
        log = tuple(None if pd.isna(one) else one for one in digests[target])
        if target in measured and log not in letters:
            letters[log] = next(names)
        found.append(letters[log] if target in measured else _NOTHING)
    return found


def _as_before(
    frame: pd.DataFrame, cells: Sequence[str], targets: Sequence[str], measured: Sequence[str]
) -> list[str]:
    """Cells whose decision log is the same as in the build that it is compared with, of all cells."""
    changes = judge_decision_logs(frame, targets, cells)
    same = (changes.codes == CODE[SAME]).sum(axis=1)
    is_first = [not (build >= 0).any() for build in changes.before]
    return [
        f"{count}/{len(cells)}" if target in measured and not first else _NOTHING
        for target, count, first in zip(targets, same, is_first, strict=True)
    ]


def _means(rows: pd.DataFrame, targets: Sequence[str], measured: Sequence[str]) -> list[str]:
    drained = rows[rows["outcome"] == DRAINED]
    values = _by_cell(drained, "value", targets).astype(float)
    means = values.loc[values[list(measured)].notna().all(axis="columns")].mean()
    return [_shown(means[target]) if target in measured else "failed" for target in targets]


def _shown(value: float) -> str:
    if math.isnan(value):
        return _NOTHING
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"
