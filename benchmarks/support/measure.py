"""Sweeps a grid on several releases; those that are complete are not run again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from exhausters import __version__
from exhausters.errors import StoreError
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.grid import Grid
from exhausters.sweep.read_records import StoredRecords, read_records
from exhausters.sweep.record import RunRecord
from exhausters.sweep.run_options import DECIDE, RunOptions
from exhausters.sweep.runner import SweepOptions, sweep
from exhausters.sweep.store import sweep_writer
from exhausters.targets import prepare


def measured(folder: Path, grid: Grid) -> StoredRecords | None:
    """Return the complete sweep of this grid, by this version of the harness, in a folder; else None."""
    try:
        found = read_records(folder)
    except StoreError:
        return None
    is_same = (found.header["grid_digest"], found.header["harness_version"]) == (grid.digest, __version__)
    return found if found.is_complete and is_same else None


def sweep_releases(
    targets: Sequence[str], grid: Grid, out: Path, *, say: Callable[[str], None]
) -> dict[str, StoredRecords]:
    """Run every cell on every target and return what each folder holds, by target.

    Raises:
        ExhaustersError: a target that cannot be prepared; what was run before is kept.
    """
    found: dict[str, StoredRecords] = {}
    for target in targets:
        folder = out / target.replace(":", "-").replace("/", "-")
        if measured(folder, grid) is None:
            _sweep(target, grid, folder, say)
        found[target] = read_records(folder)
    return found


def _sweep(target: str, grid: Grid, folder: Path, say: Callable[[str], None]) -> None:
    prepared = prepare(target, on_progress=say)
    done = 0
    # Decisions alone: each step's pools are counted in every pass, and whether a cell drains is the question.
    options = SweepOptions(run=RunOptions(passes=(DECIDE,)))
    with sweep_writer(folder, target=prepared, grid=grid) as writer:

        def keep(record: RunRecord) -> None:
            nonlocal done
            writer.add(record)
            done += 1
            say(f"{target} {done}/{len(grid.cells)} {record.cell.id}: {record.result.outcome}")

        sweep(prepared, grid, options, executor=LocalExecutor(), on_record=keep)
        writer.finish()
