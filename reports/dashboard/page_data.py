"""What the dashboard shows, as plain JSON values.

    {
      "verdict", "exit_code", "sentence", "counts", "reasons", "kinds", "headlines", "grid_tests", "refusals":
                        of head against base, as in report.json; cells are numbers
      "effects":        what matters over a workload, see `_effects`
      "base", "head":   numbers of the builds compared; base is null where there is nothing to compare
      "builds":         [{"name", "label", "subject", "url", ..., "moved"}]       oldest first (see `builds`,
                                             and `moves` for what changed there)
      "metrics":        [{"name", "kind", "unit", "better", "meaning", "key"}]    "key": on the first screen
      "axes":           as in report.json, and the "unit" of each
      "cells", "outcomes":                                                        as in report.json
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

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exhausters.pressure import kinds as pressure_kinds
from reports.dashboard.builds import describe_builds
from reports.dashboard.folder_names import short_names, shortened
from reports.dashboard.logs import read_logs
from reports.dashboard.moves import find_moves
from reports.dashboard.trend import LETTERS, Trend, count_letters, find_trend, ratios
from reports.explain.report import Report
from reports.load.commits import KnownCommit
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
# Of settings that count something; those of levels are known to the registry.
_SETTING_UNITS: Final = {
    "page_size": "tokens",
    "chunked_prefill_size": "tokens",
    "max_total_tokens": "tokens",
    "max_running_requests": "requests",
}
# Digits that a page shows at most; report.json has all.
_DIGITS = 6
_LISTS = ("reasons", "kinds", "headlines", "grid_tests", "refusals", "effects")
_DETAILS = (
    "verdict", "reason", "rule", "change", "ci_low", "ci_high", "p_adjusted", "pairs", "waived"
)  # fmt: skip


def page_data(report: Report, known: Mapping[str, KnownCommit] | None = None) -> dict[str, Any]:
    """Return the page's data: builds that were measured alike, so that one release follows another.

    `known` names commits by their full id, for results that hold neither a release nor a subject.
    """
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
        "builds": _builds(report, measured, targets, trend, known),
        "metrics": _metrics(measured["metrics"], trend),
        "axes": _axes(measured["axes"]),
        "cells": measured["cells"],
        "outcomes": measured["outcomes"],
        "values": _numbers(trend.values),
        "ratios": _numbers(trend.ratios),
        "letters": [_letter_rows(build) for build in trend.letters],
        "before": [[_before(cells) for cells in build] for build in trend.before],
        "trend": _trend(trend),
        **read_logs(results.frame, cells, comparison, targets[head]),
        "sessions": measured["sessions"],
        "skipped": measured["skipped"],
        "notes": [*report.notes, *_others(report), *(comparison["notes"] if comparison else [])],
    }
    shown: dict[str, Any] = shortened(page, short_names(results, targets))
    return shown


def _builds(
    report: Report,
    measured: Mapping[str, Any],
    targets: Sequence[str],
    trend: Trend,
    known: Mapping[str, KnownCommit] | None,
) -> list[dict[str, Any]]:
    config = report.config
    builds = describe_builds(measured["builds"], targets, repository=config.repository, known=known)
    moves = find_moves(
        report.results.frame,
        targets,
        trend,
        outcomes=measured["outcomes"],
        workloads=[cell["axes"].get("workload", "") for cell in measured["cells"]],
        config=config,
    )
    return [build | {"moved": moved} for build, moved in zip(builds, moves, strict=True)]


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


def _axes(axes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    units = {kind.level_name: kind.unit for kind in pressure_kinds()} | _SETTING_UNITS
    return [{**axis, "unit": units.get(axis["name"], "")} for axis in axes]


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
        return {
            **empty,
            **{name: [] for name in _LISTS},
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
        "effects": _effects(comparison["effects"]),
        "headlines": [
            {**one, "cells": [number[cell] for cell in one["cells"]]} for one in comparison["headlines"]
        ],
        "facts": [facts.get(cell) for cell in cells],
        "details": _details(comparison["verdicts"], trend, number),
    }


def _effects(effects: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What changed over a workload, the largest change first; sizes are fractions, or null.

    [{"metric", "workload", "settings", "role", "verdict", "threshold", "size", "text", "pressures"}]
    """
    names = ("metric", "workload", "settings", "role", "verdict", "threshold", "pressures")
    rows = [
        {name: one[name] for name in names}
        | {"size": _rounded(one["change"]["size"], _DIGITS), "text": one["change"]["text"]}
        for one in effects
        if one["change"] is not None and one["verdict"] != SAME
    ]
    return sorted(rows, key=lambda row: -(math.inf if row["size"] is None else abs(row["size"])))


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
