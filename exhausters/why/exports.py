"""Files for other tools: profiles for speedscope and flame graphs, decision logs for Perfetto."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exhausters.observe.call_tree import collapsed_stacks, speedscope
from exhausters.observe.chrome_trace import chrome_trace
from exhausters.sweep.record import RunRecord
from exhausters.why.profile import CellProfile

# Each run of a trace has this many processes of its own (see `chrome_trace`).
_PROCESSES_PER_RUN = 2


def write_exports(folder: Path, side: str, profile: CellProfile, *, title: str) -> tuple[Path, ...]:
    """Write a profile and its decision log as `SIDE.…` and return the files.

    Args:
        folder: where to; it exists.
        side: `base` or `head`.
        profile: what was run.
        title: its name in the tools.
    """
    roots = profile.roots()
    scope, stacks, trace = (
        folder / f"{side}.{ending}" for ending in ("speedscope.json", "collapsed.txt", "trace.json")
    )
    scope.write_text(json.dumps(speedscope(roots, title=title)))
    stacks.write_text("".join(f"{line}\n" for line in collapsed_stacks(roots)))
    trace.write_text(json.dumps(chrome_trace(profile.log.steps, title=title)))
    return scope, stacks, trace


def records_trace(records: Sequence[RunRecord]) -> dict[str, Any]:
    """Return one Chrome trace of several runs, each with processes of its own."""
    events: list[dict[str, Any]] = []
    for place, record in enumerate(records):
        trace = chrome_trace(record.result.log.steps, title=f"{record.target} {record.cell.id}")
        for event in trace["traceEvents"]:
            events.append({**event, "pid": event["pid"] + place * _PROCESSES_PER_RUN})
    return {"displayTimeUnit": "ms", "traceEvents": events}
