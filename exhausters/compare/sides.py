"""The records of both builds, cell by cell, as passes add to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from exhausters.observe.executed_source import ExecutedSource
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import joined
from exhausters.sweep.grid import Grid
from exhausters.sweep.plan import Task, plan_sweep
from exhausters.sweep.record import DRAINED, FAILURES, OUT_OF_MEMORY, UNSUPPORTED, CellResult, RunRecord
from exhausters.sweep.run_options import DrainLimits, RunOptions
from exhausters.sweep.same_result import decisions_differ
from exhausters.sweep.store import RecordWriter
from exhausters.targets import PreparedTarget


@dataclass(slots=True)
class Side:
    """One build: what is booted, where its records go, and what is known of each cell.

    Records of the cells in `unjudged` are not written: they say what was reached, and are not compared.
    """

    target: PreparedTarget
    writer: RecordWriter
    records: dict[str, RunRecord] = field(default_factory=dict)
    unjudged: set[str] = field(default_factory=set)
    _executed: dict[str, ExecutedSource | None] = field(default_factory=dict)

    def begin_again(self, cell_id: str) -> None:
        """Forget all that is known of a cell but the lines that it executed: its next run is its first."""
        self._executed[cell_id] = self.records.pop(cell_id).result.executed

    def keep(self, record: RunRecord) -> RunRecord:
        """Join a record with what is known of its cell, write the whole, and return it."""
        known = self.records.get(record.cell.id)
        if known is not None:
            record = replace(record, result=_joined(known.result, record.result))
        elif record.cell.id in self._executed:
            executed = self._executed.pop(record.cell.id)
            record = replace(record, result=replace(record.result, executed=executed))
        if record.cell.id not in self.unjudged:
            self.writer.add(record)
        self.records[record.cell.id] = record
        return record


def _joined(known: CellResult, later: CellResult) -> CellResult:
    result = joined(known, later)
    if later.outcome == known.outcome:
        return result
    # A pass that ended otherwise is what is to be seen, with what was measured before.
    error = {name: later.provenance[name] for name in ("error", "partial") if name in later.provenance}
    if later.outcome in (*FAILURES, OUT_OF_MEMORY):
        # Its log is cut short, which is no other decision: the failure is the reason that a reader needs.
        error["repeatable"] = known.provenance.get("repeatable", True)
    return replace(
        result,
        outcome=later.outcome,
        reason=later.reason,
        provenance={**result.provenance, **error},
    )


def side_by_side(
    sides: Sequence[Side],
    cells: Sequence[Cell],
    *,
    passes: tuple[str, ...],
    timeout_seconds: float,
    limits: DrainLimits | None = None,
    line_files: tuple[str, ...] = (),
) -> tuple[Task, ...]:
    """Return tasks that run the cells once on either side: the sides in turn, so that both progress."""
    grid = Grid(name="part", cells=tuple(cells))
    plans = [
        plan_sweep(
            side.target,
            grid,
            workers=1,
            options=RunOptions(passes=passes, limits=limits or DrainLimits(), line_files=line_files),
            timeout_seconds=timeout_seconds,
        )
        for side in sides
    ]
    return tuple(task for pair in zip(*plans, strict=True) for task in pair)


def has_run(record: RunRecord | None) -> bool:
    """Tell whether there is a run that says something about the scheduler."""
    return record is not None and record.result.outcome not in (*FAILURES, UNSUPPORTED)


def difference(base: RunRecord, head: RunRecord) -> str:
    """Return in words what two runs of a cell decided differently first; empty when their logs are equal."""
    ours, theirs = base.result, head.result
    if ours.outcome != theirs.outcome:
        return " → ".join(_ending(result) for result in (ours, theirs))
    return decisions_differ(ours, theirs) or ""


def is_same_work(base: RunRecord, head: RunRecord) -> bool:
    """Tell whether both runs have equal metrics: decisions, modelled time and, where counted, work."""
    return dict(base.result.metrics) == dict(head.result.metrics)


def _ending(result: CellResult) -> str:
    return result.outcome if result.outcome == DRAINED else f"{result.outcome} ({result.reason})"
