"""Compares a release with planted copies of it: decisions, work, reach, and host time where wanted."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

from benchmarks.trust.answers import KnownReach
from benchmarks.trust.plants import Plant
from benchmarks.trust.trees import Tree
from exhausters.cli.compare_reports import undecided_in
from exhausters.compare.chosen_cells import covering_cells
from exhausters.compare.folder import BASE, HEAD
from exhausters.compare.reach_of_runs import ReachOfRuns
from exhausters.compare.reaching import ReachOptions
from exhausters.compare.sides import Side, has_run, side_by_side
from exhausters.compare.sources import sources_of
from exhausters.compare.stages import CompareOptions, compare_builds
from exhausters.progress import ShownProgress
from exhausters.reach.reached import Reach
from exhausters.sweep.execute import Executor, LocalExecutor
from exhausters.sweep.grid import Grid
from exhausters.sweep.plan import CELL_TIMEOUT_SECONDS
from exhausters.sweep.read_records import read_records
from exhausters.sweep.run_options import COUNTED, DECIDE, LINES
from exhausters.sweep.store import HEADER_NAME, sweep_writer
from exhausters.targets import PreparedTarget

# Says that a comparison is complete, and what was reached.
DONE_NAME = "plant.json"
_RELEASE = "release"


def compare_plants(
    plants: Sequence[Plant],
    *,
    release: PreparedTarget,
    trees: Sequence[Tree],
    grid: Grid,
    values: Mapping[str, int],
    folder: Path,
    progress: ShownProgress,
    say: Callable[[str], None],
) -> None:
    """Compare the release with each planted copy; what an earlier command completed is not run again.

    The release is the base of all. What is exact is run on it once, and on as many copies at a time as
    there are trees. Plants whose host time is wanted are compared one by one, by all stages of
    `exhausters compare`.
    """
    missing = [one for one in plants if not is_done(one, folder / one.name, grid)]
    started = time.monotonic()
    counter = iter(range(len(plants) - len(missing) + 1, len(plants) + 1))

    def finish(plant: Plant, reach: Reach | None) -> None:
        _write_done(plant, folder / plant.name, grid, reach)
        say(f"plant {next(counter)} of {len(plants)}: {plant.name} ({time.monotonic() - started:.0f} s)")

    counted = [one for one in missing if not one.pairs]
    if counted:
        _record_release(release, grid, folder / _RELEASE)
        _side_by_side(
            counted,
            trees,
            compare=lambda plant, tree: finish(
                plant, _compare_counts(plant, release, tree, grid, values, folder)
            ),
        )
    with LocalExecutor(workers=2) as executor:
        for plant in missing:
            if plant.pairs:
                with trees[0].planted(plant.file, plant.code, values) as head:
                    place = _empty(folder / plant.name)
                    finish(plant, _compare_timed(release, head, grid, place, executor, progress))


def _side_by_side(
    plants: Sequence[Plant], trees: Sequence[Tree], *, compare: Callable[[Plant, Tree], None]
) -> None:
    """Compare as many plants at a time as there are trees, each in a tree of its own."""
    free: SimpleQueue[Tree] = SimpleQueue()
    for tree in trees:
        free.put(tree)

    def in_a_tree(plant: Plant) -> None:
        tree = free.get()
        try:
            compare(plant, tree)
        finally:
            free.put(tree)

    with ThreadPoolExecutor(max_workers=len(trees)) as pool:
        try:
            for _ in pool.map(in_a_tree, plants):
                pass
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _compare_timed(
    release: PreparedTarget,
    head: PreparedTarget,
    grid: Grid,
    place: Path,
    executor: Executor,
    progress: ShownProgress,
) -> Reach | None:
    """All stages of `exhausters compare`; host time is taken alone."""
    return compare_builds(
        release,
        head,
        grid,
        sources=sources_of(release, head),
        folder=place,
        executor=executor,
        undecided=undecided_in,
        progress=progress,
        options=CompareOptions(reach=ReachOptions(max_switches=0, max_mutations=0)),
    ).reach


def _record_release(release: PreparedTarget, grid: Grid, folder: Path) -> None:
    """Run the release, unless that was done before."""
    if (folder / HEADER_NAME).exists():
        header = read_records(folder).header
        if header["complete"] and (header["target"], header["grid_digest"]) == (release.name, grid.digest):
            return
    shutil.rmtree(folder, ignore_errors=True)
    with LocalExecutor(workers=1) as executor, sweep_writer(folder, target=release, grid=grid) as writer:
        side = Side(target=release, writer=writer)
        _run(side, grid, executor)
        writer.finish()


def _compare_counts(
    plant: Plant,
    release: PreparedTarget,
    tree: Tree,
    grid: Grid,
    values: Mapping[str, int],
    folder: Path,
) -> Reach | None:
    place = _empty(folder / plant.name)
    shutil.copytree(folder / _RELEASE, place / BASE, copy_function=os.link)
    known = {one.cell.id: one for one in read_records(place / BASE).records}
    with (
        tree.planted(plant.file, plant.code, values) as target,
        LocalExecutor(workers=1) as executor,
        sweep_writer(place / HEAD, target=target, grid=grid) as writer,
    ):
        head = Side(target=target, writer=writer)
        _run(head, grid, executor)
        writer.finish()
        base = Side(target=release, writer=writer, records=known)
        sources = sources_of(release, target)
        return None if sources is None else ReachOfRuns(sources, base, head).measure()


def _run(side: Side, grid: Grid, executor: Executor) -> None:
    """The passes of a comparison, on one side."""
    for name in (DECIDE, COUNTED, LINES):
        cells = covering_cells(grid.cells) if name == LINES else grid.cells
        cells = tuple(cell for cell in cells if name == DECIDE or has_run(side.records.get(cell.id)))
        if cells:
            tasks = side_by_side([side], cells, passes=(name,), timeout_seconds=CELL_TIMEOUT_SECONDS)
            with closing(executor.run(tasks)) as ended:
                for record in ended:
                    side.keep(record)


def _empty(place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


def _write_done(plant: Plant, place: Path, grid: Grid, reach: Reach | None) -> None:
    done = {
        "code": plant.code,
        "grid": grid.digest,
        "pairs": plant.pairs,
        "reach": None if reach is None else str(reach),
        "is_nothing_reached": reach is not None and reach.is_nothing_reached,
    }
    (place / DONE_NAME).write_text(json.dumps(done, indent=1) + "\n")


def is_done(plant: Plant, place: Path, grid: Grid) -> bool:
    """Tell whether a folder holds this plant, as it is now, compared on this grid."""
    if not (place / DONE_NAME).exists():
        return False
    done = json.loads((place / DONE_NAME).read_text())
    return (done["code"], done["grid"], done["pairs"]) == (plant.code, grid.digest, plant.pairs)


def reach_in(place: Path) -> KnownReach | None:
    """Return how much of a plant was executed, if that was measured."""
    done = json.loads((place / DONE_NAME).read_text())
    if done["reach"] is None:
        return None
    return KnownReach(text=done["reach"], is_nothing_reached=done["is_nothing_reached"])
