"""The cells of the suite, and the rounds that were run of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from statistics import median
from typing import Any

from exhausters.errors import ExhaustersError
from exhausters.gate_suite.scripts import Timed, TimedCell, time_cell
from exhausters.observe.metrics import HOST, METRICS
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.execute import boot_facts
from exhausters.sweep.failure import failed_result
from exhausters.sweep.grid import Grid
from exhausters.sweep.plan import CELL_TIMEOUT_SECONDS
from exhausters.sweep.record import CRASHED, DRAINED, CellResult
from exhausters.sweep.run_options import RunOptions
from exhausters.sweep.workers import Workers
from exhausters.targets import PreparedTarget
from exhausters.worker.host import Host
from exhausters.workloads import Workload, parse_workload

__all__ = ["PHASES", "Bench", "MeasuredCell"]

DRAIN, FORM_BATCH, EVICT, PIN = "drain", "form_batch", "evict", "pin"
PHASES = (DRAIN, FORM_BATCH, EVICT, PIN)


class Bench:
    """A target, a grid, and the one worker that is booted at a time; a context manager.

    Cells with equal engine settings share a worker, as long as they are measured one after another.

    Attributes:
        target_name: what is measured, as the user wrote it.
        grid: whose cells are measured.
    """

    def __init__(self, target: str, grid: Grid) -> None:
        self.target_name = target
        self.grid = grid
        self.cells = {cell.id: cell for cell in grid.cells}
        # One: a second worker would take its memory and caches from the one that is timed.
        self._workers = Workers(limit=1)
        self._measured: dict[str, MeasuredCell] = {}

    @property
    def target(self) -> PreparedTarget:
        """The target, prepared when it is first used.

        Raises:
            ExhaustersError: what `prepare` raised; a target that failed once is not prepared again.
        """
        return self._workers.prepared(self.target_name)

    def worker(self, engine: EngineSettings) -> AbstractContextManager[Host]:
        """Lend a worker with these settings, booting it if need be.

        Raises:
            ExhaustersError: it cannot be booted; settings that failed to boot are not tried again.
        """
        return self._workers.lend(self.target, engine)

    def measured(self, cell_id: str) -> MeasuredCell:
        """Return the cell's measurements; the first call runs the counted pass."""
        if cell_id not in self._measured:
            self._measured[cell_id] = MeasuredCell(self, self.cells[cell_id])
        return self._measured[cell_id]

    def close(self) -> None:
        """End the worker; harmless when there is none."""
        self._workers.close()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class MeasuredCell:
    """One cell: a counted pass that also warms the worker up, then as many timed rounds as are asked for.

    Every round starts from a reset engine and must decide what the counted pass decided.

    Attributes:
        cell: the cell.
        result: of the counted pass, or the failure that ended the cell.
    """

    def __init__(self, bench: Bench, cell: Cell) -> None:
        self.cell = cell
        self._bench = bench
        self._rounds: list[TimedCell] = []
        self.facts: dict[str, Any] = {}
        self.result = self._first()

    @property
    def is_drained(self) -> bool:
        """Whether every run of the cell drained, and all made the same decisions."""
        return self.result.outcome == DRAINED

    def seconds(self, phase: str, index: int) -> float:
        """Return the CPU seconds of a phase in a round, run now if need be; 0 after a failure."""
        while self.is_drained and len(self._rounds) <= index:
            self._next_round()
        return _phase_seconds(self._rounds[index], phase) if index < len(self._rounds) else 0.0

    def metrics(self) -> dict[str, float | int | None]:
        """Exact metrics of the counted pass; of host time, the median of the timed rounds."""
        found = {name: value for name, value in self.result.metrics.items() if METRICS[name].kind != HOST}
        return found | {name: median(values) for name, values in self.samples().items()}

    def samples(self) -> dict[str, list[float]]:
        """Host-time metrics with a value for each timed round; empty when the cell failed."""
        if not self.is_drained or not self._rounds:
            return {}
        names = [name for name, metric in METRICS.items() if metric.kind == HOST]
        rows = {name: [one.result.metrics.get(name) for one in self._rounds] for name in names}
        return {
            name: [float(value) for value in row if value is not None]
            for name, row in rows.items()
            if None not in row
        }

    def _first(self) -> CellResult:
        return self._attempt(RunOptions(count_work=True)).result

    def _next_round(self) -> None:
        timed = self._attempt(RunOptions(count_work=False))
        if timed.result.outcome != DRAINED:
            self.result = timed.result
        elif timed.result.log.digest != self.result.log.digest:
            self.result = CellResult(
                outcome=CRASHED,
                reason=f"round {len(self._rounds) + 1} decided differently from the counted pass",
                log=self.result.log,
                metrics=self.result.metrics,
                provenance=self.result.provenance,
            )
        else:
            self._rounds.append(timed)

    def _attempt(self, options: RunOptions) -> TimedCell:
        workload: Workload | None = None
        try:
            workload = parse_workload(self.cell.workload)
            with self._bench.worker(self.cell.engine) as host:
                self.facts = boot_facts(host)
                timed: TimedCell = host.run(
                    time_cell, self.cell, workload, options, timeout_seconds=CELL_TIMEOUT_SECONDS
                )
        except ExhaustersError as error:
            return TimedCell(result=failed_result(error, self.cell, workload, options), pin_seconds=0.0)
        return timed


def repeat(
    bench: Bench, engine: EngineSettings, script: Callable[..., Any], size: int
) -> Callable[[], Timed]:
    """Return a function that runs a script that times itself, on a worker with these settings."""

    def once() -> Timed:
        with bench.worker(engine) as host:
            timed: Timed = host.run(script, size)
        return timed

    return once


def _phase_seconds(timed: TimedCell, phase: str) -> float:
    metrics: Mapping[str, float | int | None] = timed.result.metrics
    if phase == PIN:
        return timed.pin_seconds
    if phase == DRAIN:
        return float(metrics["scheduler_cpu_seconds"] or 0.0)
    per_step = metrics[f"scheduler_cpu_ms_per_step_{phase}"] or 0.0
    return float(per_step) * float(metrics["steps_to_drain"] or 0) / 1e3
