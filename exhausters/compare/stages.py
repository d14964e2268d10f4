"""The stages of a comparison: decisions, work, executed lines, switches that may reach more, host time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from exhausters.compare.chosen_cells import covering_cells
from exhausters.compare.folder import BASE, HEAD, PAIRS
from exhausters.compare.host_time import Undecided, time_pairs
from exhausters.compare.reach_of_runs import ReachOfRuns, Sources, sources_of
from exhausters.compare.sides import Side, difference, has_run, is_same_work, side_by_side
from exhausters.compare.switches import Switch, find_switches, is_named
from exhausters.engine.load import source_tree
from exhausters.progress import ShownProgress
from exhausters.reach.reached import Reach
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import COUNTED, DECIDE, LINES
from exhausters.sweep.execute import Executor
from exhausters.sweep.grid import Grid
from exhausters.sweep.plan import CELL_TIMEOUT_SECONDS, require_pair
from exhausters.sweep.record import DRAINED
from exhausters.sweep.store import sweep_writer
from exhausters.targets import PreparedTarget

OnCell = Callable[[Cell], None]

# Each boots both builds again, which takes about ten seconds.
MAX_SWITCHES = 6
# A change of more lines than this, such as a release, names too many switches to try any.
_MAX_LINES_TO_TRY = 400
# Lines and guards that are printed; all of them are in the report.
_SHOWN_UNREACHED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """How two builds are compared.

    Attributes:
        host_time: take host time in pairs where it can matter.
        rounds: pairs per cell at each of two looks.
        max_switches: further cells, at most, that are tried for lines that no run reached.
        cell_timeout_seconds: real seconds after which a cell's worker is killed.
    """

    host_time: bool = True
    rounds: int = 10
    max_switches: int = MAX_SWITCHES
    cell_timeout_seconds: float = CELL_TIMEOUT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What the stages leave beside the records on disk.

    Attributes:
        reach: how much of the change was executed; None where that is not known.
        differing_cells: ids of the cells in which both builds did not do the same.
        tried: what was tried for lines that no run of the grid reached, a sentence each.
        has_pairs: whether host time was taken.
    """

    reach: Reach | None
    differing_cells: tuple[str, ...]
    tried: tuple[str, ...]
    has_pairs: bool


def compare_builds(
    base: PreparedTarget,
    head: PreparedTarget,
    grid: Grid,
    *,
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
        stages = _Stages(sides[0], sides[1], grid, executor, progress, options or CompareOptions())
        return stages.run(folder, undecided)


class _Stages:
    """One comparison while it runs."""

    def __init__(
        self,
        base: Side,
        head: Side,
        grid: Grid,
        executor: Executor,
        progress: ShownProgress,
        options: CompareOptions,
    ) -> None:
        self._base = base
        self._head = head
        self._grid = grid
        self._executor = executor
        self._progress = progress
        self._options = options
        self._tried: list[str] = []

    def run(self, folder: Path, undecided: Undecided) -> Compared:
        """All stages, in order."""
        self._decide(self._grid.cells)
        self._count(self._grid.cells)
        sources = sources_of(self._base, self._head)
        reach = self._reach(sources) if sources is not None else None
        for side in (self._base, self._head):
            side.writer.finish()
        differing = self._differing()
        timed = self._cells_to_time(differing, sources)
        if timed:
            with self._stage("host time") as said:
                said.append(
                    time_pairs(
                        self._base,
                        self._head,
                        timed,
                        rounds=self._options.rounds,
                        folder=folder / PAIRS,
                        executor=self._executor,
                        undecided=undecided,
                        progress=self._progress,
                    )
                )
        return Compared(
            reach=reach,
            differing_cells=tuple(cell.id for cell in differing),
            tried=tuple(self._tried),
            has_pairs=bool(timed),
        )

    def _decide(self, cells: Sequence[Cell]) -> None:
        differing: set[str] = set()
        with self._stage("decisions") as said:

            def show(cell: Cell) -> None:
                found = self._difference(cell)
                if found is None:
                    return
                if found:
                    differing.add(cell.id)
                self._progress.note(f"{'differs' if found else 'same   '} {cell.id}{found and ': '}{found}")

            self._run(cells, DECIDE, show)
            said.append(f"{len(cells)} cells, {len(differing)} differ")

    def _difference(self, cell: Cell) -> str | None:
        """In words; empty when both builds decided the same, None while one of them has not run."""
        ours, theirs = (side.records.get(cell.id) for side in (self._base, self._head))
        return None if ours is None or theirs is None else difference(ours, theirs)

    def _count(self, cells: Sequence[Cell]) -> None:
        """Count work where both builds ran: the decisions of this pass must be those that are known."""
        both = [cell for cell in cells if self._has_run(cell)]
        if not both:
            return
        with self._stage("work") as said:
            self._run(both, COUNTED)
            said.append(f"{len(both)} cells counted")

    def _reach(self, sources: Sources) -> Reach | None:
        if not sources.differing:
            self._progress.note(f"reach: the sources below {sources.watched} are equal")
            return Reach(changed=0, reached=0, unreached=())
        cells = [cell for cell in covering_cells(self._grid.cells) if self._has_run(cell)]
        if not cells:
            return None
        measured = ReachOfRuns(sources, self._base, self._head)
        with self._stage("reach") as said:
            self._run(cells, LINES)
            reach = measured.measure()
            said.append(f"{reach}" if reach is not None else "no lines were recorded")
        if reach is not None and any(one.is_imported for one in reach.unreached):
            if reach.changed > _MAX_LINES_TO_TRY:
                self._tried.append(f"nothing: a change of {reach.changed:,} lines names too many switches")
            else:
                reach = self._try_switches(reach, measured, sources, cells)
        if reach is not None:
            self._show_unreached(reach)
        return reach

    def _try_switches(
        self, reach: Reach, measured: ReachOfRuns, sources: Sources, cells: Sequence[Cell]
    ) -> Reach:
        """Run further cells, one per switch, until all is reached or enough was tried."""
        defaults = source_tree(self._head.target.engine).switches(sources.head)
        switches = find_switches(reach, base=sources.base, head=sources.head, defaults=defaults)
        pairs = [(switch, switch.applied_to(self._cell_near(switch, cells))) for switch in switches]
        cells_to_try = [(switch, cell) for switch, cell in pairs if cell is not None]
        for switch, cell in cells_to_try[: self._options.max_switches]:
            if not any(one.is_imported for one in reach.unreached):
                break
            with self._stage(f"tried {switch}") as said:
                is_new = not is_named(switch, sources.base / sources.watched)
                self._extend(cell, is_judged=not is_new)
                self._run([cell], LINES)
                after = measured.measure() or reach
                more = after.reached - reach.reached
                new = "; only head has it, so its cell is not judged" if is_new else ""
                said.append(self._what_it_brought(cell, more) + new)
                self._tried.append(f"{switch}: {said[0]}")
                if more and not is_new and self._has_run(cell):
                    self._run([cell], COUNTED)
                reach = after
        left_out = len(cells_to_try) - self._options.max_switches
        if left_out > 0:
            self._tried.append(f"{left_out} more switches that the diff names were not tried")
        return reach

    def _what_it_brought(self, cell: Cell, more: int) -> str:
        records = [side.records[cell.id] for side in (self._base, self._head)]
        failed = [one for one in records if one.result.outcome != DRAINED]
        decided = "" if difference(*records) == "" else ", and both builds decide differently there"
        ended = ""
        if failed:
            result = failed[0].result
            ended = f" ({failed[0].target}: {result.outcome}: {result.reason})"
        lines = "1 more line" if more == 1 else f"{more} more lines"
        return f"reached {lines if more else 'nothing more'}{decided}{ended}"

    def _cell_near(self, switch: Switch, cells: Sequence[Cell]) -> Cell:
        """The cell that executed most of the file; of equals the last, the one under pressure."""

        def lines(cell: Cell) -> int:
            executed = self._head.records[cell.id].result.executed
            return len(executed.lines.get(switch.unreached.file, ())) if executed else 0

        return max(reversed(cells), key=lines)

    def _extend(self, cell: Cell, *, is_judged: bool) -> None:
        if not is_judged:
            for side in (self._base, self._head):
                side.unjudged.add(cell.id)
            return
        self._grid = replace(self._grid, cells=(*self._grid.cells, cell))
        for side in (self._base, self._head):
            side.writer.extend(self._grid)

    def _show_unreached(self, reach: Reach) -> None:
        # What a worker does not import cannot be reached by any cell, and is not worth a line each.
        shown = [one for one in reach.unreached if one.is_imported] or list(reach.unreached)
        for one in shown[:_SHOWN_UNREACHED]:
            self._progress.note(f"not reached: {one}")
        if len(shown) > _SHOWN_UNREACHED:
            self._progress.note(f"not reached: {len(shown) - _SHOWN_UNREACHED} more places")

    def _differing(self) -> list[Cell]:
        return [
            cell
            for cell in self._grid.cells
            if not self._has_run(cell)
            or self._difference(cell)
            or not is_same_work(self._base.records[cell.id], self._head.records[cell.id])
        ]

    def _cells_to_time(self, differing: Sequence[Cell], sources: Sources | None) -> list[Cell]:
        """A few cells in which something differs and both builds drain; none where the sources are equal."""
        if not self._options.host_time or (sources is not None and not sources.differing):
            return []
        drained = [
            cell
            for cell in differing
            if all(side.records[cell.id].result.outcome == DRAINED for side in (self._base, self._head))
        ]
        # One engine setting per workload: twenty runs of a cell and more are needed on either side.
        first = {cell.workload: cell.engine for cell in reversed(drained)}
        return list(covering_cells(cell for cell in drained if cell.engine == first[cell.workload]))

    def _has_run(self, cell: Cell) -> bool:
        return all(has_run(side.records.get(cell.id)) for side in (self._base, self._head))

    def _run(self, cells: Sequence[Cell], name: str, on_cell: OnCell = lambda cell: None) -> None:
        sides = {side.target.name: side for side in (self._base, self._head)}
        tasks = side_by_side(
            tuple(sides.values()),
            cells,
            passes=(name,),
            timeout_seconds=self._options.cell_timeout_seconds,
        )
        total, done = 2 * len(cells), 0
        # Closed here, so that no worker outlives an error in what is done with a record.
        with closing(self._executor.run(tasks)) as ended:
            for record in ended:
                sides[record.target].keep(record)
                done += 1
                self._progress.step(done, total)
                on_cell(record.cell)

    @contextmanager
    def _stage(self, name: str) -> Iterator[list[str]]:
        """Print what the block has said, with how long it took."""
        started = time.monotonic()
        self._progress.say(f"{name} …")
        said: list[str] = []
        yield said
        self._progress.note(f"{name}: {'; '.join(said)} ({time.monotonic() - started:.0f} s)")
