"""The stages of a comparison: decisions, work, reach, host time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from exhausters.compare.chosen_cells import cells_to_time
from exhausters.compare.folder import BASE, HEAD, PAIRS
from exhausters.compare.host_time import Undecided, time_pairs
from exhausters.compare.line_files import line_files
from exhausters.compare.reaching import Reaching, ReachOptions
from exhausters.compare.runs import Runs
from exhausters.compare.sides import Side, is_same_work
from exhausters.compare.sources import Sources
from exhausters.observe.smallest_effects import COUNTS
from exhausters.progress import ShownProgress
from exhausters.reach.reached import Reach
from exhausters.sweep.cell import Cell
from exhausters.sweep.execute import Executor
from exhausters.sweep.grid import Grid
from exhausters.sweep.plan import CELL_TIMEOUT_SECONDS, require_pair
from exhausters.sweep.record import DRAINED
from exhausters.sweep.store import sweep_writer
from exhausters.targets import PreparedTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """How two builds are compared.

    Attributes:
        host_time: take host time in pairs where it can matter.
        rounds: pairs per cell at each of two looks.
        reach: how far to go for lines that no run reached.
        cell_timeout_seconds: real seconds after which a cell's worker is killed.
    """

    host_time: bool = True
    rounds: int = 10
    reach: ReachOptions = field(default_factory=ReachOptions)
    cell_timeout_seconds: float = CELL_TIMEOUT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What the stages leave beside the records on disk.

    Attributes:
        reach: how much of the change was executed; None where that is not known.
        tried: what was tried for lines that no run of the grid reached, a sentence each.
        has_pairs: whether host time was taken.
    """

    reach: Reach | None
    tried: tuple[str, ...]
    has_pairs: bool


def compare_builds(
    base: PreparedTarget,
    head: PreparedTarget,
    grid: Grid,
    *,
    sources: Sources | None,
    folder: Path,
    executor: Executor,
    undecided: Undecided,
    progress: ShownProgress,
    options: CompareOptions | None = None,
) -> Compared:
    """Run all stages, each on both builds side by side; records are on disk as they come.

    A run or boot that fails is a record with that outcome, and the stages go on with the other cells.

    Args:
        base, head: the builds.
        grid: the cells.
        sources: of both builds; None where they are not known, and reach is not measured.
        folder: where `base/`, `head/` and `pairs/` go.
        executor: where runs are executed; should keep its workers from stage to stage.
        undecided: tells which cells need more pairs.
        progress: shows each cell as it ends.
        options: what is left out, and limits.

    Raises:
        UsageError: both builds are the same.
        WorkloadError: a workload that cannot be built; raised before anything is booted.
        StoreError: records cannot be written.
    """
    require_pair(base, head, rounds=1)
    with ExitStack() as stack:
        sides = tuple(
            Side(
                target=target,
                writer=stack.enter_context(sweep_writer(folder / name, target=target, grid=grid)),
            )
            for name, target in ((BASE, base), (HEAD, head))
        )
        options = options or CompareOptions()
        runs = Runs(
            sides[0],
            sides[1],
            grid,
            executor=executor,
            progress=progress,
            cell_timeout_seconds=options.cell_timeout_seconds,
            line_files=() if sources is None else line_files(sources),
        )
        return _Stages(runs, executor, options).run(folder, sources, undecided)


class _Stages:
    """One comparison while it runs."""

    def __init__(self, runs: Runs, executor: Executor, options: CompareOptions) -> None:
        self._runs = runs
        self._executor = executor
        self._options = options

    def run(self, folder: Path, sources: Sources | None, undecided: Undecided) -> Compared:
        """All stages, in order."""
        runs = self._runs
        runs.decide(runs.grid.cells)
        runs.count(runs.grid.cells)
        reaching = None if sources is None else Reaching(runs, sources, self._options.reach)
        reach = None if reaching is None else reaching.run()
        for side in runs.sides:
            side.writer.finish()
        differing = self._differing()
        timed = self._cells_to_time(differing, sources)
        if timed:
            with runs.stage("host time") as said:
                said.append(
                    time_pairs(
                        *runs.sides,
                        timed,
                        rounds=self._options.rounds,
                        folder=folder / PAIRS,
                        executor=self._executor,
                        undecided=undecided,
                        progress=runs.progress,
                    )
                )
        return Compared(
            reach=reach,
            tried=() if reaching is None else tuple(reaching.tried),
            has_pairs=bool(timed),
        )

    def _differing(self) -> list[Cell]:
        runs = self._runs
        return [
            cell
            for cell in runs.grid.cells
            if not runs.has_run(cell)
            or runs.difference(cell)
            or not is_same_work(runs.base.records[cell.id], runs.head.records[cell.id])
        ]

    def _cells_to_time(self, differing: Sequence[Cell], sources: Sources | None) -> list[Cell]:
        """A few cells in which something differs and both builds drain; none where the sources are equal."""
        if not self._options.host_time or (sources is not None and not sources.differing):
            return []
        drained = [
            cell
            for cell in differing
            if all(side.records[cell.id].result.outcome == DRAINED for side in self._runs.sides)
        ]
        return list(cells_to_time(drained, moved={cell: self._moved_work(cell) for cell in drained}))

    def _moved_work(self, cell: Cell) -> float:
        """By what share the count that moved most differs per step; 0 where nothing was counted."""
        before, after = (side.records[cell.id].result.metrics for side in self._runs.sides)
        names = [f"{name}_per_step" for name in COUNTS]
        pairs = [(before.get(name), after.get(name)) for name in names]
        return max((abs(theirs / ours - 1) for ours, theirs in pairs if ours and theirs), default=0.0)
