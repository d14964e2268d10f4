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
# Shown where a cell gives the level: what was evicted of its pool.
_COLUMNS_OF_LEVELS = {
    "leave_window_tokens": ("window_evicted_tokens", "window\nevicted", 0),
    "leave_mamba_slots": ("mamba_evicted_slots", "slots\nevicted", 0),
}
# Shown where adapters were in batches.
_ADAPTER_COLUMNS = (
    ("adapters_per_batch_mean", "adapters/\nbatch", 2),
    ("adapter_loads", "adapter\nloads", 0),
)
# Shown where requests waited for a grammar.
_GRAMMAR_COLUMNS = (("compiling_steps", "com-\npiling\nsteps", 0),)
# Shown where requests were preempted.
_PREEMPTION_COLUMNS = (("preemptions", "preemp-\ntions", 0),)
# Shown where sessions kept anything.
_SESSION_COLUMNS = (
    ("session_tokens_max", "session\ntokens", 0),
    ("session_rows_max", "session\nrows", 0),
)
# Each where it is not 0 everywhere: engines of a disaggregated pair.
_TRANSFER_COLUMNS = (
    (("transfer_wait_steps", "trans\nwait", 0),),
    (("prealloc_wait_steps", "alloc\nwait", 0),),
    (("failed_transfers", "failed", 0),),
)
# Shown where any draft was verified.
_DRAFT_COLUMNS = (
    ("accepted_draft_tokens", "drafts\nright", 0),
    ("rejected_draft_tokens", "drafts\nwrong", 0),
    ("draft_kv_taken_tokens", "KV\ntaken", 0),
    ("draft_kv_returned_tokens", "KV\nback", 0),
)
_FURTHER_COLUMNS = (
    _HOST_COLUMNS,
    _ADAPTER_COLUMNS,
    _GRAMMAR_COLUMNS,
    _PREEMPTION_COLUMNS,
    _SESSION_COLUMNS,
    *_TRANSFER_COLUMNS,
    _DRAFT_COLUMNS,
)
_Columns = Sequence[tuple[str, str, int]]


def records_table(records: Sequence[RunRecord], *, title: str) -> Group:
    """Return a table of one row per cell, in parts headed by workload and engine settings."""
    parts: list[RenderableType] = [Text(title, style="bold")]
    given = {name for record in records for name in record.cell.levels.given()}
    shown = [kind for kind in kinds() if kind.always_shown or kind.level_name in given]
    of_levels = [column for level, column in _COLUMNS_OF_LEVELS.items() if level in given]
    for heading, group in groupby(records, key=_heading):
        rows = list(group)
        columns = [*_columns(rows), *of_levels]
        table = _empty_table(heading, shown, columns)
        for record in rows:
            table.add_row(*_row(record, shown, columns))
        parts.append(table)
    return Group(*parts)


def _columns(rows: Sequence[RunRecord]) -> _Columns:
    """The columns of every part, and those of features that show in this one."""
    columns = list(_COLUMNS)
    for further in _FURTHER_COLUMNS:
        if any(record.result.metrics.get(name) for record in rows for name, _, _ in further):
            columns += further
    return columns


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
