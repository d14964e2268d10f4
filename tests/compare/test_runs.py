"""What becomes of the records of a cell, pass after pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from exhausters.compare.runs import Runs
from exhausters.compare.sides import Side
from exhausters.console import error_console
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.executed_source import ExecutedSource
from exhausters.observe.step_record import IDLE, StepRecord
from exhausters.progress import ShownProgress
from exhausters.sweep.plan import Task
from exhausters.sweep.read_records import read_records
from exhausters.sweep.record import DRAINED, STALLED, RunRecord
from exhausters.sweep.run_options import COUNTED, DECIDE, LINES, DrainLimits
from exhausters.sweep.store import sweep_writer
from tests.sweep.samples import a_grid, a_record, a_target

_LINES = ExecutedSource(lines={"a.py": (1, 2)}, imported=("a.py",))


class _Executor:
    """Every run ends after as many steps as its build needs, or is given up at its limit."""

    workers = 1

    def __init__(self, needs: dict[str, int]) -> None:
        self._needs = needs

    def run(self, tasks: Sequence[Task]) -> Iterator[RunRecord]:
        for run in (run for task in tasks for run in task.runs):
            needed, limit = self._needs[run.target.name], run.options.limits.max_steps
            steps = min(needed, limit)
            record = a_record(run.cell, outcome=DRAINED if needed <= limit else STALLED, steps_to_drain=steps)
            log = DecisionLog(tuple(StepRecord(step=step, mode=IDLE) for step in range(steps)))
            executed = _LINES if run.options.passes == (LINES,) else None
            result = replace(record.result, log=log, executed=executed)
            yield replace(record, target=run.target.name, result=result)


def test_a_tried_cell_is_compared_by_the_limits_of_every_run(tmp_path: Path) -> None:
    """One that was given up while it was tried has the log of its whole run, and no pass disagrees."""
    grid = a_grid(leave_pages=["all", 64])
    first, tried = grid.cells
    targets = [a_target("0.5.22"), a_target("0.5.23")]
    executor: Any = _Executor({targets[0].name: 9, targets[1].name: 11})
    compared = replace(grid, cells=(first,))
    sides = [
        Side(target=target, writer=sweep_writer(tmp_path / target.version, target=target, grid=compared))
        for target in targets
    ]
    with ShownProgress(error_console()) as progress:
        runs = Runs(*sides, compared, executor=executor, progress=progress, cell_timeout_seconds=1.0)
        runs.decide([first])
        runs.try_cell(tried)
        runs.run([tried], LINES, limits=DrainLimits(max_steps=10))
        assert [side.records[tried.id].result.outcome for side in sides] == [DRAINED, STALLED]
        runs.judge(tried)
        for name in (DECIDE, COUNTED):
            runs.run([tried], name)
    for side, steps in zip(sides, (9, 11), strict=True):
        side.writer.finish()
        (result,) = [
            one.result
            for one in read_records(tmp_path / side.target.version).records
            if one.cell.id == tried.id
        ]
        assert (result.outcome, len(result.log), result.metrics["steps_to_drain"]) == (DRAINED, steps, steps)
        assert result.provenance["repeatable"] is True
        assert result.executed == _LINES
