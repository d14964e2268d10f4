"""Host time in pairs A B, B A, in at most two looks: more pairs only where the first look does not decide."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from pathlib import Path

from exhausters.compare.sides import Side
from exhausters.progress import ShownProgress
from exhausters.sweep.cell import Cell
from exhausters.sweep.execute import Executor
from exhausters.sweep.grid import Grid
from exhausters.sweep.plan import Task, plan_pairs
from exhausters.sweep.run_options import TIMED, RunOptions
from exhausters.sweep.store import pairs_writer

# Of the pairs in a folder: the cells whose host time is not decided yet.
Undecided = Callable[[Path], Collection[str]]


def time_pairs(
    base: Side,
    head: Side,
    cells: Sequence[Cell],
    *,
    rounds: int,
    folder: Path,
    executor: Executor,
    undecided: Undecided,
    progress: ShownProgress,
) -> str:
    """Time the cells `rounds` times on both builds, and where that is not enough as often again.

    One run at a time: runs beside each other would disturb the times. After the first look cells are left
    that are clearly the same, and nothing is called other (see `reports.detect.looks`). A workload is timed
    again as a whole.

    Returns:
        What was done, in words.
    """
    grid = Grid(name="pairs", cells=tuple(cells))
    both = (base.target, head.target)
    with pairs_writer(folder, base=both[0], head=both[1], grid=grid, rounds=rounds) as writer:

        def run(part: Sequence[Cell], *, first_round: int) -> None:
            tasks = _one_by_one(
                plan_pairs(
                    *both,
                    Grid(name="part", cells=tuple(part)),
                    rounds=rounds,
                    options=RunOptions(passes=(TIMED,)),
                    first_round=first_round,
                )
            )
            total, done = len(part) * rounds * 2, 0
            with closing(executor.run(tasks)) as ended:
                for record in ended:
                    writer.add(record)
                    done += 1
                    progress.step(done, total)

        progress.say(f"host time: {rounds} pairs of {len(cells)} cells")
        run(cells, first_round=0)
        open_ids = undecided(folder)
        workloads = {cell.workload for cell in cells if cell.id in open_ids}
        again = [cell for cell in cells if cell.workload in workloads]
        if again:
            progress.say(f"host time: {rounds} more pairs of {len(again)} cells")
            writer.expect(len(again) * rounds * 2)
            run(again, first_round=rounds)
        writer.finish()
    more = f", {rounds} more of {len(again)} cells" if again else ""
    return f"{rounds} pairs of {len(cells)} cells{more}"


def _one_by_one(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """One task of all runs."""
    return (Task(runs=tuple(run for task in tasks for run in task.runs)),)
