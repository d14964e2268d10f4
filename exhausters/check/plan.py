"""Which passes the cells of a check have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.plan import PlannedRun, Task
from exhausters.sweep.run_options import IN_ROUNDS


def with_rounds(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Return the tasks with one more pass, in rounds, for one cell of each engine, of the fewest requests."""
    smallest: dict[EngineSettings, PlannedRun] = {}
    for task in tasks:
        for run in task.runs:
            known = smallest.setdefault(run.cell.engine, run)
            if len(run.workload.requests) < len(known.workload.requests):
                smallest[run.cell.engine] = run
    chosen = {run.cell.id for run in smallest.values()}
    return tuple(
        Task(runs=tuple(_in_rounds(run) if run.cell.id in chosen else run for run in task.runs))
        for task in tasks
    )


def _in_rounds(run: PlannedRun) -> PlannedRun:
    options = run.options
    return replace(run, options=replace(options, passes=(*options.wanted_passes, IN_ROUNDS)))
