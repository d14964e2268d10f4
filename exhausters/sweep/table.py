"""The table that a sweep prints."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from exhausters.console import headed_table
from exhausters.observe.metrics import METRICS
from exhausters.pressure.kind import ExhausterKind
from exhausters.pressure.registry import kinds
from exhausters.sweep.record import DRAINED, FAILURES, RunRecord

# Columns: metric, heading, digits after the point.
_COLUMNS = (
    ("steps_to_drain", "steps", 0),
    ("prefill_steps", "prefill\nbatches", 0),
    ("requests_per_prefill_batch", "reqs/\nbatch", 2),
    ("tokens_per_prefill_batch", "tokens/\nbatch", 1),
    ("evicted_tokens", "evicted\ntokens", 0),
    ("recompute_tax", "recom-\nputed", 3),
    ("retractions", "retrac-\ntions", 0),
    ("chunks", "chunks", 0),
    ("chunked_prefill_tokens_per_second", "chunk\ntok/s", 0),
    ("time_to_first_token_p99_seconds", "ttft\np99 s", 3),
)
# Shown where anything was copied to the host.
_HOST_COLUMNS = (
    ("backed_up_tokens", "backed\nup", 0),
    ("loaded_back_tokens", "loaded\nback", 0),
)
# Each of them where it is not 0 everywhere: engines of a disaggregated pair.
_TRANSFER_COLUMNS = (
    ("transfer_wait_steps", "trans\nwait", 0),
    ("prealloc_wait_steps", "alloc\nwait", 0),
    ("failed_transfers", "failed", 0),
)
_Columns = Sequence[tuple[str, str, int]]


def records_table(records: Sequence[RunRecord], *, title: str) -> Group:
    """Return a table of one row per cell, in parts headed by workload and engine settings."""
    parts: list[RenderableType] = [Text(title, style="bold")]
    given = {name for record in records for name in record.cell.levels.given()}
    shown = [kind for kind in kinds() if kind.always_shown or kind.level_name in given]
    columns: tuple[tuple[str, str, int], ...] = _COLUMNS
    if any(record.result.metrics.get(_HOST_COLUMNS[0][0]) for record in records):
        columns += _HOST_COLUMNS
    columns += tuple(
        one for one in _TRANSFER_COLUMNS if any(record.result.metrics.get(one[0]) for record in records)
    )
    for heading, rows in groupby(records, key=_heading):
        table = _empty_table(heading, shown, columns)
        for record in rows:
            table.add_row(*_row(record, shown, columns))
        parts.append(table)
    return Group(*parts)


def _heading(record: RunRecord) -> str:
    return f"{record.cell.workload}  ({record.cell.engine.label})"


def _empty_table(heading: str, shown: Sequence[ExhausterKind], columns: _Columns) -> Table:
    table = headed_table(heading)
    # Fixed widths, so that the parts line up below each other.
    for name in (*(kind.heading for kind in shown), "taken"):
        table.add_column(name, justify="right", no_wrap=True, min_width=5)
    table.add_column("outcome", no_wrap=True, min_width=7)
    for name, text, _ in columns:
        if name not in METRICS:
            raise KeyError(name)
        table.add_column(text, justify="right", no_wrap=True, min_width=max(map(len, text.split("\n"))))
    return table


def _row(record: RunRecord, shown: Sequence[ExhausterKind], columns: _Columns) -> list[str | Text]:
    levels = record.cell.levels
    axes = levels.as_axes()
    outcome = record.result.outcome
    style = "green" if outcome == DRAINED else "red" if outcome in FAILURES else "yellow"
    cells: list[str | Text] = [
        *(str(axes[kind.level_name]) for kind in shown),
        "held" if levels.held else "once",
        Text(outcome, style=style),
    ]
    for name, _, digits in columns:
        value = record.result.metrics.get(name)
        cells.append("–" if value is None else f"{value:,.{digits}f}")
    return cells
