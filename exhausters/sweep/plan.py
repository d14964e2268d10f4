"""Which runs to execute, in which order: plain values that can be sent to any executor."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from exhausters.errors import UsageError
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.grid import Grid
from exhausters.sweep.run_options import RunOptions
from exhausters.targets import PreparedTarget
from exhausters.workloads import Workload, parse_workload

# Far above what any cell of the built-in grids needs (about a second); a cell that takes longer hangs.
CELL_TIMEOUT_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One cell, to be run once on one target. Can be pickled.

    Attributes:
        target: what is booted.
        cell: what is run on the target.
        workload: the cell's workload, built.
        options: how the cell is run, counting work or not.
        clock: `virtual` or `real`.
        timeout_seconds: real seconds after which the worker is killed.
        round: of a paired run, number of the pair within its cell, from 0; else None.
        order: of a paired run, `AB` if base runs first in its round, `BA` if head does; else None.
        boot: which worker of its target and engine settings runs it: others are other processes. A number
            of its own for each pair; 0 for all else.
        is_warm_up: run it and record nothing.
    """

    target: PreparedTarget
    cell: Cell
    workload: Workload
    options: RunOptions = field(default_factory=RunOptions)
    clock: str = "virtual"
    timeout_seconds: float = CELL_TIMEOUT_SECONDS
    round: int | None = None
    order: str | None = None
    boot: int = 0
    is_warm_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Runs that are executed one after another in one place, in this order. Can be pickled.

    Attributes:
        runs: the runs; one or more.
    """

    runs: tuple[PlannedRun, ...]

    @property
    def worker_count(self) -> int:
        """How many workers it keeps booted: one for each target with its engine settings."""
        return len({(run.target, run.cell.engine, run.clock) for run in self.runs})


def built_workloads(grid: Grid) -> dict[str, Workload]:
    """Return the workloads of a grid's cells, by their text.

    Raises:
        WorkloadError: one cannot be built.
    """
    return {text: parse_workload(text) for text in dict.fromkeys(cell.workload for cell in grid.cells)}


def plan_sweep(
    target: PreparedTarget,
    grid: Grid,
    *,
    workers: int,
    options: RunOptions,
    clock: str = "virtual",
    timeout_seconds: float = CELL_TIMEOUT_SECONDS,
    workloads: Mapping[str, Workload] | None = None,
) -> tuple[Task, ...]:
    """Return the tasks of a sweep: cells of one engine setting each, enough to keep all workers busy.

    `workloads` are those of the cells, if they are built already.

    Raises:
        WorkloadError: a workload cannot be built.
    """
    workloads = workloads or built_workloads(grid)
    return tuple(
        Task(
            runs=tuple(
                PlannedRun(
                    target=target,
                    cell=cell,
                    workload=workloads[cell.workload],
                    options=options,
                    clock=clock,
                    timeout_seconds=timeout_seconds,
                )
                for cell in cells
            )
        )
        for cells in share_out(grid.cells, workers)
    )


def plan_pairs(
    base: PreparedTarget,
    head: PreparedTarget,
    grid: Grid,
    *,
    rounds: int,
    options: RunOptions,
    first_round: int = 0,
    workloads: Mapping[str, Workload] | None = None,
) -> tuple[Task, ...]:
    """Return the tasks of a comparison: one per engine setting, each cell in turn A B, B A, A B, …

    Every round has a pair of processes of its own: where memory lies differs from process to process, and
    one can be slower than another of the same build for as long as it lives. The cells of a round share its
    processes. `workloads` are those of the cells, if they are built already.

    Raises:
        UsageError: both builds are the same, or there are no rounds.
        WorkloadError: a workload cannot be built.
    """
    require_pair(base, head, rounds=rounds)
    workloads = workloads or built_workloads(grid)
    return tuple(
        Task(
            runs=tuple(
                run
                for number in range(first_round, first_round + rounds)
                for place, cell in enumerate(cells)
                for run in _one_pair(
                    PlannedRun(
                        target=base,
                        cell=cell,
                        workload=workloads[cell.workload],
                        options=options,
                        boot=number + 1,
                    ),
                    head,
                    number,
                    is_first=place == 0,
                )
            )
        )
        for cells in share_out(grid.cells, 1)
    )


def pairs_left(tasks: Sequence[Task], done: Collection[tuple[str, int]]) -> tuple[Task, ...]:
    """Return the tasks of a comparison without pairs that were run, by cell id and round.

    What warms the processes of a round up stays, unless the whole round was run.
    """
    left = []
    for task in tasks:
        runs = [run for run in task.runs if run.is_warm_up or (run.cell.id, run.round) not in done]
        needed = {run.boot for run in runs if not run.is_warm_up}
        if needed:
            left.append(Task(runs=tuple(run for run in runs if run.boot in needed)))
    return tuple(left)


def require_pair(base: PreparedTarget, head: PreparedTarget, *, rounds: int) -> None:
    """Raise UsageError unless there are two builds with different names, and a round."""
    if base.name == head.name:
        raise UsageError(f"pair {base.name} with itself: expected two builds; give the second another name")
    if rounds < 1:
        raise UsageError(f"rounds={rounds}: expected an integer >= 1")


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


def _one_pair(run: PlannedRun, head: PreparedTarget, number: int, *, is_first: bool) -> Iterator[PlannedRun]:
    base = run.target
    if is_first:
        # The first run in a process pays for what is made only once: both sides pay before they count. What
        # the first run of a further cell pays is about a hundredth, on both sides (docs/verdicts.md).
        for target in (base, head):
            yield replace(run, target=target, is_warm_up=True)
    order = "AB" if number % 2 == 0 else "BA"
    for target in (base, head) if order == "AB" else (head, base):
        yield replace(run, target=target, round=number, order=order)
