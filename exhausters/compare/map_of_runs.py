"""Measures which functions of a build each cell of some grids executes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

from exhausters.errors import ReachMapError
from exhausters.reach.cell_map import CellMap
from exhausters.reach.functions import Function, OwnLines, lines_by_function
from exhausters.reach.source_text import read_source
from exhausters.sweep.cell import Cell
from exhausters.sweep.execute import Executor
from exhausters.sweep.grid import Grid
from exhausters.sweep.plan import plan_sweep
from exhausters.sweep.record import RunRecord
from exhausters.sweep.run_options import LINES, TIMED, RunOptions
from exhausters.targets import PreparedTarget

# Where a run has no time of its own, e.g. because it failed, it is not to look cheap.
_UNTIMED_SECONDS = 10.0


def measure_map(
    target: PreparedTarget,
    grids: Sequence[Grid],
    *,
    executor: Executor,
    known: CellMap | None = None,
    on_record: Callable[[RunRecord], None] = lambda record: None,
) -> CellMap:
    """Run every cell of the grids once, timed, and once with its lines recorded; return what they executed.

    A cell that is unsupported, or fails before its first step, executes nothing and is not in the map.

    Args:
        target: the build.
        grids: the cells; those that several grids have are run once.
        executor: where they are run.
        known: a map of the same build: cells that it has are taken from it, and not run.
        on_record: called with each record as it comes.

    Raises:
        WorkloadError: a workload that cannot be built.
        ReachMapError: the known map is of another build.
    """
    if known is not None and known.build != target.name:
        raise ReachMapError(
            f"the known map is of {known.build}, and what is measured is {target.name}, which executes other "
            "lines; leave the known map out"
        )
    cells = cells_to_measure(grids, known)
    plan = plan_sweep(
        target,
        Grid(name="map", cells=tuple(cells.values())),
        workers=executor.workers,
        options=RunOptions(passes=(TIMED, LINES)),
    )
    records: dict[str, RunRecord] = {}
    # Closed here, so that no worker outlives an error in `on_record`.
    with closing(executor.run(plan)) as ended:
        for record in ended:
            records[record.cell.id] = record
            on_record(record)
    ordered = [records[cell] for cell in cells]
    measured = map_of_records(ordered, build=target.name, source=target.source_dirs[0], grids=grids)
    return measured if known is None else _joined(measured, known, grids)


def cells_to_measure(grids: Sequence[Grid], known: CellMap | None) -> dict[str, Cell]:
    """Return, by their ids, the cells of the grids that a known map does not have, each once."""
    cells = {cell.id: cell for grid in grids for cell in grid.cells}
    return {name: cell for name, cell in cells.items() if known is None or name not in known.executed}


def _joined(measured: CellMap, known: CellMap, grids: Sequence[Grid]) -> CellMap:
    """What was measured and what was known of the cells of the grids, in the order of these."""
    executed, seconds = {**known.executed, **measured.executed}, {**known.seconds, **measured.seconds}
    names = [name for name in cells_to_measure(grids, None) if name in executed]
    return replace(
        measured,
        seconds={name: seconds[name] for name in names},
        executed={name: executed[name] for name in names},
    )


def map_of_records(
    records: Iterable[RunRecord], *, build: str, source: Path, grids: Sequence[Grid]
) -> CellMap:
    """Return the map that these records make.

    Args:
        records: runs of one build, those without recorded lines are left out.
        build: the target that they ran on.
        source: its source folder.
        grids: the grids whose cells were run.
    """
    texts: dict[str, str] = {}
    # Most cells execute the same lines of most files.
    known: dict[tuple[str, tuple[int, ...]], dict[Function, OwnLines]] = {}
    executed: dict[str, dict[Function, OwnLines]] = {}
    seconds: dict[str, float] = {}
    for record in records:
        if record.result.executed is None:
            continue
        found: dict[Function, OwnLines] = {}
        for file, lines in record.result.executed.lines.items():
            if file not in texts:
                texts[file] = read_source(source / file)
            if (file, lines) not in known:
                known[file, lines] = lines_by_function(file, texts[file], lines)
            found.update(known[file, lines])
        executed[record.cell.id] = found
        seconds[record.cell.id] = float(
            record.result.metrics.get("scheduler_cpu_seconds") or _UNTIMED_SECONDS
        )
    return CellMap(
        build=build,
        measured=date.today().isoformat(),
        grids={grid.name: grid.digest for grid in grids},
        seconds=seconds,
        executed=executed,
    )
