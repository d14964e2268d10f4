"""The report as plain JSON values: everything that a reader can be shown.

    {
      "format": "exhausters-report", "version": 3,
      "results":    what was measured, see `results_document`,
      "comparison": null, or two builds, see `comparison_document`,
      "history":    null, or a range of builds, see `history_document`,
      "notes":      [text]
    }

What is not known, or not finite, is null. Cells are referred to by their ids.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from reports.detect.history import History
from reports.explain.axes import AxisTable, axis_table
from reports.explain.comparison import Comparison
from reports.explain.headlines import Headline, counts_by_verdict, format_percent
from reports.load.builds import list_builds
from reports.load.frame import Results
from reports.render.json_answer import answer_document
from reports.vocabulary import OUTCOME, REPORT_FORMAT, VERDICTS

# Raise when a key is renamed or changes its meaning.
FORMAT_VERSION = 3


def report_document(
    results: Results | None = None,
    comparison: Comparison | None = None,
    history: History | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the document described at the top of this file."""
    return {
        "format": REPORT_FORMAT,
        "version": FORMAT_VERSION,
        "results": None if results is None else results_document(results),
        "comparison": None if comparison is None else comparison_document(comparison),
        "history": None if history is None else history_document(history),
        "notes": list(notes),
    }


def to_json(document: dict[str, Any]) -> str:
    """Return the document as JSON text; raises ValueError if a number in it is not finite."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False, ensure_ascii=False) + "\n"


def results_document(results: Results) -> dict[str, Any]:
    """Return what was measured.

    {"builds": [{"target", "version", "commit", "date", "subject"}]  oldest first; the commit's subject, or ""
     "metrics": [{"name", "kind", "unit", "better", "meaning"}]
     "axes": [{"name", "labels": [text], "is_ordered"}]           those that vary; labels ascending
     "cells": [{"id", "axes": {axis name: label}}]
     "outcomes": [[outcome of the cell or null]]                  builds x cells
     "values": [[[number or null]]]                               builds x metrics x cells; median of runs
     "sessions": [{"name", "suite", "expected_cells", "expected_runs", "grid", "complete"}]
     "skipped": [{"place", "reason"}]}
    """
    frame = results.frame
    builds = list_builds(frame)
    targets = list(dict.fromkeys(builds["target"]))
    subjects = _subjects(frame)
    table = axis_table([frame], results.axes)
    measured = frame[frame["metric"] != OUTCOME]
    metrics = list(dict.fromkeys(measured["metric"].astype(object)))
    return {
        "builds": [
            {name: _plain(row[name]) for name in ("target", "version", "commit", "date")}
            | {"subject": subjects.get(row["target"], "")}
            for row in builds.to_dict("records")
        ],
        "metrics": _metrics(measured),
        "axes": _axes(table),
        "cells": _cells(table),
        "outcomes": _outcomes(frame, targets, table.cells),
        "values": _values(measured, targets, metrics, table.cells),
        "sessions": [asdict(session) for session in results.sessions],
        "skipped": [asdict(skipped) for skipped in results.skipped],
    }


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """Return two builds compared.

    {"base", "head", "base_commit", "head_commit", "base_subject", "head_subject", "grid"
     "verdict", "exit_code", "reasons": [text]                    of the answer, see `answer_document`
     "answer", "effects": [{"workload", "settings", "metric", "role", "unit", "better", "verdict", "threshold"
                  "rule", "change", "by_pressure", "pressures", "cells", "worse_cells", "better_cells"
                  "reasons"}]                                     see `answer_document`
     "counts": {verdict: number of cells}
     "headlines": [{"verdict", "text", "metric", "kind", "unit", "change", "reasons": [text], "cells": [id],
                    "where": {"text", "region": null or {"conditions": [text], "cells", "hit_cells"},
                              "scattered_cells"},
                    "others": [{"metric", "change", "cells": number}]}]   most important first
     "axes": [{"name", "labels": [text], "is_ordered"}]           as in `results_document`
     "cells": [{"id", "verdict", "base_outcome", "head_outcome", "reason", "broken_in"
                "axes": {axis name: label}}]                      broken_in: "base", "head", "both" or ""
     "verdicts": [{"cell", "metric", "kind", "unit", "better", "base", "head", "change", "verdict", "judged",
                   "rule", "reason", "required", "waived", "ratio", "ci_low", "ci_high", "p", "p_adjusted",
                   "pairs"}]
     "grid_tests": [{"metric", "unit", "better", "axis", "axis_value", "cells", "skipped_cells", "pairs",
                     "ratio", "ci_low", "ci_high", "p", "p_adjusted", "verdict", "reason"}]
     "divergences": [{"cell", "sentence", "step", "field_names": [text], "base": [step], "head": [step],
                      "problem"}]
     "kinds": [{"kind", "is_judged", "metrics", "cells", "reasons": [text], "text"}]    what was judged
     "refusals": [text], "notes": [text]}
    """
    decision = comparison.decision
    verdicts = comparison.verdicts.assign(
        change=[
            _change(*pair)
            for pair in zip(comparison.verdicts["base"], comparison.verdicts["head"], strict=True)
        ]
    )
    return {
        "base": comparison.base,
        "head": comparison.head,
        "base_commit": comparison.base_commit,
        "head_commit": comparison.head_commit,
        "base_subject": comparison.base_subject,
        "head_subject": comparison.head_subject,
        "grid": comparison.grid,
        **answer_document(comparison),
        "verdict": decision.verdict,
        "exit_code": decision.exit_code,
        "reasons": list(decision.reasons),
        "counts": counts_by_verdict(comparison.cells["verdict"], VERDICTS),
        "headlines": [_headline(headline) for headline in comparison.headlines],
        "axes": _axes(comparison.table),
        "cells": _cells(comparison.table, comparison.cells),
        "verdicts": _records(verdicts),
        "grid_tests": _records(comparison.grid_tests),
        "divergences": [asdict(divergence) for divergence in comparison.divergences],
        "kinds": [
            {
                "kind": one.kind,
                "is_judged": one.is_judged,
                "metrics": one.metrics,
                "cells": one.cells,
                "reasons": list(one.reasons),
                "text": one.text,
            }
            for one in comparison.kinds
        ],
        "refusals": [str(refusal) for refusal in comparison.refusals],
        "notes": list(comparison.notes),
    }


def history_document(history: History) -> dict[str, Any]:
    """Return a range of builds.

    {"builds": [name]                                             oldest first
     "changes": [{"build", "before_build", "cell", "metric", "kind", "unit", "better", "before", "after",
                  "change", "verdict", "p_adjusted"}]
     "outcomes": [{"build", "cell", "outcome", "is_broken"}]      cells that did not drain
     "missing": {build: number of cells without a run}
     "unanchored": number of host-time values without an anchor}
    """
    changes = history.changes.assign(
        change=[
            _change(*pair) for pair in zip(history.changes["before"], history.changes["after"], strict=True)
        ]
    )
    return {
        "builds": list(history.builds),
        "changes": _records(changes),
        "outcomes": _records(history.outcomes),
        "missing": dict(history.missing),
        "unanchored": history.unanchored,
    }


def _headline(headline: Headline) -> dict[str, Any]:
    lead, where = headline.lead, headline.where
    return {
        "verdict": lead.verdict,
        "text": headline.text,
        "metric": lead.metric,
        "kind": lead.kind,
        "unit": lead.unit,
        "change": lead.change,
        "reasons": list(lead.reasons),
        "cells": list(lead.cells),
        "where": {
            "text": str(where),
            "region": None if where.region is None else asdict(where.region),
            "scattered_cells": where.scattered_cells,
        },
        "others": [
            {"metric": other.metric, "change": other.change, "cells": len(other.cells)}
            for other in headline.others
        ],
    }


def _metrics(measured: pd.DataFrame) -> list[dict[str, Any]]:
    first = measured.drop_duplicates("metric")
    columns = ["kind", "unit", "better", "meaning"]
    rows = first[["metric", *columns]].astype(object).to_dict("records")
    return [{"name": row["metric"], **{name: row[name] for name in columns}} for row in rows]


def _axes(table: AxisTable) -> list[dict[str, Any]]:
    return [
        {"name": axis.name, "labels": list(axis.labels), "is_ordered": axis.is_ordered} for axis in table.axes
    ]


def _cells(table: AxisTable, facts: pd.DataFrame | None = None) -> list[dict[str, Any]]:
    labels = table.as_text().to_dict("index")
    if facts is None:
        return [{"id": cell, "axes": dict(labels[cell])} for cell in table.cells]
    columns = ["cell", "verdict", "base_outcome", "head_outcome", "reason", "broken_in"]
    return [
        {
            "id": row["cell"],
            **{name: _plain(row[name]) for name in columns[1:]},
            "axes": dict(labels[row["cell"]]),
        }
        for row in facts[columns].to_dict("records")
    ]


def _subjects(frame: pd.DataFrame) -> dict[str, str]:
    """First lines of the messages of the targets' commits, of those that are known."""
    runs = frame.loc[frame["metric"] == OUTCOME, ["target", "provenance"]].astype({"target": object})
    first = runs.drop_duplicates("target")
    return {
        target: str(facts.get("subject") or "")
        for target, facts in zip(first["target"], first["provenance"], strict=True)
    }


def _outcomes(frame: pd.DataFrame, targets: Sequence[str], cells: Sequence[str]) -> list[list[str | None]]:
    runs = frame.loc[frame["metric"] == OUTCOME, ["target", "cell", "outcome"]].astype(object)
    known = runs.drop_duplicates(["target", "cell"], keep="last").set_index(["target", "cell"])["outcome"]
    by_key = known.to_dict()
    return [[by_key.get((target, cell)) for cell in cells] for target in targets]


def _values(
    measured: pd.DataFrame, targets: Sequence[str], metrics: Sequence[str], cells: Sequence[str]
) -> list[list[list[float | None]]]:
    names = ["target", "metric", "cell"]
    medians = measured.groupby(names, observed=True, sort=False)["value"].median()
    by_key = medians.to_dict()
    return [
        [[_plain(by_key.get((target, metric, cell))) for cell in cells] for metric in metrics]
        for target in targets
    ]


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _change(before: object, after: object) -> str:
    """A relative change as text; empty where nothing changed or a value is unknown."""
    if not isinstance(before, int | float) or not isinstance(after, int | float):
        return ""
    if not math.isfinite(before) or not math.isfinite(after) or before == after:
        return ""
    return format_percent((after - before) / abs(before)) if before else f"0 to {after:g}"


def _plain(value: Any) -> Any:
    """A value as JSON has it; None for what is unknown or not finite."""
    if isinstance(value, pd.Timestamp):
        return None if value is pd.NaT else value.isoformat()
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    return value
