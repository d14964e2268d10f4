"""The runs of a comparison: both builds side by side, pass after pass, each shown as it ends."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

from exhausters.compare.sides import Side, difference, has_run, side_by_side
from exhausters.progress import ShownProgress
from exhausters.sweep.cell import Cell
from exhausters.sweep.execute import Executor
from exhausters.sweep.grid import Grid
from exhausters.sweep.run_options import COUNTED, DECIDE, DrainLimits

OnCell = Callable[[Cell], None]


class Runs:
    """Both builds, the cells until now, and what runs them; the stages of a comparison share it.

    Attributes:
        base, head: the builds with their records.
        grid: the cells that are compared; stages may add some.
        progress: where a line is left for each thing that was found.
    """

    def __init__(
        self,
        base: Side,
        head: Side,
        grid: Grid,
        *,
        executor: Executor,
        progress: ShownProgress,
        cell_timeout_seconds: float,
        line_files: tuple[str, ...] = (),
    ) -> None:
        """See the class; lines are recorded of `line_files`, of all files if there are none."""
        self.base = base
        self.head = head
        self.grid = grid
        self.progress = progress
        self._executor = executor
        self._cell_timeout_seconds = cell_timeout_seconds
        self._line_files = line_files

    @property
    def sides(self) -> tuple[Side, Side]:
        """Base and head."""
        return self.base, self.head

    def decide(self, cells: Sequence[Cell]) -> None:
        """Run cells plainly, and say of each whether both builds decided the same."""
        differing: set[str] = set()
        shown = itertools.count(1)
        with self.stage("decisions") as said:

            def show(cell: Cell) -> None:
                found = self.difference(cell)
                if found is None:
                    return
                if found:
                    differing.add(cell.id)
                place = f"[{next(shown)}/{len(cells)}]"
                word = "differs" if found else "same   "
                self.progress.note(f"{place} {word} {cell.id}{found and ': '}{found}")

            self.run(cells, DECIDE, show)
            said.append(f"{len(cells)} cells, {len(differing)} differ")

    def count(self, cells: Sequence[Cell]) -> None:
        """Count work where both builds ran: the decisions of this pass must be those that are known."""
        both = [cell for cell in cells if self.has_run(cell)]
        if not both:
            return
        with self.stage("work") as said:
            self.run(both, COUNTED)
            said.append(f"{len(both)} cells counted")

    def difference(self, cell: Cell) -> str | None:
        """In words; empty when both builds decided the same, None while one of them has not run."""
        ours, theirs = (side.records.get(cell.id) for side in self.sides)
        return None if ours is None or theirs is None else difference(ours, theirs)

    def has_run(self, cell: Cell) -> bool:
        """Tell whether there is a run of the cell on either build that says something about the scheduler."""
        return all(has_run(side.records.get(cell.id)) for side in self.sides)

    def try_cell(self, cell: Cell) -> None:
        """A cell that is about to run only for what it reaches: its records are not written."""
        for side in self.sides:
            side.unjudged.add(cell.id)

    def judge(self, cell: Cell) -> None:
        """A cell joins those that are compared, and is still to be run by the limits of every run.

        A run to try it may have been given up early: of that only the executed lines are kept.
        """
        self.grid = replace(self.grid, cells=(*self.grid.cells, cell))
        for side in self.sides:
            side.unjudged.discard(cell.id)
            side.writer.extend(self.grid)
            side.begin_again(cell.id)

    def run(
        self,
        cells: Sequence[Cell],
        name: str,
        on_cell: OnCell = lambda cell: None,
        *,
        limits: DrainLimits | None = None,
    ) -> None:
        """Make one pass over cells, on both builds side by side; `limits` are those of a run by default."""
        by_name = {side.target.name: side for side in self.sides}
        tasks = side_by_side(
            self.sides,
            cells,
            passes=(name,),
            timeout_seconds=self._cell_timeout_seconds,
            limits=limits,
            line_files=self._line_files,
        )
        total, done = 2 * len(cells), 0
        # Closed here, so that no worker outlives an error in what is done with a record.
        with closing(self._executor.run(tasks)) as ended:
            for record in ended:
                by_name[record.target].keep(record)
                done += 1
                self.progress.step(done, total)
                on_cell(record.cell)

    @contextmanager
    def stage(self, name: str) -> Iterator[list[str]]:
        """Print what the block has said, with how long it took."""
        started = time.monotonic()
        self.progress.say(f"{name} …")
        said: list[str] = []
        yield said
        self.progress.note(f"{name}: {'; '.join(said)} ({time.monotonic() - started:.0f} s)")
