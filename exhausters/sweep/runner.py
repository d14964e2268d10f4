"""Run a grid on one target: one worker for each engine setting, several workers side by side."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from exhausters.errors import (
    ExhaustersError,
    HostError,
    TargetError,
    UnsupportedSettingError,
    UsageError,
    WorkerCrashedError,
    WorkerHungError,
    WorkerOutOfMemoryError,
)
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.summary import RunFacts, summarize
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import RunOptions, run_cell
from exhausters.sweep.grid import Grid
from exhausters.sweep.record import CRASHED, OUT_OF_MEMORY, TIMEOUT, UNSUPPORTED, CellResult, RunRecord
from exhausters.targets import PreparedTarget
from exhausters.worker.host import Host
from exhausters.worker.protocol import HostSettings
from exhausters.workloads import Workload, parse_workload

# Far above what any cell of the built-in grids needs (about a second); a cell that takes longer hangs.
CELL_TIMEOUT_SECONDS = 300.0
# More workers than this wait for memory bandwidth rather than for a core.
MAX_WORKERS = 8
CLOCKS = ("virtual", "real")

OnRecord = Callable[[RunRecord], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOptions:
    """How a sweep is run; nothing here changes an exact number.

    Attributes:
        workers: schedulers side by side; None for one per core this process may use.
        clock: `virtual` or `real`.
        cell_timeout_seconds: real seconds after which a cell's worker is killed.
        run: how each cell is run.

    Raises:
        UsageError: an unknown clock, or fewer than one worker.
    """

    workers: int | None = None
    clock: str = "virtual"
    cell_timeout_seconds: float = CELL_TIMEOUT_SECONDS
    run: RunOptions = field(default_factory=RunOptions)

    def __post_init__(self) -> None:
        if self.clock not in CLOCKS:
            raise UsageError(f"clock={self.clock!r}: expected one of {', '.join(CLOCKS)}")
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"workers={self.workers}: expected an integer >= 1, or None for one per core")


def sweep(
    target: PreparedTarget,
    grid: Grid,
    options: SweepOptions | None = None,
    *,
    on_record: OnRecord = lambda record: None,
) -> tuple[RunRecord, ...]:
    """Run every cell of the grid and return the records in the grid's order.

    A cell whose worker dies, or whose engine does not boot, has a record with that outcome; no cell is
    missing. `on_record` is called from one thread at a time, in the order in which cells end.

    Raises:
        WorkloadError: a workload that cannot be built; raised before anything is booted.
    """
    options = options or SweepOptions()
    workloads = {cell.workload: parse_workload(cell.workload) for cell in grid.cells}
    lock = threading.Lock()
    records: dict[str, RunRecord] = {}

    def keep(cell: Cell, result: CellResult) -> None:
        with lock:
            record = records[cell.id] = RunRecord(cell=cell, target=target.name, result=result)
            on_record(record)

    count = options.workers or min(MAX_WORKERS, len(os.sched_getaffinity(0)))
    batches = list(share_out(grid.cells, count))
    with ThreadPoolExecutor(max_workers=count, thread_name_prefix="sweep") as pool:
        jobs = [pool.submit(_run_batch, target, batch, workloads, options, keep) for batch in batches]
        for job in jobs:
            job.result()
    return tuple(records[cell.id] for cell in grid.cells)


def share_out(cells: Sequence[Cell], workers: int) -> Iterator[tuple[Cell, ...]]:
    """Split cells into batches of one engine setting each, enough of them to keep all workers busy.

    A boot costs as much as many cells, so a setting is split only while there are fewer batches than
    workers.
    """
    groups: dict[EngineSettings, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.engine, []).append(cell)
    pieces = max(1, workers // max(1, len(groups)))
    for group in groups.values():
        for first in range(min(pieces, len(group))):
            yield tuple(group[first::pieces])


def _run_batch(
    target: PreparedTarget,
    cells: Sequence[Cell],
    workloads: dict[str, Workload],
    options: SweepOptions,
    keep: Callable[[Cell, CellResult], None],
) -> None:
    """Run cells of one engine setting on one worker, booting another when it dies."""
    host: Host | None = None
    unbootable: ExhaustersError | None = None
    try:
        for cell in cells:
            if unbootable is not None:
                keep(cell, failed_result(unbootable))
                continue
            try:
                if host is None:
                    host = boot(target, cell.engine, clock=options.clock)
                keep(cell, run_one(host, cell, workloads[cell.workload], options))
            except ExhaustersError as error:
                keep(cell, failed_result(error, workloads[cell.workload]))
                if host is None and not isinstance(error, WorkerCrashedError):
                    # The same settings would fail to boot in the same way again.
                    unbootable = error
                elif isinstance(error, (HostError, TargetError)):
                    host = None
                # Else the script or an exhauster failed; the engine is reset before the next cell.
    finally:
        if host is not None:
            host.close()


def boot(target: PreparedTarget, engine: EngineSettings, *, clock: str = "virtual") -> Host:
    """Boot one worker with a cell's engine settings; raises what `Host` raises."""
    return Host(
        target,
        HostSettings(
            engine=engine.engine_keywords(),
            switches=dict(engine.server_args),
            environment={name: str(value) for name, value in engine.env},
            clock=clock,
            model=engine.model,
            tree_core=engine.tree_core,
        ),
    )


def run_one(host: Host, cell: Cell, workload: Workload, options: SweepOptions) -> CellResult:
    """Run one cell on a booted host; raises what the cell's script or the host raises."""
    result: CellResult = host.run(
        run_cell, cell, workload, options.run, timeout_seconds=options.cell_timeout_seconds
    )
    facts = {name: value for name, value in host.facts.items() if name != "pid"}
    return CellResult(
        outcome=result.outcome,
        reason=result.reason,
        log=result.log,
        metrics=result.metrics,
        provenance={**facts, "engine_notes": list(host.ready.notes), **result.provenance},
    )


def failed_result(error: ExhaustersError, workload: Workload | None = None) -> CellResult:
    """Return the result of a cell that ended with an error: an outcome, its reason, and what was measured."""
    outcome = CRASHED
    if isinstance(error, WorkerOutOfMemoryError):
        outcome = OUT_OF_MEMORY
    elif isinstance(error, WorkerHungError):
        outcome = TIMEOUT
    first_line = str(error).split("\n", 1)[0]
    reason = f"{type(error).__name__}: {first_line}"
    if isinstance(error, UnsupportedSettingError):
        outcome, reason = UNSUPPORTED, first_line
    kept = _salvaged(getattr(error, "salvaged", None), workload)
    return CellResult(
        outcome=outcome,
        reason=reason,
        log=kept.log,
        metrics=kept.metrics,
        provenance={**kept.provenance, "error": str(error), "partial": len(kept.log) > 0},
    )


def _salvaged(salvaged: object, workload: Workload | None) -> CellResult:
    """What is left of a run: a whole result so far, or only the step records a killed worker wrote."""
    if isinstance(salvaged, CellResult):
        return salvaged
    steps = salvaged if isinstance(salvaged, tuple) else ()
    log = DecisionLog(steps)
    metrics: dict[str, float | int | None] = {}
    if steps and workload is not None:
        wanted = {request.rid: request.max_new_tokens for request in workload.requests}
        metrics = summarize(
            log, RunFacts(chunk_budget_tokens=None, submitted_steps={}, wanted_outputs=wanted)
        )
    return CellResult(outcome="", reason="", log=log, metrics=metrics)
