"""What the dashboard shows, as plain JSON values: everything is decided here, the page only draws.

    {
      "verdict", "exit_code", "counts", "reasons", "headlines", "grid_tests", "refusals",
      "base", "head":   numbers of the builds compared, or null
      "builds":         [{"name", "version", "commit", "date", "message"}]        oldest first
      "metrics":        [{"name", "kind", "unit", "better", "meaning", "key"}]    "key": on the first screen
      "axes", "cells", "outcomes":                                                as in report.json
      "facts":          [{"verdict", "base_outcome", "head_outcome", "reason"} or null]     one a cell
      "values", "ratios": [[[number or null]]]                                    builds x metrics x cells
      "letters":        [[text]]             builds x metrics, one letter a cell (see `trend`)
      "trend":          {"index", "low", "high", "means", "changes", "worse", "better", "changed"}
                                                                                  each builds x metrics
      "details":        {"cell", "metric", "verdict", "reason", "rule", "change", "ci_low", "ci_high",
                         "p_adjusted", "pairs", "waived"}     columns, of base against head; not those that
                                                              are the same and have nothing to tell
      "timelines":      {"base", "head": [timeline or null]}  one a cell (see `reports.dashboard.timeline`)
      "partings":       [parting or null]                     one a cell (see `reports.explain.divergence`)
      "sessions", "skipped", "notes"
    }

Ratios are over the build before. Only the two builds that are compared have timelines; the decisions of
the others are told by their metrics. Names of folders are cut to their last part: a page is passed on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any, Final

import numpy as np
import pandas as pd

from exhausters.errors import LogFormatError
from exhausters.observe.decision_log import DecisionLog
from reports.dashboard.timeline import timeline
from reports.dashboard.trend import LETTERS, Trend, count_letters, find_trend
from reports.detect.config import Config
from reports.detect.history import History
from reports.explain.divergence import part_decisions, part_logs
from reports.load.frame import Results
from reports.vocabulary import BETTER, CHANGED, DECISION_LOG, OUTCOME, SAME, UNDECIDED, WORSE

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
_DETAILS = (
    "verdict", "reason", "rule", "change", "ci_low", "ci_high", "p_adjusted", "pairs", "waived"
)  # fmt: skip


def dashboard_data(
    results: Results, document: Mapping[str, Any], history: History | None, config: Config
) -> dict[str, Any]:
    """Return the page's data.

    Args:
        results: what was loaded.
        document: what `reports.render.json_report.report_document` made of it.
        history: changes over the builds, if there are enough of them.
        config: thresholds.
    """
    measured, comparison = document["results"], document["comparison"]
    targets = list(dict.fromkeys(build["target"] for build in measured["builds"]))
    cells = [cell["id"] for cell in measured["cells"]]
    trend = find_trend(results.frame, targets, cells, history, config)
    base = targets.index(comparison["base"]) if comparison else None
    head = targets.index(comparison["head"]) if comparison else len(targets) - 1
    if comparison is not None:
        _overlay(trend, comparison["verdicts"], head)
    page = {
        **_comparison(comparison, trend, cells),
        "base": base,
        "head": head,
        "builds": _builds(measured["builds"], targets),
        "metrics": _metrics(measured["metrics"], trend),
        "axes": measured["axes"],
        "cells": measured["cells"],
        "outcomes": measured["outcomes"],
        "values": _numbers(trend.values),
        "ratios": _numbers(trend.ratios),
        "letters": [["".join(row) for row in build] for build in trend.letters],
        "trend": _trend(trend),
        **_logs(results.frame, cells, comparison, targets[head]),
        "sessions": measured["sessions"],
        "skipped": measured["skipped"],
        "notes": [*document["notes"], *(comparison["notes"] if comparison else [])],
    }
    shown: dict[str, Any] = _shortened(page, _short_names(results, targets))
    return shown


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
        empty: dict[str, Any] = dict.fromkeys(("verdict", "exit_code"))
        lists: dict[str, Any] = {name: [] for name in ("reasons", "headlines", "grid_tests", "refusals")}
        return {**empty, **lists, "counts": {}, "facts": [None] * len(cells), "details": None}
    number = {cell: place for place, cell in enumerate(cells)}
    told = ("verdict", "base_outcome", "head_outcome", "reason")
    facts = {cell["id"]: {name: cell[name] for name in told} for cell in comparison["cells"]}
    names = ("verdict", "exit_code", "counts", "reasons", "grid_tests", "refusals")
    return {
        **{name: comparison[name] for name in names},
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
    # Outcomes and whole logs are told by the cell's facts.
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


def _overlay(trend: Trend, verdicts: Sequence[Mapping[str, Any]], head: int) -> None:
    """Put the comparison's verdicts into the trend: it knows pairs and repeated runs."""
    metrics = {name: place for place, name in enumerate(trend.metrics["metric"])}
    cells = {cell: place for place, cell in enumerate(trend.cells)}
    for row in verdicts:
        if row["metric"] in metrics and row["verdict"] != UNDECIDED:
            trend.letters[head, metrics[row["metric"]], cells[row["cell"]]] = LETTERS[row["verdict"]]


def _logs(
    frame: pd.DataFrame, cells: Sequence[str], comparison: Mapping[str, Any] | None, head: str
) -> dict[str, Any]:
    """Timelines and partings; a log that cannot be read has none, and its problem is the parting's."""
    theirs = _log_paths(frame, head)
    ours = _log_paths(frame, comparison["base"]) if comparison else {}
    rows = comparison["verdicts"] if comparison else ()
    alike = {row["cell"] for row in rows if row["metric"] == DECISION_LOG and row["verdict"] == SAME}
    lines: dict[str, list[Any]] = {"base": [], "head": []}
    partings: list[dict[str, Any] | None] = []
    for cell in cells:
        base_log, head_log = _read_log(ours.get(cell)), _read_log(theirs.get(cell))
        lines["base"].append(timeline(base_log.steps) if base_log else None)
        lines["head"].append(timeline(head_log.steps) if head_log else None)
        if comparison is None or cell in alike:
            partings.append(None)
        elif base_log and head_log:
            partings.append(asdict(part_decisions(cell, base_log, head_log)))
        else:
            partings.append(asdict(part_logs(cell, ours.get(cell), theirs.get(cell))))
    return {"timelines": lines, "partings": partings}


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


def _short_names(results: Results, targets: Sequence[str]) -> dict[str, str]:
    """Longer names first, so that a folder inside another is cut before the other."""
    folders = {session.name: PurePath(session.name).name for session in results.sessions}
    folders |= {skipped.place: PurePath(skipped.place).name for skipped in results.skipped}
    for target in targets:
        kind, colon, rest = target.partition(":")
        if colon and kind in ("path", "git"):
            path, at, revision = rest.partition("@")
            folders[target] = f"{kind}:{PurePath(path).name}{at}{revision}"
            folders[rest] = f"{PurePath(path).name}{at}{revision}"
    names = {name: short for name, short in folders.items() if short and short != name}
    return dict(sorted(names.items(), key=lambda pair: -len(pair[0])))


def _shortened(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, short in names.items():
            if name in value:
                value = value.replace(name, short)
        return value
    if isinstance(value, Mapping):
        return {key: _shortened(one, names) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(one, names) for one in value]
    return value
