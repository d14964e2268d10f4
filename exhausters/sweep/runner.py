"""Run every cell of a grid once on one target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from exhausters.errors import UsageError
from exhausters.sweep.execute import Executor, LocalExecutor
from exhausters.sweep.grid import Grid
from exhausters.sweep.plan import CELL_TIMEOUT_SECONDS, plan_sweep
from exhausters.sweep.record import RunRecord
from exhausters.sweep.run_options import RunOptions
from exhausters.targets import PreparedTarget
from exhausters.workloads import Workload

CLOCKS = ("virtual", "real")

OnRecord = Callable[[RunRecord], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOptions:
    """How a sweep is run; nothing here changes an exact number.

    Attributes:
        clock: `virtual` or `real`.
        cell_timeout_seconds: real seconds after which a cell's worker is killed.
        run: how each cell is run.

    Raises:
        UsageError: an unknown clock.
    """

    clock: str = "virtual"
    cell_timeout_seconds: float = CELL_TIMEOUT_SECONDS
    run: RunOptions = field(default_factory=RunOptions)

    def __post_init__(self) -> None:
        if self.clock not in CLOCKS:
            raise UsageError(f"clock={self.clock!r}: expected one of {', '.join(CLOCKS)}")


def sweep(
    target: PreparedTarget,
    grid: Grid,
    options: SweepOptions | None = None,
    *,
    executor: Executor | None = None,
    on_record: OnRecord = lambda record: None,
    known: Sequence[RunRecord] = (),
    workloads: Mapping[str, Workload] | None = None,
) -> tuple[RunRecord, ...]:
    """Run every cell of the grid and return the records in the grid's order.

    A cell whose worker dies, or whose engine does not boot, has a record with that outcome; no cell is
    missing. `on_record` is called in the caller's thread, in the order in which cells end.

    Args:
        target: what is swept.
        grid: the cells.
        options: how they are run.
        executor: where they are run; by default here, on all cores.
        on_record: called with each record as it comes.
        known: records of an earlier call, whose cells are not run.
        workloads: those of the cells, if they are built already.

    Raises:
        WorkloadError: a workload that cannot be built; raised before anything is booted.
    """
    options, executor = options or SweepOptions(), executor or LocalExecutor()
    records = {record.cell.id: record for record in known}
    left = tuple(cell for cell in grid.cells if cell.id not in records)
    tasks = plan_sweep(
        target,
        replace(grid, cells=left),
        workers=executor.workers,
        options=options.run,
        clock=options.clock,
        timeout_seconds=options.cell_timeout_seconds,
        workloads=workloads,
    )
    # Closed here, so that no worker outlives an error in `on_record`.
    with closing(executor.run(tasks)) as ended:
        for record in ended:
            records[record.cell.id] = record
            on_record(record)
    return tuple(records[cell.id] for cell in grid.cells)
