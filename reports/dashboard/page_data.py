"""What the dashboard shows, as plain JSON values.

    {
      "verdict", "exit_code", "sentence", "counts", "reasons", "kinds", "headlines", "grid_tests", "refusals":
                        of head against base, as in report.json; cells are numbers
      "base", "head":   numbers of the builds compared; base is null where there is nothing to compare
      "builds":         [{"name", "version", "commit", "date", "message"}]        oldest first
      "metrics":        [{"name", "kind", "unit", "better", "meaning", "key"}]    "key": on the first screen
      "axes", "cells", "outcomes":                                                as in report.json
      "facts":          [{"verdict", "base_outcome", "head_outcome", "reason"} or null]     one per cell
      "values", "ratios": [[[number or null]]]                                    builds x metrics x cells
      "letters":        [[text]]             builds x metrics, one letter per cell (see `trend`)
      "before":         [[number, null or [number or null]]]       builds x metrics: the build that ratios and
                                             letters compare with, per cell where cells differ
      "compared":       null, or {"letters": [text], "ratios": [[number or null]]}    metrics x cells: head
                                             against base, where base is not the build before head
      "trend":          {"index", "low", "high", "means", "changes", "worse", "better", "changed"}
                                                                                  each builds x metrics
      "details":        {"cell", "metric", "verdict", "reason", "rule", "change", "ci_low", "ci_high",
                         "p_adjusted", "pairs", "waived"}     columns, head against base; without rows that
                                                              are the same and have nothing to add
      "timelines":      {"base", "head": [timeline or null]}  one per cell (see `timeline`)
      "divergences":    [divergence or null]                  one per cell (see `explain.divergence`)
      "sessions", "skipped", "notes"
    }

Only the two builds that are compared have timelines. Names of folders are cut to their last component: a page
is passed on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exhausters.errors import LogFormatError
from exhausters.observe.decision_log import DecisionLog
from reports.dashboard.folder_names import short_names, shortened
from reports.dashboard.timeline import timeline
from reports.dashboard.trend import LETTERS, Trend, count_letters, find_trend, ratios
from reports.explain.divergence import compare_log_files, compare_logs
from reports.explain.report import Report
from reports.render.json_report import comparison_document, results_document
from reports.vocabulary import BETTER, CHANGED, DECISION_LOG, NOT_JUDGED, OUTCOME, SAME, UNDECIDED, WORSE

# What a reader of a scheduler change looks at first; those that were measured are on the first screen.
KEY_METRICS: Final = (
    "steps_to_drain",
    "output_tokens_per_second",
    "chunked_prefill_tokens_per_second",
    "time_to_first_token_p99_seconds",
    "wait_steps_p99",
    "recompute_tax",
    "evicted_tokens",
    "retractions",
    "requests_per_prefill_batch",
    "python_calls_per_step",
    "aten_operators_per_step",
    "scheduler_cpu_ms_per_step",
)
# Digits that a page shows at most; report.json has all.
_DIGITS = 6
_LISTS = ("reasons", "kinds", "headlines", "grid_tests", "refusals")
_DETAILS = (
    "verdict", "reason", "rule", "change", "ci_low", "ci_high", "p_adjusted", "pairs", "waived"
)  # fmt: skip


def page_data(report: Report) -> dict[str, Any]:
    """Return the page's data: builds that were measured alike, so that one release follows another."""
    results = report.results.select(report.results.frame["target"].isin(report.targets))
    measured = results_document(results)
    comparison = None if report.comparison is None else comparison_document(report.comparison)
    targets = list(dict.fromkeys(build["target"] for build in measured["builds"]))
    cells = [cell["id"] for cell in measured["cells"]]
    trend = find_trend(results.frame, targets, cells, report.history, report.config)
    base = targets.index(comparison["base"]) if comparison else None
    head = targets.index(comparison["head"]) if comparison else len(targets) - 1
    page = {
        **_comparison(comparison, trend, cells),
        "base": base,
        "head": head,
        "compared": _compared(trend, comparison, base, head),
        "builds": _builds(measured["builds"], targets),
        "metrics": _metrics(measured["metrics"], trend),
        "axes": measured["axes"],
        "cells": measured["cells"],
        "outcomes": measured["outcomes"],
        "values": _numbers(trend.values),
        "ratios": _numbers(trend.ratios),
        "letters": [_letter_rows(build) for build in trend.letters],
        "before": [[_before(cells) for cells in build] for build in trend.before],
        "trend": _trend(trend),
        **_logs(results.frame, cells, comparison, targets[head]),
        "sessions": measured["sessions"],
        "skipped": measured["skipped"],
        "notes": [*report.notes, *_others(report), *(comparison["notes"] if comparison else [])],
    }
    shown: dict[str, Any] = shortened(page, short_names(results, targets))
    return shown


def _others(report: Report) -> list[str]:
    targets = set(report.results.frame["target"].astype(object)) - set(report.targets)
    return [f"in report.json only, since no sweep measured it: {target}" for target in sorted(targets)]


def _compared(
    trend: Trend, comparison: Mapping[str, Any] | None, base: int | None, head: int
) -> dict[str, Any] | None:
    """Head against base. Where base is the build before head, the trend's own arrays take it in.

    The comparison knows pairs and repeated runs. What it leaves undecided stays as the trend has it.
    """
    if comparison is None or base is None:
        return None
    if base == head - 1:
        _put_verdicts(trend.letters[head], comparison["verdicts"], trend)
        return None
    letters = np.full(trend.letters[head].shape, LETTERS[NOT_JUDGED])
    _put_verdicts(letters, comparison["verdicts"], trend)
    return {
        "letters": _letter_rows(letters),
        "ratios": _numbers(ratios(trend.values[base], trend.values[head])),
    }


def _put_verdicts(letters: NDArray[np.str_], verdicts: Sequence[Mapping[str, Any]], trend: Trend) -> None:
    metrics = {name: place for place, name in enumerate(trend.metrics["metric"])}
    cells = {cell: place for place, cell in enumerate(trend.cells)}
    for row in verdicts:
        if row["metric"] in metrics and row["verdict"] != UNDECIDED:
            letters[metrics[row["metric"]], cells[row["cell"]]] = LETTERS[row["verdict"]]


def _letter_rows(letters: NDArray[np.str_]) -> list[str]:
    return ["".join(row) for row in letters]


def _before(builds: NDArray[np.int64]) -> Any:
    """The build that cells are compared with: one number where it is the same for all of them."""
    numbers = [None if build < 0 else int(build) for build in builds]
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _builds(builds: Sequence[Mapping[str, Any]], targets: Sequence[str]) -> list[dict[str, Any]]:
    first = {build["target"]: build for build in reversed(builds)}
    return [
        {
            "name": target.removeprefix("release:"),
            "version": first[target]["version"],
            "commit": first[target]["commit"],
            "date": first[target]["date"],
            "message": first[target].get("message"),
        }
        for target in targets
    ]


def _metrics(metrics: Sequence[Mapping[str, Any]], trend: Trend) -> list[dict[str, Any]]:
    by_name = {metric["name"]: metric for metric in metrics}
    keys = set(KEY_METRICS) & set(by_name) or set(list(by_name)[:12])
    return [{**by_name[name], "key": name in keys} for name in trend.metrics["metric"]]


def _trend(trend: Trend) -> dict[str, Any]:
    return {
        "index": _numbers(trend.index),
        "low": _numbers(trend.low),
        "high": _numbers(trend.high),
        "means": _numbers(trend.means),
        "changes": trend.changes,
        "worse": count_letters(trend, WORSE),
        "better": count_letters(trend, BETTER),
        "changed": count_letters(trend, CHANGED),
    }


def _comparison(comparison: Mapping[str, Any] | None, trend: Trend, cells: Sequence[str]) -> dict[str, Any]:
    if comparison is None:
        empty: dict[str, Any] = dict.fromkeys(("verdict", "exit_code", "sentence"))
        lists = ("reasons", "kinds", "headlines", "grid_tests", "refusals")
        return {
            **empty,
            **{name: [] for name in lists},
            "counts": {},
            "facts": [None] * len(cells),
            "details": None,
        }
    number = {cell: place for place, cell in enumerate(cells)}
    about_cell = ("verdict", "base_outcome", "head_outcome", "reason")
    facts = {cell["id"]: {name: cell[name] for name in about_cell} for cell in comparison["cells"]}
    names = ("verdict", "exit_code", "counts", "reasons", "kinds", "grid_tests", "refusals")
    return {
        **{name: comparison[name] for name in names},
        "sentence": comparison["answer"]["sentence"],
        "headlines": [
            {**one, "cells": [number[cell] for cell in one["cells"]]} for one in comparison["headlines"]
        ],
        "facts": [facts.get(cell) for cell in cells],
        "details": _details(comparison["verdicts"], trend, number),
    }


def _details(
    verdicts: Sequence[Mapping[str, Any]], trend: Trend, number: Mapping[str, int]
) -> dict[str, list[Any]]:
    metrics = {name: place for place, name in enumerate(trend.metrics["metric"])}
    # Outcomes and whole logs are among the cell's facts.
    rows = [
        row
        for row in verdicts
        if row["metric"] in metrics
        and row["metric"] not in (OUTCOME, DECISION_LOG)
        and (row["verdict"] != SAME or row["reason"] or row["pairs"])
    ]
    columns: dict[str, list[Any]] = {
        "cell": [number[row["cell"]] for row in rows],
        "metric": [metrics[row["metric"]] for row in rows],
    }
    for name in _DETAILS:
        columns[name] = [_rounded(row[name], _DIGITS) for row in rows]
    return columns


def _logs(
    frame: pd.DataFrame, cells: Sequence[str], comparison: Mapping[str, Any] | None, head: str
) -> dict[str, Any]:
    """Timelines and divergences; an unreadable log has no timeline, and its divergence names the problem."""
    theirs = _log_paths(frame, head)
    ours = _log_paths(frame, comparison["base"]) if comparison else {}
    rows = comparison["verdicts"] if comparison else ()
    alike = {row["cell"] for row in rows if row["metric"] == DECISION_LOG and row["verdict"] == SAME}
    lines: dict[str, list[Any]] = {"base": [], "head": []}
    divergences: list[dict[str, Any] | None] = []
    for cell in cells:
        base_log, head_log = _read_log(ours.get(cell)), _read_log(theirs.get(cell))
        lines["base"].append(timeline(base_log.steps) if base_log else None)
        lines["head"].append(timeline(head_log.steps) if head_log else None)
        if comparison is None or cell in alike:
            divergences.append(None)
        elif base_log and head_log:
            divergences.append(asdict(compare_logs(cell, base_log, head_log)))
        else:
            divergences.append(asdict(compare_log_files(cell, ours.get(cell), theirs.get(cell))))
    return {"timelines": lines, "divergences": divergences}


def _read_log(path: object) -> DecisionLog | None:
    if not isinstance(path, str):
        return None
    try:
        return DecisionLog.read(Path(path))
    except (LogFormatError, OSError):
        return None


def _log_paths(frame: pd.DataFrame, target: str) -> dict[str, object]:
    rows = frame[(frame["metric"] == OUTCOME) & (frame["target"] == target) & frame["log_path"].notna()]
    return dict(zip(rows["cell"].astype(object), rows["log_path"].astype(object), strict=True))


def _numbers(values: Any, digits: int = _DIGITS) -> Any:
    if isinstance(values, np.ndarray):
        values = values.tolist()
    return [_numbers(one, digits) if isinstance(one, list) else _rounded(one, digits) for one in values]


def _rounded(value: Any, digits: int) -> Any:
    """A number with as many significant digits, whole ones untouched; None where it is not finite."""
    if not isinstance(value, float):
        return value
    if not np.isfinite(value):
        return None
    if value.is_integer() and abs(value) < 2**53:
        return int(value)
    return float(f"{value:.{digits}g}")
