"""What the decision logs of the two compared builds add to a dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from exhausters.errors import LogFormatError
from exhausters.observe.decision_log import DecisionLog
from reports.dashboard.timeline import timeline
from reports.explain.divergence import compare_log_files, compare_logs
from reports.vocabulary import DECISION_LOG, OUTCOME, SAME


def read_logs(
    frame: pd.DataFrame, cells: Sequence[str], comparison: Mapping[str, Any] | None, head: str
) -> dict[str, Any]:
    """Return timelines and divergences, one for each cell; null where there is none.

    {"timelines": {"base", "head": [see `timeline`]}, "divergences": [see `explain.divergence`]}

    An unreadable log has no timeline, and its divergence names the problem.

    Args:
        frame: the results.
        cells: ids, in the order wanted.
        comparison: as in report.json; None where there is nothing to compare.
        head: target of the head.
    """
    theirs = _log_paths(frame, head)
    ours = _log_paths(frame, comparison["base"]) if comparison else {}
    rows = comparison["verdicts"] if comparison else ()
    alike = {row["cell"] for row in rows if row["metric"] == DECISION_LOG and row["verdict"] == SAME}
    lines: dict[str, list[Any]] = {"base": [], "head": []}
    divergences: list[dict[str, Any] | None] = []
    # Cells that decide alike can share a log.
    read = lru_cache(maxsize=None)(_read_log)
    for cell in cells:
        base_log, head_log = read(ours.get(cell)), read(theirs.get(cell))
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
